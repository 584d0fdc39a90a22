/// What the device says of itself before and after a run.
public protocol DeviceConditions: Sendable {
    func thermalState() -> ThermalState
    func power() -> PowerSource
    /// 0 to 1, or nil where it is not known.
    func batteryLevel() -> Double?
    func lowPowerMode() -> Bool?
}

/// Something that can be measured: an artifact on a compute unit, with the work around it.
public protocol MeasuredSubject: Sendable {
    var artifact: ArtifactRecord { get }
    var computeUnit: ComputeUnit { get }
    /// CPU threads asked for; nil where the runtime decides.
    var threads: Int? { get }
    /// Besides inference, in the order of a frame.
    var otherStages: [Stage] { get }

    /// From the file to something that can be called.
    func load() async throws
    /// After `load`.
    func residency() async -> Residency
    /// Put the golden picture into the inputs.
    func prepare() async throws
    /// One inference over what is in the inputs.
    func infer() async throws -> Matte
    /// One of `otherStages`.
    func run(_ stage: Stage) async throws
    /// Let go of everything that was loaded.
    func unload() async
}

/// A `Matting` as a subject: loaded on demand, fed with the golden case, with the app's other stages around it.
public actor MattingSubject: MeasuredSubject {
    public typealias Load = @Sendable () async throws -> any Matting
    /// What a stage does, given the loaded artifact and its last matte.
    public typealias Work = @Sendable (any Matting, Matte) async throws -> Void

    public nonisolated let artifact: ArtifactRecord
    public nonisolated let computeUnit: ComputeUnit
    public nonisolated let threads: Int?
    public nonisolated let otherStages: [Stage]
    private let golden: GoldenCase
    private let loader: Load
    private let work: [Stage: Work]
    private var matting: (any Matting)?
    private var last: Matte?

    public init(
        artifact: ArtifactRecord, computeUnit: ComputeUnit, threads: Int? = nil, golden: GoldenCase,
        stages: [(Stage, Work)] = [], load: @escaping Load
    ) {
        self.artifact = artifact
        self.computeUnit = computeUnit
        self.threads = threads
        self.golden = golden
        self.otherStages = stages.map(\.0)
        self.work = Dictionary(uniqueKeysWithValues: stages)
        self.loader = load
    }

    public func load() async throws {
        matting = try await loader()
    }

    public func residency() -> Residency {
        matting?.residency ?? Residency(unit: .unknown, evidence: "It is not loaded.")
    }

    public func prepare() async throws {
        try await loaded().prepare(guidance: golden.guidance, weakMask: golden.weakMask)
    }

    public func infer() async throws -> Matte {
        let matte = try await loaded().run()
        last = matte
        return matte
    }

    public func run(_ stage: Stage) async throws {
        guard let work = work[stage], let last else { throw IGFError("\(stage.rawValue) has nothing to work on") }
        try await work(loaded(), last)
    }

    public func unload() {
        matting = nil
        last = nil
    }

    private func loaded() throws -> any Matting {
        guard let matting else { throw IGFError("\(artifact.file) is not loaded") }
        return matting
    }
}
