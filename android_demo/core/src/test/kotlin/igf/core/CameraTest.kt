package igf.core

import java.nio.ByteBuffer
import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class CameraTest {
    private val files = CaseFiles.read(Vectors.case("camera"))
    private val frame = files.description.child("frame")
    private val width = frame.integer("width").toInt()
    private val height = frame.integer("height").toInt()
    private val rowStride = frame.integer("row_stride").toInt()

    private fun bytes(name: String): ByteBuffer {
        val content = Vectors.file("camera/$name").readBytes()
        assertEquals(files.description.child("frame_sha256").text(name), sha256(content))
        return ByteBuffer.allocateDirect(content.size).apply { put(content); rewind() }
    }

    private fun yuv(): YuvFrame {
        val chroma = bytes("uv.u8")
        fun plane(offset: Int) = BytePlane(chroma, width / 2, height / 2, rowStride, 2, offset)
        return YuvFrame(BytePlane(bytes("y.u8"), width, height, rowStride, 1), plane(0), plane(1))
    }

    private fun guidance(layout: Layout) = spec("guidance", layout, 32, 32, "red", "green", "blue")

    private fun errors(expected: String, layout: Layout, fill: (TensorSpec, java.nio.FloatBuffer) -> Unit): Float {
        val spec = guidance(layout)
        val buffer = floatBuffer(spec)
        fill(spec, buffer)
        val planes = files.tensor(expected)
        return listOf("red", "green", "blue").indices.maxOf { channel ->
            val found = unpack(spec, buffer, spec.channels[channel]).values
            found.indices.maxOf { abs(found[it] - planes[channel].values[it]) }
        }
    }

    @Test
    fun rgbaRowsWithPaddingGiveTheGoldenGuidance() {
        for (layout in Layout.values()) {
            val error = errors("guidance_rgba", layout) { spec, out ->
                GuidancePacker(spec).packRgba(bytes("rgba.u8"), width, height, rowStride, out)
            }
            assertTrue("$layout: $error", error <= TOLERANCE)
        }
    }

    @Test
    fun yuvPlanesWithStridesGiveTheGoldenGuidance() {
        for (layout in Layout.values()) {
            val error = errors("guidance_yuv", layout) { spec, out -> GuidancePacker(spec).packYuv(yuv(), out) }
            assertTrue("$layout: $error", error <= TOLERANCE)
        }
    }

    @Test
    fun swappedChromaDoesNot() {
        val frame = yuv()
        val error = errors("guidance_yuv", Layout.NCHW) { spec, out ->
            GuidancePacker(spec).packYuv(YuvFrame(frame.y, frame.v, frame.u), out)
        }
        assertTrue("$error", error > 100 * TOLERANCE)
    }

    @Test
    fun anIgnoredRowStrideDoesNot() {
        val error = errors("guidance_rgba", Layout.NCHW) { spec, out ->
            GuidancePacker(spec).packRgba(bytes("rgba.u8"), width, height, 4 * width, out)
        }
        assertTrue("$error", error > 100 * TOLERANCE)
    }

    @Test
    fun channelOrderComesFromTheManifest() {
        val reversed = spec("guidance", Layout.NHWC, 32, 32, "blue", "green", "red")
        val out = floatBuffer(reversed)
        GuidancePacker(reversed).packRgba(bytes("rgba.u8"), width, height, rowStride, out)
        val red = files.tensor("guidance_rgba").first().values[0]
        assertEquals(red, out.get(2), TOLERANCE)
    }

    @Test
    fun rangeComesFromTheManifest() {
        val wide = guidance(Layout.NCHW).copy(minimum = -1.0, maximum = 1.0)
        val out = floatBuffer(wide)
        GuidancePacker(wide).packRgba(bytes("rgba.u8"), width, height, rowStride, out)
        assertEquals(2 * files.tensor("guidance_rgba").first().values[0] - 1, out.get(0), 2 * TOLERANCE)
    }

    /** 2 x 3 pixels that are all different, turned by each quarter. */
    @Test
    fun turnsThePictureUpright() {
        val picture = ByteBuffer.wrap(ByteArray(24) { if (it % 4 == 0) (it / 4 * 40).toByte() else 0 })
        val expected = mapOf(
            0 to listOf(0, 1, 2, 3, 4, 5), 90 to listOf(3, 0, 4, 1, 5, 2),
            180 to listOf(5, 4, 3, 2, 1, 0), 270 to listOf(2, 5, 1, 4, 0, 3),
        )
        for ((rotation, order) in expected) {
            val (h, w) = if (rotation % 180 == 0) 2 to 3 else 3 to 2
            val spec = spec("guidance", Layout.NCHW, h, w, "red", "green", "blue")
            val out = floatBuffer(spec)
            GuidancePacker(spec, rotation).packRgba(picture, 3, 2, 12, out)
            val found = unpack(spec, out, "red").values.map { Math.round(it * 255f / 40f) }
            assertEquals("$rotation degrees", order, found)
        }
        assertThrows(IllegalArgumentException::class.java) { GuidancePacker(guidance(Layout.NCHW), 45) }
    }

    /** The GPU samples the frame where the packer took the pixel from. */
    @Test
    fun theShadersTurnIsThePackersTurn() {
        val picture = ByteBuffer.wrap(ByteArray(24) { if (it % 4 == 0) (it / 4 * 40).toByte() else 0 })
        for (rotation in listOf(0, 90, 180, 270)) {
            val (h, w) = if (rotation % 180 == 0) 2 to 3 else 3 to 2
            val spec = spec("guidance", Layout.NCHW, h, w, "red", "green", "blue")
            val out = floatBuffer(spec)
            GuidancePacker(spec, rotation).packRgba(picture, 3, 2, 12, out)
            val turn = Turn.toFrame(rotation)
            for (y in 0 until h) for (x in 0 until w) {
                val (u, v) = (x + 0.5f) / w to (y + 0.5f) / h
                val column = ((turn[0] * u + turn[3] * v + turn[6]) * 3).toInt()
                val row = ((turn[1] * u + turn[4] * v + turn[7]) * 2).toInt()
                assertEquals((row * 3 + column) * 40 / 255f, out.get(y * w + x), 1e-6f)
            }
        }
    }

    @Test
    fun copiesAPlaneWithoutItsGaps() {
        val data = ByteBuffer.wrap(ByteArray(12) { it.toByte() })
        val out = ByteBuffer.allocate(4)
        BytePlane(data, 2, 2, 6, 2, 1).copyTo(out)
        assertArrayEquals(byteArrayOf(1, 3, 7, 9), out.array())
        BytePlane(data, 2, 2, 6, 1).copyTo(out)
        assertArrayEquals(byteArrayOf(0, 1, 6, 7), out.array())
    }

    @Test
    fun refusesABufferThatIsTooSmall() {
        val error = assertThrows(IllegalArgumentException::class.java) { BytePlane(ByteBuffer.allocate(11), 2, 2, 8, 4) }
        assertEquals("2 x 2 pixels need 13 bytes, the buffer has 11", error.message)
    }

    /** Against a plain double loop over every source pixel's overlap. */
    @Test
    fun averagesAsAnIndependentSumDoes() {
        for ((source, target) in listOf(7 to 3, 80 to 32, 5 to 5, 1280 to 512, 3 to 2)) {
            val taps = AxisTaps.of(source, target)
            for (position in 0 until target) {
                assertEquals(1f, taps.weights[position].sum(), 1e-5f)
                val found = taps.weights[position].withIndex().sumOf { (tap, weight) -> weight.toDouble() * (taps.first[position] + tap) }
                var expected = 0.0
                for (step in 0 until 1000) expected += Math.floor((position + (step + 0.5) / 1000) * source / target) / 1000
                assertEquals(expected, found, 0.01)
            }
        }
    }

    private companion object {
        /** A third of a millistep of 8 bits: float32 sums in another order than OpenCV's. */
        const val TOLERANCE = 1.5e-6f
    }
}
