import Foundation

/// Measures one subject after another and writes the report again after each, so that a pulled cable costs one.
public struct MeasurementSession: Sendable {
    private let measurement: Measurement
    private let golden: GoldenCase
    private let folder: URL
    private let today: @Sendable () -> Date

    /// - Parameters:
    ///   - golden: the case for phones, with its limits.
    ///   - folder: where `latency_report.json` goes.
    ///   - today: the date and time, for the report.
    public init(
        measurement: Measurement, golden: GoldenCase, folder: URL, today: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.measurement = measurement
        self.golden = golden
        self.folder = folder
        self.today = today
    }

    /// Measure all of `subjects`, the CPU's before the others of the same artifact.
    ///
    /// A report that an earlier session left is removed first, so that nobody takes it for this one's.
    ///
    /// - Parameters:
    ///   - report: what is written, with the runs added to those it has.
    ///   - progress: is told which subject, of how many, and what is going on.
    ///   - finished: is told each run.
    /// - Throws: `IGFError` when the report cannot be written, `CancellationError`. What was measured is kept.
    public func run(
        _ subjects: [any MeasuredSubject], report: LatencyReport,
        progress: @escaping @Sendable (String) -> Void = { _ in },
        finished: @Sendable (MeasuredRun) -> Void = { _ in }
    ) async throws -> LatencyReport {
        try? FileManager.default.removeItem(at: folder.appendingPathComponent(LatencyReport.fileName))
        var report = report
        var cpu: [String: Matte] = [:]
        let ordered = Self.cpuFirst(subjects)
        for (index, subject) in ordered.enumerated() {
            let name = "\(index + 1) of \(ordered.count): \(subject.artifact.file) on \(subject.computeUnit.rawValue)"
            let (run, matte) = try await measurement.run(
                subject, golden: golden, cpu: cpu[subject.artifact.file]
            ) { progress("\(name): \($0)") }
            if subject.computeUnit == .cpu { cpu[subject.artifact.file] = matte }
            report.add(run, at: today())
            try report.write(into: folder)
            finished(run)
        }
        return report
    }

    /// The subjects in their order, but the CPU's first among those of one artifact.
    static func cpuFirst(_ subjects: [any MeasuredSubject]) -> [any MeasuredSubject] {
        var files: [String] = []
        for subject in subjects where !files.contains(subject.artifact.file) { files.append(subject.artifact.file) }
        return files.flatMap { file in
            let own = subjects.filter { $0.artifact.file == file }
            return own.filter { $0.computeUnit == .cpu } + own.filter { $0.computeUnit != .cpu }
        }
    }
}
