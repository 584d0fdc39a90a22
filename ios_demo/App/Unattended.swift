import Foundation
import IGFCore
import SwiftUI

/// What a run without a person does; from launch arguments or, in the tests, from the environment.
struct UnattendedOptions {
    var plan = MeasurementPlan.full

    /// Nil unless the app was launched with `-unattended`.
    ///
    /// `-quick` measures for seconds only (not valid, and the report says so), `-sustained 600` adds a
    /// sustained run of so many seconds.
    static var current: UnattendedOptions? { parse(ProcessInfo.processInfo.arguments) }

    static func parse(_ arguments: [String]) -> UnattendedOptions? {
        guard arguments.contains("-unattended") else { return nil }
        var options = UnattendedOptions()
        if arguments.contains("-quick") { options.plan = .quick }
        if let index = arguments.firstIndex(of: "-sustained"), index + 1 < arguments.count,
            let seconds = Double(arguments[index + 1]), seconds >= 0
        {
            options.plan.sustainedSeconds = seconds
        }
        return options
    }
}

/// Verifies every artifact on every compute unit, measures them, and leaves latency_report.json in Documents.
struct UnattendedRun: Sendable {
    let build: ExportedBuild
    let plan: MeasurementPlan
    let device: DeviceMonitor

    /// - Parameter say: is told each step, a line at a time.
    /// - Returns: the report, and a sentence per run whose parity failed or was not measured.
    func callAsFunction(_ say: @escaping @Sendable (String) -> Void) async throws -> (LatencyReport, failures: [String])
    {
        let subjects = try Runtimes.subjects(build, renderer: MatteRenderer())
        var failures: [String] = []
        for subject in subjects {
            let result = await Verification(of: subject, golden: build.golden)
            let line = "\(result.artifact.file) on \(result.computeUnit.rawValue): \(result.sentence)"
            say("igf verify \(line)")
            if !result.passed { failures.append(line) }
        }
        let session = MeasurementSession(
            measurement: Measurement(plan: plan, device: device), golden: build.golden, folder: .documentsDirectory)
        let report = try await session.run(
            subjects, report: LatencyReport.empty(for: build), progress: { say("igf measure \($0)") })
        return (report, failures)
    }
}

extension Verification {
    /// For a list and for the console.
    var sentence: String {
        guard let parity else { return "failed: \(error ?? "not measured")" }
        let distance = parity.alphaMeanAbs.map { String(format: "mean distance %.2g", $0) } ?? "not finite"
        return
            "\(parity.passed ? "passed" : "failed"), \(distance), limit \(String(format: "%.2g", parity.limitMeanAbs))"
    }
}

/// Shown while nobody looks; the last line says how it ended, and the app ends with it.
struct UnattendedView: View {
    @State private var line = "starting"

    var body: some View {
        Text(line).font(.footnote.monospaced()).padding().task { await run() }
    }

    private func run() async {
        UIApplication.shared.isIdleTimerDisabled = true
        do {
            let build = try ExportedBuild.bundled()
            let plan = UnattendedOptions.current?.plan ?? .full
            let (report, failures) = try await UnattendedRun(build: build, plan: plan, device: DeviceMonitor())({
                show($0)
            })
            failures.forEach { show("igf failed \($0)") }
            show("igf done: \(report.runs.count) runs in Documents/\(LatencyReport.fileName)")
            exit(failures.isEmpty ? 0 : 1)
        } catch {
            show("igf error: \(error)")
            exit(2)
        }
    }

    /// To the console, where `devicectl ... launch --console` shows it, and to the screen.
    private nonisolated func show(_ text: String) {
        print(text)
        Task { @MainActor in line = text }
    }
}
