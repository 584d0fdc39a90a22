package igf.core

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** Weak masks, 1 inside and 0 outside, at the network's size. */
object WeakMask {
    /** Below and above these shares of foreground a matte is taken for lost, and the scribble counts again. */
    private const val LEAST_SHARE = 0.002
    private const val GREATEST_SHARE = 0.98

    /**
     * What a finger drew: each stroke is a line of a brush's width and the inside of its closed outline, so a
     * circle around a thing marks the thing, and a dab marks a spot.
     *
     * @param strokes points (x, y) in [0,1] of the upright picture.
     * @param brush radius in pixels of the mask.
     */
    fun fromScribble(strokes: List<List<Pair<Float, Float>>>, height: Int, width: Int, brush: Float): Plane {
        val mask = Plane(height, width, FloatArray(height * width))
        for (stroke in strokes) {
            val points = stroke.map { (x, y) -> x * width to y * height }
            fillOutline(points, mask)
            points.forEachIndexed { index, point -> drawLine(points[max(index - 1, 0)], point, brush, mask) }
        }
        return mask
    }

    /**
     * The next frame's mask from the last one's alpha: at least half opaque is inside. Falls back to [scribble]
     * where the matte was lost.
     */
    fun fromAlpha(alpha: Plane, scribble: Plane): Plane {
        val inside = alpha.values.count { it >= 0.5f }.toDouble() / alpha.values.size
        if (inside < LEAST_SHARE || inside > GREATEST_SHARE) return scribble
        return Plane(alpha.height, alpha.width, FloatArray(alpha.values.size) { if (alpha.values[it] >= 0.5f) 1f else 0f })
    }

    /** Even-odd rule at pixel centres. */
    private fun fillOutline(points: List<Pair<Float, Float>>, mask: Plane) {
        if (points.size < 3) return
        for (row in 0 until mask.height) {
            val y = row + 0.5f
            val crossings = points.indices.mapNotNull { crossing(points[it], points[(it + 1) % points.size], y) }.sorted()
            for ((from, to) in crossings.chunked(2).filter { it.size == 2 }) {
                val start = max(ceil(from - 0.5f).toInt(), 0)
                for (x in start..min(floor(to - 0.5f).toInt(), mask.width - 1)) mask.values[row * mask.width + x] = 1f
            }
        }
    }

    private fun crossing(a: Pair<Float, Float>, b: Pair<Float, Float>, y: Float): Float? {
        if ((a.second <= y) == (b.second <= y)) return null
        return a.first + (y - a.second) / (b.second - a.second) * (b.first - a.first)
    }

    private fun drawLine(a: Pair<Float, Float>, b: Pair<Float, Float>, brush: Float, mask: Plane) {
        val (left, right) = minOf(a.first, b.first) - brush to maxOf(a.first, b.first) + brush
        val (top, bottom) = minOf(a.second, b.second) - brush to maxOf(a.second, b.second) + brush
        for (y in max(top.toInt(), 0)..min(bottom.toInt(), mask.height - 1)) {
            for (x in max(left.toInt(), 0)..min(right.toInt(), mask.width - 1)) {
                if (squaredDistance(x + 0.5f, y + 0.5f, a, b) <= brush * brush) mask.values[y * mask.width + x] = 1f
            }
        }
    }

    private fun squaredDistance(x: Float, y: Float, a: Pair<Float, Float>, b: Pair<Float, Float>): Float {
        val (dx, dy) = b.first - a.first to b.second - a.second
        val length = dx * dx + dy * dy
        val along = if (length == 0f) 0f else (((x - a.first) * dx + (y - a.second) * dy) / length).coerceIn(0f, 1f)
        val (offX, offY) = x - (a.first + along * dx) to y - (a.second + along * dy)
        return offX * offX + offY * offY
    }
}
