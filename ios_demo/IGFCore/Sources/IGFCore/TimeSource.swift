import Foundation

/// A monotonic clock and a way to wait; the tests have one that they move by hand.
public protocol TimeSource: Sendable {
    /// Milliseconds since some fixed moment.
    func nowMs() -> Double
    func sleep(seconds: Double) async throws
}

/// The system's monotonic clock.
public struct SystemTime: TimeSource {
    private let start = ContinuousClock.now

    public init() {}

    public func nowMs() -> Double {
        let elapsed = (ContinuousClock.now - start).components
        return Double(elapsed.seconds) * 1e3 + Double(elapsed.attoseconds) * 1e-15
    }

    public func sleep(seconds: Double) async throws {
        try await Task.sleep(for: .seconds(seconds))
    }
}

extension TimeSource {
    /// Milliseconds that `body` took.
    func time(_ body: () async throws -> Void) async throws -> Double {
        let start = nowMs()
        try await body()
        return nowMs() - start
    }
}
