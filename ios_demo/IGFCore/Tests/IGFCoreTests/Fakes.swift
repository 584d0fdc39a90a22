import Foundation

@testable import IGFCore

/// A clock that the tests move; sleeping moves it too.
final class FakeTime: TimeSource, @unchecked Sendable {
    private let lock = NSLock()
    private var now = 1000.0
    private var slept: [Double] = []

    func nowMs() -> Double { lock.withLock { now } }
    func advance(ms: Double) { lock.withLock { now += ms } }
    var sleeps: [Double] { lock.withLock { slept } }

    func sleep(seconds: Double) async throws {
        lock.withLock {
            slept.append(seconds)
            now += seconds * 1e3
        }
    }
}

/// A device whose thermal state follows the clock.
struct FakeDevice: DeviceConditions {
    var thermal: @Sendable () -> ThermalState = { .nominal }

    func thermalState() -> ThermalState { thermal() }
    func power() -> PowerSource { .battery }
    func batteryLevel() -> Double? { 0.8 }
    func lowPowerMode() -> Bool? { false }
}

/// A runtime that takes as long as it is told and gives the matte it is told.
actor FakeMatting: Matting {
    nonisolated let artifact = Fixtures.artifact()
    nonisolated let residency = Residency(plannedOperators: [.npu: 40], undecided: 0)
    private let time: FakeTime
    private let matte: Matte
    /// Milliseconds of each run in turn; the last one goes on.
    private var runMs: [Double]
    private var prepared = false
    private let failure: IGFError?

    init(time: FakeTime, matte: Matte = Fixtures.matte, runMs: [Double] = [10], failure: IGFError? = nil) {
        self.time = time
        self.matte = matte
        self.runMs = runMs
        self.failure = failure
    }

    func prepare(guidance: Planes, weakMask: Planes) throws {
        prepared = true
        time.advance(ms: 2)
    }

    func run() throws -> Matte {
        guard prepared else { throw IGFError("nothing in the inputs") }
        if let failure { throw failure }
        time.advance(ms: runMs.count > 1 ? runMs.removeFirst() : runMs[0])
        return matte
    }
}
