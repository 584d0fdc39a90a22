package igf.core

import java.nio.ByteBuffer

/**
 * One channel of a picture in memory as cameras and bitmaps give it.
 *
 * @property data absolute positions are used; its position and limit do not matter.
 * @property rowStride bytes from one row to the next, at least the row's own.
 * @property pixelStride bytes from one pixel to the next: 4 for a channel of RGBA, 1 or 2 for chroma of YUV_420_888.
 * @property offset byte of the first pixel.
 */
class BytePlane(
    private val data: ByteBuffer,
    val width: Int,
    val height: Int,
    private val rowStride: Int,
    private val pixelStride: Int,
    private val offset: Int = 0,
) {
    init {
        require(width > 0 && height > 0 && pixelStride > 0) { "a plane of $width x $height, pixel stride $pixelStride" }
        require(rowStride >= (width - 1) * pixelStride + 1) { "row stride $rowStride is shorter than $width pixels" }
        val last = offset + (height - 1) * rowStride + (width - 1) * pixelStride
        require(last < data.capacity()) { "$width x $height pixels need ${last + 1} bytes, the buffer has ${data.capacity()}" }
    }

    /** Resize to the taps' targets, into [out], row by row; values stay in 0..255. */
    fun resample(columns: AxisTaps, rows: AxisTaps, out: FloatArray) {
        val targetWidth = columns.first.size
        val line = FloatArray(width)
        for (y in rows.first.indices) {
            mixRows(rows.first[y], rows.weights[y], line)
            for (x in 0 until targetWidth) {
                val weights = columns.weights[x]
                val first = columns.first[x]
                var sum = 0f
                for (tap in weights.indices) sum += weights[tap] * line[first + tap]
                out[y * targetWidth + x] = sum
            }
        }
    }

    private fun mixRows(first: Int, weights: FloatArray, line: FloatArray) {
        line.fill(0f)
        for (tap in weights.indices) {
            var at = offset + (first + tap) * rowStride
            val weight = weights[tap]
            for (x in 0 until width) {
                line[x] += weight * (data.get(at).toInt() and 0xff)
                at += pixelStride
            }
        }
    }

    /** Copy into [out] without gaps, row by row, as a texture wants it. */
    fun copyTo(out: ByteBuffer) {
        out.clear()
        if (pixelStride == 1) {
            val rows = data.duplicate()
            for (y in 0 until height) {
                rows.limit(offset + y * rowStride + width).position(offset + y * rowStride)
                out.put(rows)
                rows.clear()
            }
        } else {
            for (y in 0 until height) for (x in 0 until width) out.put(data.get(offset + y * rowStride + x * pixelStride))
        }
        out.flip()
    }
}
