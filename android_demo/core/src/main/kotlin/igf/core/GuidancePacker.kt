package igf.core

import java.nio.ByteBuffer
import java.nio.FloatBuffer

/** A camera frame: three planes of YUV 4:2:0. */
class YuvFrame(val y: BytePlane, val u: BytePlane, val v: BytePlane) {
    init {
        val half = (y.width + 1) / 2 to (y.height + 1) / 2
        for (plane in listOf(u, v)) {
            require(plane.width to plane.height == half) { "chroma of ${plane.width} x ${plane.height} for ${y.width} x ${y.height}" }
        }
    }
}

/**
 * Fills the `guidance` tensor: squeezed to the network's size, turned upright, in the manifest's layout,
 * channel order and range. YUV is BT.601 full range (JFIF), what Camera2 gives for YUV_420_888.
 *
 * One packer serves one picture size at a time and reuses its memory; it is not for several threads.
 *
 * @param rotation degrees clockwise that turn the picture upright: 0, 90, 180 or 270.
 */
class GuidancePacker(private val spec: TensorSpec, rotation: Int = 0) {
    private val turned = turned(rotation)
    private val height = if (turned % 2 == 0) spec.height else spec.width
    private val width = if (turned % 2 == 0) spec.width else spec.height
    private val planes = Array(3) { FloatArray(height * width) }
    private val targets = IntArray(height * width) { upright(it) * spec.pixelStride }
    private val offsets = intArrayOf(spec.offset("red"), spec.offset("green"), spec.offset("blue"))
    private val low = (spec.minimum ?: 0.0).toFloat()
    private val scale = ((spec.maximum ?: 1.0) - (spec.minimum ?: 0.0)).toFloat() / 255f
    private val taps = HashMap<Pair<Int, Int>, AxisTaps>()

    /** Pack RGBA bytes: [rowStride] bytes a row, 4 bytes a pixel. */
    fun packRgba(data: ByteBuffer, width: Int, height: Int, rowStride: Int, out: FloatBuffer) {
        for (channel in 0 until 3) resample(BytePlane(data, width, height, rowStride, 4, channel), planes[channel])
        val (red, green, blue) = planes
        for (pixel in targets.indices) put(out, pixel, red[pixel], green[pixel], blue[pixel])
    }

    /** Pack a camera frame. Each plane is resized first: averaging and the conversion are both linear. */
    fun packYuv(frame: YuvFrame, out: FloatBuffer) {
        resample(frame.y, planes[0])
        resample(frame.u, planes[1])
        resample(frame.v, planes[2])
        val (luma, blueness, redness) = planes
        for (pixel in targets.indices) {
            val u = blueness[pixel] - 128f
            val v = redness[pixel] - 128f
            val y = luma[pixel]
            put(out, pixel, y + 1.402f * v, y - 0.344136f * u - 0.714136f * v, y + 1.772f * u)
        }
    }

    private fun resample(plane: BytePlane, out: FloatArray) =
        plane.resample(axis(plane.width, width), axis(plane.height, height), out)

    private fun axis(source: Int, target: Int) = taps.getOrPut(source to target) { AxisTaps.of(source, target) }

    private fun put(out: FloatBuffer, pixel: Int, red: Float, green: Float, blue: Float) {
        val at = targets[pixel]
        out.put(at + offsets[0], low + scale * red.coerceIn(0f, 255f))
        out.put(at + offsets[1], low + scale * green.coerceIn(0f, 255f))
        out.put(at + offsets[2], low + scale * blue.coerceIn(0f, 255f))
    }

    /** Index in the upright picture of a pixel of the picture as it lies. */
    private fun upright(pixel: Int): Int {
        val (x, y) = pixel % width to pixel / width
        return when (turned) {
            0 -> y * spec.width + x
            1 -> x * spec.width + (height - 1 - y)
            2 -> (height - 1 - y) * spec.width + (width - 1 - x)
            else -> (width - 1 - x) * spec.width + y
        }
    }

    private companion object {
        fun turned(rotation: Int): Int {
            require(rotation in 0..270 && rotation % 90 == 0) { "rotation $rotation is not one of 0, 90, 180, 270" }
            return rotation / 90
        }
    }
}
