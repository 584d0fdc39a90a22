package igf.core

import kotlin.math.abs
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class GoldenMatteTest {
    private val golden = Vectors.matte()

    private fun distance(alpha: Plane) = alpha.values.indices.maxOf { abs(alpha.values[it] - golden.alpha.values[it]) }

    @Test
    fun coefficientsGiveTheGoldenAlpha() {
        val error = distance(golden.coefficients.apply(golden.guidance))
        assertTrue("error $error", error <= TOLERANCE)
    }

    @Test
    fun swappedRedAndBlueDoNot() {
        val error = distance(golden.coefficients.apply(golden.guidance.reversed()))
        assertTrue("error $error", error > 100 * TOLERANCE)
    }

    @Test
    fun cornerAlignedCoefficientsDoNot() {
        // The bug that half-pixel centres prevent: coefficients a quarter block off.
        val shifted = Coefficients(16, 16, golden.coefficients.values.let { v -> FloatArray(v.size) { v[maxOf(it - 4, it % 4)] } })
        assertTrue(distance(shifted.apply(golden.guidance)) > 100 * TOLERANCE)
    }

    @Test
    fun bothLayoutsUnpackToTheSame() {
        for (layout in Layout.values()) {
            val artifact = artifact(layout)
            FakeMatting(artifact, golden, FakeClock()).use { matting ->
                matting.fill(artifact, golden)
                matting.run()
                val matte = matting.matte(artifact) { error("alpha is one of the outputs") }
                assertEquals(0f, distance(matte.alpha), 0f)
                assertTrue(matte.coefficients.values.contentEquals(golden.coefficients.values))
                val green = unpack(artifact.guidance, matting.guidance, "green")
                assertTrue(green.values.contentEquals(golden.guidance[1].values))
            }
        }
    }

    @Test
    fun layoutsDifferInMemory() {
        val (planar, interleaved) = Layout.values().map { layout ->
            val artifact = artifact(layout)
            FakeMatting(artifact, golden, FakeClock()).also { it.fill(artifact, golden) }.guidance
        }
        assertEquals(planar.get(64 * 64), interleaved.get(1), 0f)
        assertTrue(planar != interleaved)
    }

    @Test
    fun aChangedByteIsRefused() {
        val open = Vectors.case("matte")
        for (tensor in listOf("guidance", "weak_mask", "alpha", "coefficients")) {
            assertThrows(IgfException::class.java) {
                GoldenCase.read { name -> open(name).also { if (name == "$tensor.f32") it[it.size - 1] = (it.last() + 1).toByte() } }
            }
        }
    }

    private companion object {
        /** Of float32 sums of four products in another order than torch's; measured 2e-6. */
        const val TOLERANCE = 5e-6f
    }
}
