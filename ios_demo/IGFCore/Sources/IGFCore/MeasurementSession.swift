import Foundation

/// Measures one subject after another and writes the report again after each, so that a pulled cable costs one.
public struct MeasurementSession: Sendable {
    private let measurement: Measurement
    private let golden: GoldenCase
    private let folder: URL

    /// - Parameters:
    ///   - golden: the case for phones, with its limits.
    ///   - folder: where `latency_report.json` goes.
    public init(measurement: Measurement, golden: GoldenCase, folder: URL) {
        self.measurement = measurement
        self.golden = golden
        self.folder = folder
    }

    /// Measure all of `subjects`, the CPU's before the others of the same artifact.
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
        var report = report
        var cpu: [String: Matte] = [:]
        let ordered = Self.cpuFirst(subjects)
        for (index, subject) in ordered.enumerated() {
            let name = "\(index + 1) of \(ordered.count): \(subject.artifact.file) on \(subject.computeUnit.rawValue)"
            let (run, matte) = try await measurement.run(
                subject, golden: golden, cpu: cpu[subject.artifact.file]
            ) { progress("\(name): \($0)") }
            if subject.computeUnit == .cpu { cpu[subject.artifact.file] = matte }
            report.runs.append(run)
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

/// Whether one artifact gives the golden alpha on one compute unit.
public struct Verification: Sendable {
    public let artifact: ArtifactRecord
    public let computeUnit: ComputeUnit
    public let residency: Residency?
    public let parity: Parity?
    /// What went wrong; nil when the parity was measured.
    public let error: String?

    public var passed: Bool { parity?.passed == true }

    /// Load the subject, run the golden case, compare, unload.
    public init(of subject: some MeasuredSubject, golden: GoldenCase) async {
        artifact = subject.artifact
        computeUnit = subject.computeUnit
        var residency: Residency?
        do {
            try await subject.load()
            residency = await subject.residency()
            try await subject.prepare()
            let matte = try await subject.infer()
            parity = try Parity(of: matte, against: golden, limit: golden.limit(of: subject.artifact))
            error = nil
        } catch {
            parity = nil
            self.error = "\(error)"
        }
        self.residency = residency
        await subject.unload()
    }
}
