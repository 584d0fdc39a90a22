import Foundation
import IGFCore
import SwiftUI

/// Runs a measurement session in the background of the Measure tab.
@MainActor
final class MeasureModel: ObservableObject {
    @Published private(set) var runs: [MeasuredRun] = []
    @Published private(set) var progress = ""
    @Published private(set) var isRunning = false
    @Published private(set) var problem: String?
    @Published private(set) var reportURL: URL?
    private let build: ExportedBuild
    private let device = DeviceMonitor()
    private var task: Task<Void, Never>?

    init(build: ExportedBuild) {
        self.build = build
    }

    var choices: [Choice] { Choice.all(of: build) }

    /// - Parameter choice: nil for all artifacts on all units.
    func start(_ choice: Choice?, plan: MeasurementPlan) {
        (runs, problem, reportURL, isRunning) = ([], nil, nil, true)
        UIApplication.shared.isIdleTimerDisabled = true
        task = Task {
            do {
                try await measure(choice, plan: plan)
            } catch is CancellationError {
                problem = "Stopped; what was measured is in the report."
            } catch {
                problem = "\(error)"
            }
            let file = URL.documentsDirectory.appendingPathComponent(LatencyReport.fileName)
            reportURL = runs.isEmpty ? nil : file
            isRunning = false
            UIApplication.shared.isIdleTimerDisabled = false
        }
    }

    func cancel() {
        task?.cancel()
    }

    /// How long it will take, in words.
    func estimate(of choice: Choice?, plan: MeasurementPlan) -> String {
        let count = choice == nil ? choices.count : 1
        let each = plan.restSeconds + plan.minimumSeconds + plan.sustainedSeconds
        let minutes = Int((Double(count) * each / 60).rounded(.up))
        return "\(count) runs, about \(minutes) minutes. Leave the app open and the phone off the charger and cool."
    }

    private func measure(_ choice: Choice?, plan: MeasurementPlan) async throws {
        let all = try Runtimes.subjects(build, renderer: MatteRenderer())
        let subjects = all.filter { subject in
            choice.map { $0.artifact.file == subject.artifact.file && $0.unit == subject.computeUnit } ?? true
        }
        let session = MeasurementSession(
            measurement: Measurement(plan: plan, device: device), golden: build.golden, folder: .documentsDirectory)
        _ = try await session.run(subjects, report: .empty(for: build)) { [weak self] text in
            Task { @MainActor in self?.progress = text }
        } finished: { [weak self] run in
            Task { @MainActor in self?.runs.append(run) }
        }
    }
}
