import IGFCore
import SwiftUI

/// The camera with its background replaced.
struct LiveView: View {
    @StateObject private var model: LiveModel
    @State private var choice: Choice?
    private let choices: [Choice]

    init(build: ExportedBuild) {
        _model = StateObject(wrappedValue: LiveModel(build: build))
        choices = Choice.all(of: build)
    }

    var body: some View {
        NavigationStack {
            VStack {
                picture
                Text(summary).font(.footnote.monospacedDigit()).multilineTextAlignment(.center)
                ArtifactPicker(choices: choices, choice: $choice)
            }
            .navigationTitle("Live")
        }
        .onChange(of: choice) { restart() }
        .onAppear {
            if choice == nil { choice = choices.first { $0.unit == .all } ?? choices.first } else { restart() }
        }
        .onDisappear { model.stop() }
    }

    @ViewBuilder private var picture: some View {
        if let preview = model.preview {
            GeometryReader { geometry in
                MetalPreview(view: preview)
                    .contentShape(Rectangle())
                    .gesture(
                        DragGesture(minimumDistance: 0)
                            .onChanged { model.drag(to: $0.location, in: geometry.size) }
                            .onEnded { _ in model.lift() })
            }
            .aspectRatio(9.0 / 16.0, contentMode: .fit)
        } else {
            Spacer()
        }
    }

    private var summary: String {
        let statistics = model.statistics
        if let message = statistics.message { return message }
        let parts = [
            ("convert", statistics.convertMs), ("inference", statistics.inferenceMs),
            ("apply", statistics.applyMs), ("composite", statistics.compositeMs),
            ("mask", statistics.maskMs),
        ]
        let times = parts.map { "\($0.0) \(String(format: "%.1f", $0.1))" }.joined(separator: " · ")
        return "\(times) ms\n\(statistics.dropped) frames dropped while busy"
    }

    private func restart() {
        guard let choice else { return }
        Task { await model.start(choice.artifact, on: choice.unit) }
    }
}
