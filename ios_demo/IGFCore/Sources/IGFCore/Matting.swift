/// What an artifact gives for one picture.
public struct Matte: Equatable, Sendable {
    /// One plane in [0,1]; nil from an artifact that ends at the coefficients.
    public let alpha: Planes?
    /// A for red, green, blue, then B, at a lower resolution.
    public let coefficients: Planes

    public init(alpha: Planes?, coefficients: Planes) {
        self.alpha = alpha
        self.coefficients = coefficients
    }

    /// The artifact's alpha, or the coefficients applied to the picture it ran on: 3 planes, red, green, blue.
    public func alpha(of guidance: Planes) throws -> Planes {
        try alpha ?? applyCoefficients(coefficients, to: guidance)
    }
}

/// Which processor an artifact is asked to run on, in the words of the report's contract.
public enum ComputeUnit: String, Codable, Sendable, CaseIterable {
    case cpu, gpu, npu, all
}

/// Where an artifact ran, as far as it is known, and how that is known.
public struct Residency: Equatable, Sendable {
    public enum Unit: String, Codable, Sendable {
        case cpu, gpu, npu, all, mixed, unknown
    }

    public let unit: Unit
    /// One sentence.
    public let evidence: String

    public init(unit: Unit, evidence: String) {
        self.unit = unit
        self.evidence = evidence
    }

    /// What a plan that prefers these units for so many operators each says.
    public init(plannedOperators: [ComputeUnit: Int], undecided: Int) {
        let used = plannedOperators.filter { $0.value > 0 }
        let parts = ComputeUnit.allCases.compactMap { unit in used[unit].map { "\(unit.rawValue) \($0)" } }
        let list = (parts + (undecided > 0 ? ["undecided \(undecided)"] : [])).joined(separator: ", ")
        self.evidence = "MLComputePlan's preferred device by operator: \(list.isEmpty ? "none" : list)."
        switch used.count {
        case 0: self.unit = .unknown
        case 1: self.unit = Unit(rawValue: used.keys.first!.rawValue)!
        default: self.unit = .mixed
        }
    }
}

/// A loaded artifact: packed inputs in, outputs read back.
///
/// `prepare` is what the report calls convert, `run` what it calls inference: it ends when every output can
/// be read by the CPU.
public protocol Matting: Sendable {
    var artifact: ArtifactRecord { get }
    var residency: Residency { get }

    /// Put a picture and its weak mask, both of the artifact's size, into the inputs.
    func prepare(guidance: Planes, weakMask: Planes) async throws
    /// One inference over the inputs.
    func run() async throws -> Matte
}

extension Matting {
    /// `prepare`, then `run`.
    public func matte(guidance: Planes, weakMask: Planes) async throws -> Matte {
        try await prepare(guidance: guidance, weakMask: weakMask)
        return try await run()
    }
}
