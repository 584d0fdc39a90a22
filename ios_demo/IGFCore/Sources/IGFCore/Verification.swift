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
