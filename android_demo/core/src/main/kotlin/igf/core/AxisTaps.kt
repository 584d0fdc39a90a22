package igf.core

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * How each position of a resized axis is mixed from source positions. Pixel centres are at halves, as in
 * `images.resize` in Python.
 */
class AxisTaps private constructor(
    /** First source position of each target position. */
    val first: IntArray,
    /** Weights of the source positions from [first] on; they sum to 1. */
    val weights: Array<FloatArray>,
) {
    companion object {
        /** Average where the axis shrinks, bilinear where it grows. */
        fun of(source: Int, target: Int): AxisTaps {
            require(source > 0 && target > 0) { "cannot resize $source pixels to $target" }
            if (target >= source) return bilinear(source, target)
            val first = IntArray(target)
            return AxisTaps(first, Array(target) { average(it, source, target, first) })
        }

        /** Bilinear in either direction, as a texture is sampled. */
        fun bilinear(source: Int, target: Int): AxisTaps {
            require(source > 0 && target > 0) { "cannot resize $source pixels to $target" }
            val first = IntArray(target)
            return AxisTaps(first, Array(target) { linear(it, source, target, first) })
        }

        private fun average(position: Int, source: Int, target: Int, first: IntArray): FloatArray {
            val scale = source.toDouble() / target
            val start = position * scale
            val end = min((position + 1) * scale, source.toDouble())
            first[position] = floor(start + EDGE).toInt()
            val last = min(ceil(end - EDGE).toInt(), source)
            return FloatArray(last - first[position]) { tap ->
                val pixel = first[position] + tap
                ((min(end, pixel + 1.0) - max(start, pixel.toDouble())) / (end - start)).toFloat()
            }
        }

        private fun linear(position: Int, source: Int, target: Int, first: IntArray): FloatArray {
            val centre = ((position + 0.5) * source / target - 0.5).coerceIn(0.0, source - 1.0)
            first[position] = min(centre.toInt(), max(source - 2, 0))
            val fraction = (centre - first[position]).toFloat()
            return if (source == 1) floatArrayOf(1f) else floatArrayOf(1f - fraction, fraction)
        }

        /** A pixel covered by less than this share of one is rounding of the division, not coverage. */
        private const val EDGE = 1e-9
    }
}
