import XCTest

@testable import IGFCore

final class MeasurementTests: XCTestCase {
    private let time = FakeTime()

    private func subject(
        _ matting: FakeMatting, unit: ComputeUnit = .npu, stages: [(Stage, MattingSubject.Work)] = [],
        golden: GoldenCase = Fixtures.golden()
    ) -> MattingSubject {
        let time = time
        return MattingSubject(
            artifact: matting.artifact, computeUnit: unit, golden: golden, stages: stages
        ) {
            time.advance(ms: 100)
            return matting
        }
    }

    private func measure(
        _ subject: MattingSubject, plan: MeasurementPlan = .full, device: FakeDevice = FakeDevice(),
        golden: GoldenCase = Fixtures.golden(), cpu: Matte? = nil
    ) async throws -> MeasuredRun {
        try await Measurement(plan: plan, time: time, device: device).run(subject, golden: golden, cpu: cpu).run
    }

    func testAWholeRun() async throws {
        let time = time
        let stages: [(Stage, MattingSubject.Work)] = [
            (.convert, { _, _ in time.advance(ms: 3) }), (.apply, { _, _ in time.advance(ms: 1) }),
            (.composite, { _, _ in time.advance(ms: 0.5) }),
        ]
        let matting = FakeMatting(time: time, runMs: [40] + Array(repeating: 20, count: 10) + [10])
        let run = try await measure(subject(matting, stages: stages))
        XCTAssertEqual(run.loadMs, 100)
        XCTAssertEqual(run.firstMs, 40, "the first run is none of the samples, and filling the inputs is none of it")
        XCTAssertEqual(run.warmUp, 10)
        XCTAssertEqual(run.invalidReasons, [])
        XCTAssertTrue(run.valid)
        XCTAssertNil(run.error)
        let samples = try XCTUnwrap(run.stages["inference"])
        XCTAssertEqual(samples.count, 4138, "60 s of frames of 14.5 ms")
        XCTAssertEqual(Set(samples), [10], "warm-up runs are none of the samples")
        XCTAssertEqual(try XCTUnwrap(run.durationS), 60, accuracy: 0.02)
        XCTAssertGreaterThanOrEqual(run.durationS!, run.stages.values.joined().reduce(0, +) / 1e3 - 1e-6)
        XCTAssertEqual(run.summary.keys.sorted(), ["apply", "composite", "convert", "inference"])
        XCTAssertEqual(run.summary["convert"]?.medianMs, 3)
        XCTAssertEqual(run.summary["inference"]?.iterations, samples.count)
        XCTAssertEqual(run.computeUnitUsed, .npu)
        XCTAssertEqual(run.conditions.batteryLevel, 0.8)
        XCTAssertEqual(time.sleeps, [30], "it rested once and had nothing to cool down")
        XCTAssertNil(run.sustained)
    }

    func testSlowRunsGoOnUntilThereAreFifty() async throws {
        let run = try await measure(subject(FakeMatting(time: time, runMs: [2000])))
        XCTAssertEqual(run.stages["inference"]?.count, 50)
        XCTAssertEqual(run.durationS, 100)
        XCTAssertTrue(run.valid)
    }

    func testAQuickRunIsNotValid() async throws {
        let run = try await measure(subject(FakeMatting(time: time, runMs: [200])), plan: .quick)
        XCTAssertEqual(run.stages["inference"]?.count, 20)
        XCTAssertEqual(run.invalidReasons, ["20 runs; 50 are needed.", "4.0 s; 60 s are needed."])
        XCTAssertFalse(run.valid)
    }

    func testAHotDeviceIsLeftToCoolDown() async throws {
        let time = time
        let device = FakeDevice { time.nowMs() < 60_000 ? .severe : .light }
        let run = try await measure(subject(FakeMatting(time: time)), device: device)
        XCTAssertEqual(time.sleeps, [30, 5, 5, 5, 5, 5, 5])
        XCTAssertEqual(run.conditions.thermalStart, .light)
        XCTAssertTrue(run.valid)
    }

    func testItRefusesToStartHot() async throws {
        let run = try await measure(subject(FakeMatting(time: time)), device: FakeDevice { .moderate })
        XCTAssertEqual(time.sleeps.count, 1 + 60, "five minutes in steps of five seconds")
        XCTAssertNil(run.loadMs)
        XCTAssertEqual(run.stages, ["inference": []])
        XCTAssertEqual(run.error, "not started: still moderate after 300 s of cooling down")
        XCTAssertTrue(run.invalidReasons.contains("It started hot (moderate)."))
        XCTAssertFalse(run.valid)
    }

    func testParityThatFailsIsNotValid() async throws {
        var alpha = Fixtures.alpha
        alpha.values[5] += 0.5
        let matte = Matte(alpha: alpha, coefficients: Fixtures.matte.coefficients)
        let run = try await measure(subject(FakeMatting(time: time, matte: matte)))
        XCTAssertEqual(run.parity?.passed, false)
        XCTAssertEqual(try XCTUnwrap(run.parity?.alphaMaxAbs), 0.5, accuracy: 1e-6)
        XCTAssertEqual(run.invalidReasons, ["Parity with the golden matte failed."])
        XCTAssertFalse(run.summary.isEmpty, "its samples are kept")
    }

    func testACaseWithoutALimitIsAnError() async throws {
        let golden = GoldenCase(
            name: "none", guidance: Fixtures.ramp(3, 8, 8), weakMask: Fixtures.ramp(1, 8, 8),
            alpha: Fixtures.ramp(1, 8, 8), coefficients: Fixtures.ramp(4, 2, 2))
        let run = try await measure(subject(FakeMatting(time: time), golden: golden), golden: golden)
        XCTAssertEqual(run.error, "the case none has no limit for coreml fp16")
        XCTAssertFalse(run.valid)
    }

    func testTheSameBitsAsTheCPUMeanThatNothingElseRan() async throws {
        let run = try await measure(subject(FakeMatting(time: time)), cpu: Fixtures.matte)
        XCTAssertEqual(run.identicalToCpu, true)
        XCTAssertEqual(run.invalidReasons, ["Its output has the same bits as the CPU's, so only the CPU ran."])

        var coefficients = Fixtures.matte.coefficients
        coefficients.values[0] = -0.0
        let other = Matte(alpha: Fixtures.alpha, coefficients: coefficients)
        let real = try await measure(subject(FakeMatting(time: time)), cpu: other)
        XCTAssertEqual(real.identicalToCpu, false)
        XCTAssertTrue(real.valid)
    }

    func testTheCPUIsNotComparedWithItself() async throws {
        let run = try await measure(subject(FakeMatting(time: time), unit: .cpu), cpu: Fixtures.matte)
        XCTAssertNil(run.identicalToCpu)
        XCTAssertTrue(run.valid)
    }

    func testWhatTheRuntimeSaysIsInTheReport() async throws {
        let matting = FakeMatting(time: time, failure: IGFError("error 32: no method forward"))
        let run = try await measure(subject(matting))
        XCTAssertEqual(run.error, "error 32: no method forward")
        XCTAssertEqual(run.loadMs, 100)
        XCTAssertNil(run.firstMs)
        XCTAssertNil(run.parity)
        XCTAssertFalse(run.valid)
    }

    func testAClockThatRunsBackwardsIsNoticed() async throws {
        let matting = FakeMatting(time: time, runMs: Array(repeating: 10, count: 20) + [-500])
        let run = try await measure(subject(matting))
        XCTAssertEqual(run.error, "the clock ran backwards by 500.0 ms")
        XCTAssertFalse(run.valid)
    }

    func testASustainedRunHasItsThermalTimeline() async throws {
        var plan = MeasurementPlan.full
        plan.sustainedSeconds = 120
        let time = time
        let device = FakeDevice { time.nowMs() < 150_000 ? .nominal : .severe }
        let matting = FakeMatting(time: time, runMs: Array(repeating: 16, count: 11 + 3750 + 3000) + [32])
        let run = try await measure(subject(matting), plan: plan, device: device)
        let sustained = try XCTUnwrap(run.sustained)
        XCTAssertEqual(sustained.durationS, 120, accuracy: 0.04)
        XCTAssertEqual(sustained.samplesMs.count, 3000 + 2250)
        XCTAssertEqual(sustained.shareWithin16_7Ms, 3000.0 / 5250.0)
        XCTAssertEqual(sustained.shareWithin33_3Ms, 1)
        XCTAssertEqual(sustained.thermal.first?.state, .nominal)
        XCTAssertEqual(sustained.thermal.last?.state, .severe)
        XCTAssertEqual(sustained.thermal.count, 120, accuracy: 5)
        XCTAssertEqual(sustained.thermal.map(\.atS), sustained.thermal.map(\.atS).sorted())
        XCTAssertEqual(run.conditions.thermalEnd, .severe)
        XCTAssertTrue(run.valid, "it was cool at the start")
    }

    func testCancelledIsCancelled() async throws {
        let plan = MeasurementPlan.full
        let subject = subject(FakeMatting(time: time))
        let task = Task { [time] in
            withUnsafeCurrentTask { $0?.cancel() }
            return try await Measurement(plan: plan, time: time, device: FakeDevice())
                .run(subject, golden: Fixtures.golden(), cpu: nil)
        }
        do {
            _ = try await task.value
            XCTFail("it went on")
        } catch is CancellationError {}
    }
}
