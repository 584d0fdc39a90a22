/// How warm the device is, in the words of the report's contract. Apple's fair is `light`, serious `severe`.
public enum ThermalState: String, Codable, Sendable, CaseIterable {
    case nominal, light, moderate, severe, critical, unknown

    /// Moderate and above: the processor is slowed down, so nothing that starts now may be quoted.
    public var isHot: Bool {
        switch self {
        case .nominal, .light, .unknown: return false
        case .moderate, .severe, .critical: return true
        }
    }
}

/// The thermal state at one moment of a sustained run.
public struct ThermalSample: Codable, Equatable, Sendable {
    /// Seconds since the start of the sustained run.
    public let atS: Double
    public let state: ThermalState
    /// Android's forecast; always nil here.
    @OrNull public var headroom: Double?

    enum CodingKeys: String, CodingKey {
        case atS = "at_s"
        case state, headroom
    }

    public init(atS: Double, state: ThermalState) {
        self.atS = atS
        self.state = state
        self.headroom = nil
    }
}

/// Thermal states over a sustained run: the first one, each change, and at least one sample a second.
public struct ThermalTimeline: Sendable {
    static let intervalS = 1.0

    public private(set) var samples: [ThermalSample] = []

    public init() {}

    /// Note the state at `atS` seconds; kept when it is a change or a second has passed.
    public mutating func note(_ state: ThermalState, atS: Double) {
        if let last = samples.last, last.state == state, atS - last.atS < Self.intervalS { return }
        samples.append(ThermalSample(atS: atS, state: state))
    }
}
