import IGFCore
import SwiftUI

/// Measure everything, or one artifact, and hand the report on.
struct MeasureView: View {
    @StateObject private var model: MeasureModel
    @State private var choice: Choice?
    @State private var isQuick = false
    @State private var sustainedMinutes = 0

    init(build: ExportedBuild) {
        _model = StateObject(wrappedValue: MeasureModel(build: build))
    }

    var body: some View {
        NavigationStack {
            Form {
                Section {
                    ArtifactPicker(choices: model.choices, choice: $choice)
                    Toggle("Quick (not valid for a report)", isOn: $isQuick)
                    Picker("Sustained", selection: $sustainedMinutes) {
                        ForEach([0, 10, 30], id: \.self) { Text($0 == 0 ? "no" : "\($0) minutes").tag($0) }
                    }
                } footer: {
                    Text(model.estimate(of: choice, plan: plan))
                }
                Section {
                    if model.isRunning {
                        Text(model.progress).font(.footnote)
                        Button("Stop", role: .destructive) { model.cancel() }
                    } else {
                        Button("Measure") { model.start(choice, plan: plan) }
                    }
                    if let problem = model.problem { Text(problem).foregroundStyle(.red) }
                    if let report = model.reportURL { ShareLink("Share \(report.lastPathComponent)", item: report) }
                }
                Section("Runs") {
                    ForEach(model.runs.indices, id: \.self) { RunRow(run: model.runs[$0]) }
                }
            }
            .navigationTitle("Measure")
        }
    }

    private var plan: MeasurementPlan {
        var plan = isQuick ? MeasurementPlan.quick : .full
        plan.sustainedSeconds = Double(sustainedMinutes * 60)
        return plan
    }
}

/// One run, in milliseconds.
private struct RunRow: View {
    let run: MeasuredRun

    var body: some View {
        VStack(alignment: .leading, spacing: 4) {
            Text("\(run.artifact.backend) \(run.artifact.scheme) on \(run.computeUnitRequested.rawValue)")
            if let summary = run.summary[Stage.inference.rawValue] {
                Text(
                    "median \(summary.medianMs, specifier: "%.1f"), p90 \(summary.p90Ms, specifier: "%.1f"), p99 \(summary.p99Ms, specifier: "%.1f") ms"
                )
                .font(.footnote.monospacedDigit())
            }
            Text("ran on \(run.computeUnitUsed.rawValue)").font(.caption).foregroundStyle(.secondary)
            ForEach(run.invalidReasons, id: \.self) { Text($0).font(.caption).foregroundStyle(.orange) }
        }
    }
}
