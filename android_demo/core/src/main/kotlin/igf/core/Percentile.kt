package igf.core

import kotlin.math.ceil

/**
 * Nearest rank: the smallest sample that at least [percent] of all samples do not exceed
 * (`shared_vectors/percentile.json`).
 *
 * @throws IllegalArgumentException for no samples, a NaN, or a percent outside (0, 100].
 */
fun percentile(samples: List<Double>, percent: Double): Double {
    require(samples.isNotEmpty()) { "percentile of no samples" }
    require(percent > 0.0 && percent <= 100.0) { "percent $percent is not in (0, 100]" }
    require(samples.none { it.isNaN() }) { "a sample is NaN" }
    return samples.sorted()[ceil(percent / 100.0 * samples.size).toInt() - 1]
}

/** Share of [samples] that are at most [limitMs]. */
fun shareWithin(samples: List<Double>, limitMs: Double): Double =
    samples.count { it <= limitMs }.toDouble() / samples.size
