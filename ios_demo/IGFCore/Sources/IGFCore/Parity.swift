/// Whether an artifact gives the golden alpha on this device.
public struct Parity: Codable, Equatable, Sendable {
    public let `case`: String
    /// Nil when the output is not finite.
    @OrNull public var alphaMaxAbs: Double?
    @OrNull public var alphaMeanAbs: Double?
    public let limitMaxAbs: Double
    public let limitMeanAbs: Double
    /// No NaN and no infinity in alpha and coefficients.
    public let finite: Bool
    /// Every alpha is the same number, so the distance proves nothing.
    public let constant: Bool
    public let passed: Bool

    enum CodingKeys: String, CodingKey {
        case `case`
        case alphaMaxAbs = "alpha_max_abs"
        case alphaMeanAbs = "alpha_mean_abs"
        case limitMaxAbs = "limit_max_abs"
        case limitMeanAbs = "limit_mean_abs"
        case finite, constant, passed
    }

    /// Hold `matte` to the golden case.
    ///
    /// An artifact without an alpha has its coefficients applied to the golden picture here.
    ///
    /// Throws `IGFError` when the alpha has another size than the golden one.
    public init(of matte: Matte, against golden: GoldenCase, limit: GoldenCase.Limit) throws {
        let alpha = try matte.alpha(of: golden.guidance)
        guard (alpha.channels, alpha.height, alpha.width) == (1, golden.alpha.height, golden.alpha.width) else {
            throw IGFError(
                "alpha has \(alpha.width) x \(alpha.height) pixels, the case \(golden.name) "
                    + "\(golden.alpha.width) x \(golden.alpha.height)"
            )
        }
        self.case = golden.name
        self.limitMaxAbs = limit.maxAbs
        self.limitMeanAbs = limit.meanAbs
        self.finite = alpha.isFinite && matte.coefficients.isFinite
        self.constant = alpha.isConstant
        let distances = zip(alpha.values, golden.alpha.values).map { Double(($0 - $1).magnitude) }
        let largest = distances.max() ?? .infinity
        let mean = distances.reduce(0, +) / Double(distances.count)
        self.alphaMaxAbs = finite ? largest : nil
        self.alphaMeanAbs = finite ? mean : nil
        self.passed = finite && !constant && largest <= limit.maxAbs && mean <= limit.meanAbs
    }
}

extension Matte {
    /// Every output has the same bits: what another processor would hardly give.
    public func isIdentical(to other: Matte) -> Bool {
        Self.haveSameBits(alpha, other.alpha) && Self.haveSameBits(coefficients, other.coefficients)
    }

    private static func haveSameBits(_ one: Planes?, _ other: Planes?) -> Bool {
        guard let one, let other else { return one == nil && other == nil }
        return one.values.count == other.values.count
            && zip(one.values, other.values).allSatisfy { $0.bitPattern == $1.bitPattern }
    }
}
