/// How long and how often to measure.
public struct MeasurementPlan: Equatable, Sendable {
    /// What the contract asks of a run that may be quoted.
    public static let validRuns = 50
    public static let validSeconds = 60.0

    public var warmUp = 10
    public var minimumRuns = Self.validRuns
    public var minimumSeconds = Self.validSeconds
    /// Inference back to back after the steady part; 0: none.
    public var sustainedSeconds = 0.0
    /// Rest before each run, so that none inherits the heat of the one before.
    public var restSeconds = 30.0
    /// How long to wait for a hot device to cool down before giving up.
    public var coolDownSeconds = 300.0

    public init() {}

    /// The unattended and the sustained measurement of a real report.
    public static let full = MeasurementPlan()

    /// Seconds a run, for trying the app out. Its runs are not valid, and say so.
    public static var quick: MeasurementPlan {
        var plan = MeasurementPlan()
        (plan.minimumRuns, plan.minimumSeconds, plan.restSeconds) = (20, 2, 0)
        return plan
    }
}
