/// The protocol of a measurement: cool, load, first, parity, warm-up, steady, sustained.
public struct Measurement: Sendable {
    private static let coolDownStepS = 5.0

    public let plan: MeasurementPlan
    private let time: any TimeSource
    private let device: any DeviceConditions

    public init(plan: MeasurementPlan, time: any TimeSource = SystemTime(), device: any DeviceConditions) {
        self.plan = plan
        self.time = time
        self.device = device
    }

    /// Measure one subject.
    ///
    /// - Parameters:
    ///   - golden: the case `infer` runs, with the limit of this artifact.
    ///   - cpu: the same artifact's output on the CPU; nil for a CPU run or where there is none.
    ///   - progress: is told what is going on, a few words at a time.
    /// - Returns: the run and its matte of the golden case. A failure ends up in the run's `error`.
    /// - Throws: `CancellationError` only.
    public func run(
        _ subject: some MeasuredSubject, golden: GoldenCase, cpu: Matte?,
        progress: @Sendable (String) -> Void = { _ in }
    ) async throws -> (run: MeasuredRun, matte: Matte?) {
        progress("resting")
        try await time.sleep(seconds: plan.restSeconds)
        try await coolDown(progress)
        var run = MeasuredRun(artifact: subject.artifact, computeUnit: subject.computeUnit, conditions: conditions())
        run.threads = subject.threads
        var matte: Matte?
        do {
            guard !run.conditions.thermalStart.isHot else {
                let state = run.conditions.thermalStart.rawValue
                throw IGFError("not started: still \(state) after \(Int(plan.coolDownSeconds)) s of cooling down")
            }
            matte = try await measure(subject, into: &run, golden: golden, cpu: cpu, progress)
        } catch let error as CancellationError {
            await subject.unload()
            throw error
        } catch {
            run.error = String("\(error)".prefix(1000))
        }
        await subject.unload()
        run.conditions.thermalEnd = device.thermalState()
        run.judge(by: plan)
        return (run, matte)
    }

    private func measure(
        _ subject: some MeasuredSubject, into run: inout MeasuredRun, golden: GoldenCase, cpu: Matte?,
        _ progress: @Sendable (String) -> Void
    ) async throws -> Matte {
        progress("loading")
        run.loadMs = try await time.time { try await subject.load() }
        let residency = await subject.residency()
        run.computeUnitUsed = residency.unit
        run.computeUnitEvidence = residency.evidence

        progress("first run")
        try await subject.prepare()
        var first: Matte?
        run.firstMs = try await time.time { first = try await subject.infer() }
        guard let matte = first else { throw IGFError("no output") }
        run.parity = try Parity(of: matte, against: golden, limit: golden.limit(of: subject.artifact))
        if subject.computeUnit != .cpu, let cpu { run.identicalToCpu = matte.isIdentical(to: cpu) }

        progress("warming up")
        for _ in 0..<plan.warmUp {
            _ = try await subject.infer()
            run.warmUp += 1
        }
        try await steady(subject, into: &run, progress)
        if plan.sustainedSeconds > 0 { run.sustained = try await sustained(subject, progress) }
        return matte
    }

    private func steady(
        _ subject: some MeasuredSubject, into run: inout MeasuredRun, _ progress: @Sendable (String) -> Void
    ) async throws {
        progress("measuring for \(Int(plan.minimumSeconds)) s")
        var stages = [Stage.inference: [Double]()]
        let start = time.nowMs()
        var now = start
        while stages[.inference]!.count < plan.minimumRuns || now - start < plan.minimumSeconds * 1e3 {
            try Task.checkCancellation()
            for stage in subject.otherStages where stage == .convert {
                stages[stage, default: []].append(try await time.time { try await subject.run(stage) })
            }
            stages[.inference]!.append(try await time.time { _ = try await subject.infer() })
            for stage in subject.otherStages where stage != .convert {
                stages[stage, default: []].append(try await time.time { try await subject.run(stage) })
            }
            let later = time.nowMs()
            guard later >= now else { throw IGFError("the clock ran backwards by \(now - later) ms") }
            now = later
        }
        run.durationS = (now - start) / 1e3
        for (stage, samples) in stages {
            run.stages[stage.rawValue] = samples
            run.summary[stage.rawValue] = try LatencySummary(of: samples)
        }
    }

    private func sustained(
        _ subject: some MeasuredSubject, _ progress: @Sendable (String) -> Void
    ) async throws -> MeasuredRun.Sustained {
        progress("sustained for \(Int(plan.sustainedSeconds)) s")
        var samples: [Double] = []
        var timeline = ThermalTimeline()
        let start = time.nowMs()
        var elapsedS = 0.0
        repeat {
            try Task.checkCancellation()
            timeline.note(device.thermalState(), atS: elapsedS)
            samples.append(try await time.time { _ = try await subject.infer() })
            let now = (time.nowMs() - start) / 1e3
            guard now >= elapsedS else { throw IGFError("the clock ran backwards by \(elapsedS - now) s") }
            elapsedS = now
        } while elapsedS < plan.sustainedSeconds
        timeline.note(device.thermalState(), atS: elapsedS)
        return MeasuredRun.Sustained(
            durationS: elapsedS, samplesMs: samples,
            shareWithin16_7Ms: share(of: samples, within: 16.7)!, shareWithin33_3Ms: share(of: samples, within: 33.3)!,
            thermal: timeline.samples
        )
    }

    /// Wait until the device is not hot, or for as long as the plan allows.
    private func coolDown(_ progress: @Sendable (String) -> Void) async throws {
        var waited = 0.0
        while device.thermalState().isHot, waited < plan.coolDownSeconds {
            progress("cooling down (\(device.thermalState().rawValue))")
            try await time.sleep(seconds: Self.coolDownStepS)
            waited += Self.coolDownStepS
        }
    }

    private func conditions() -> MeasuredRun.Conditions {
        let thermal = device.thermalState()
        return MeasuredRun.Conditions(
            power: device.power(), batteryLevel: device.batteryLevel(), lowPowerMode: device.lowPowerMode(),
            thermalStart: thermal, thermalEnd: thermal
        )
    }
}
