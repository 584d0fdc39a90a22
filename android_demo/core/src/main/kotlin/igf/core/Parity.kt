package igf.core

import kotlin.math.abs
import kotlin.math.max

/** Distance of an alpha from the golden one, and whether it may be so. Field names as in the report's schema. */
data class Parity(
    val case: String,
    /** null when the output is not finite. */
    val alphaMaxAbs: Double?,
    val alphaMeanAbs: Double?,
    val limit: ParityLimit,
    val finite: Boolean,
    /** Every alpha is the same number: the distance proves nothing. */
    val constant: Boolean,
) {
    val passed: Boolean
        get() = finite && !constant && alphaMaxAbs != null && alphaMeanAbs != null &&
            alphaMaxAbs <= limit.maxAbs && alphaMeanAbs <= limit.meanAbs

    companion object {
        /** Hold [matte] to [golden]. */
        fun of(golden: GoldenCase, limit: ParityLimit, matte: Matte): Parity {
            val (alpha, expected) = matte.alpha.values to golden.alpha.values
            require(alpha.size == expected.size) { "an alpha of ${alpha.size} values, the golden one has ${expected.size}" }
            val finite = alpha.all(Float::isFinite) && matte.coefficients.values.all(Float::isFinite)
            val constant = alpha.all { it == alpha[0] }
            if (!finite) return Parity(golden.name, null, null, limit, finite, constant)
            var greatest = 0.0
            var sum = 0.0
            for (index in alpha.indices) {
                val distance = abs(alpha[index].toDouble() - expected[index].toDouble())
                greatest = max(greatest, distance)
                sum += distance
            }
            return Parity(golden.name, greatest, sum / alpha.size, limit, finite, constant)
        }
    }
}
