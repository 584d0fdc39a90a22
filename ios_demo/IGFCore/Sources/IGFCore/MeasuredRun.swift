/// One artifact on one compute unit: everything the report says of it.
public struct MeasuredRun: Codable, Equatable, Sendable {
    public struct Artifact: Codable, Equatable, Sendable {
        public let file: String
        public let sha256: String
        public let backend: String
        public let scheme: String
        public let bytes: Int

        public init(_ record: ArtifactRecord) {
            file = record.file
            sha256 = record.sha256
            backend = record.backend
            scheme = record.scheme
            bytes = record.bytes
        }
    }

    public struct Conditions: Codable, Equatable, Sendable {
        public var power: PowerSource
        /// 0 to 1, at the start.
        @OrNull public var batteryLevel: Double?
        @OrNull public var lowPowerMode: Bool?
        public var thermalStart: ThermalState
        public var thermalEnd: ThermalState

        enum CodingKeys: String, CodingKey {
            case power
            case batteryLevel = "battery_level"
            case lowPowerMode = "low_power_mode"
            case thermalStart = "thermal_start"
            case thermalEnd = "thermal_end"
        }
    }

    public struct Sustained: Codable, Equatable, Sendable {
        /// Wall time in seconds, at least the sum of the samples.
        public let durationS: Double
        public let samplesMs: [Double]
        public let shareWithin16_7Ms: Double
        public let shareWithin33_3Ms: Double
        public let thermal: [ThermalSample]

        enum CodingKeys: String, CodingKey {
            case durationS = "duration_s"
            case samplesMs = "samples_ms"
            case shareWithin16_7Ms = "share_within_16_7_ms"
            case shareWithin33_3Ms = "share_within_33_3_ms"
            case thermal
        }
    }

    public let artifact: Artifact
    public let computeUnitRequested: ComputeUnit
    public var computeUnitUsed: Residency.Unit = .unknown
    public var computeUnitEvidence = "It did not load."
    /// Nil: the runtime decides.
    @OrNull public var threads: Int?
    public var conditions: Conditions
    @OrNull public var loadMs: Double?
    /// The first call after loading; no part of the samples.
    @OrNull public var firstMs: Double?
    public var warmUp = 0
    /// Wall time of the steady part in seconds.
    @OrNull public var durationS: Double?
    /// Raw samples of the steady part by stage, in order.
    public var stages: [String: [Double]] = [Stage.inference.rawValue: []]
    public var summary: [String: LatencySummary] = [:]
    @OrNull public var sustained: Sustained?
    @OrNull public var parity: Parity?
    @OrNull public var identicalToCpu: Bool?
    /// The numbers may be quoted; set by `judge`.
    public var valid = false
    public var invalidReasons: [String] = []
    @OrNull public var error: String?

    enum CodingKeys: String, CodingKey {
        case artifact
        case computeUnitRequested = "compute_unit_requested"
        case computeUnitUsed = "compute_unit_used"
        case computeUnitEvidence = "compute_unit_evidence"
        case threads, conditions
        case loadMs = "load_ms"
        case firstMs = "first_ms"
        case warmUp = "warm_up"
        case durationS = "duration_s"
        case stages, summary, sustained, parity
        case identicalToCpu = "identical_to_cpu"
        case valid
        case invalidReasons = "invalid_reasons"
        case error
    }

    public init(artifact: ArtifactRecord, computeUnit: ComputeUnit, conditions: Conditions) {
        self.artifact = Artifact(artifact)
        self.computeUnitRequested = computeUnit
        self.conditions = conditions
    }

    /// Decide `valid` and say why not.
    public mutating func judge(by plan: MeasurementPlan) {
        var reasons: [String] = []
        let samples = stages[Stage.inference.rawValue] ?? []
        if let error { reasons.append("It broke off: \(error)") }
        if conditions.thermalStart.isHot { reasons.append("It started hot (\(conditions.thermalStart.rawValue)).") }
        if samples.count < MeasurementPlan.validRuns {
            reasons.append("\(samples.count) runs; \(MeasurementPlan.validRuns) are needed.")
        }
        if (durationS ?? 0) < MeasurementPlan.validSeconds {
            let seconds = durationS.map { "\(($0 * 10).rounded() / 10) s" } ?? "No steady part"
            reasons.append("\(seconds); \(Int(MeasurementPlan.validSeconds)) s are needed.")
        }
        if (parity?.passed) != true {
            reasons.append(parity == nil ? "Parity was not checked." : "Parity with the golden matte failed.")
        }
        if identicalToCpu == true {
            reasons.append("Its output has the same bits as the CPU's, so only the CPU ran.")
        }
        if (loadMs ?? 0) < 0 || (firstMs ?? 0) < 0 || samples.contains(where: { $0 < 0 }) {
            reasons.append("The clock ran backwards.")
        }
        invalidReasons = reasons
        valid = reasons.isEmpty
    }
}

/// Where the device's power comes from.
public enum PowerSource: String, Codable, Sendable {
    case battery, charging, unknown
}

/// The parts of a frame that are timed apart.
public enum Stage: String, Codable, Sendable, CaseIterable {
    /// One call of the runtime, inputs in place, to the end of reading back every output.
    case inference
    /// Camera pixels to input tensors.
    case convert
    /// Coefficients to alpha at the picture's resolution.
    case apply
    /// Alpha onto a background.
    case composite
}
