/// Percentiles of one stage, in milliseconds.
public struct LatencySummary: Codable, Equatable, Sendable {
    public let medianMs: Double
    public let p90Ms: Double
    public let p95Ms: Double
    public let p99Ms: Double
    public let minimumMs: Double
    /// How many samples.
    public let iterations: Int

    enum CodingKeys: String, CodingKey {
        case medianMs = "median_ms"
        case p90Ms = "p90_ms"
        case p95Ms = "p95_ms"
        case p99Ms = "p99_ms"
        case minimumMs = "minimum_ms"
        case iterations
    }

    /// Throws `IGFError` for no samples or a NaN.
    public init(of samples: [Double]) throws {
        medianMs = try percentile(samples, 50)
        p90Ms = try percentile(samples, 90)
        p95Ms = try percentile(samples, 95)
        p99Ms = try percentile(samples, 99)
        minimumMs = samples.min()!
        iterations = samples.count
    }
}
