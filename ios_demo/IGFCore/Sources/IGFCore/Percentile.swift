/// Nearest rank: the smallest sample that at least `percent` of all samples do not exceed.
///
/// The rule of `shared_vectors/percentile.json`, the same in Python, Kotlin and Swift. Throws `IGFError` for
/// no samples, a NaN, or a percent outside (0, 100].
public func percentile(_ samples: [Double], _ percent: Double) throws -> Double {
    guard !samples.isEmpty else { throw IGFError("percentile of no samples") }
    guard percent > 0, percent <= 100 else { throw IGFError("percent \(percent) is not in (0, 100]") }
    guard !samples.contains(where: \.isNaN) else { throw IGFError("percentile of samples with NaN") }
    let rank = (percent / 100 * Double(samples.count)).rounded(.up)
    return samples.sorted()[Int(rank) - 1]
}

/// Share of the samples that are at most `limit`, 0 to 1; nil of no samples.
public func share(of samples: [Double], within limit: Double) -> Double? {
    samples.isEmpty ? nil : Double(samples.count { $0 <= limit }) / Double(samples.count)
}
