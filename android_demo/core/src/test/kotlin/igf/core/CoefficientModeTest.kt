package igf.core

import java.nio.FloatBuffer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** Artifacts that end at the coefficients: alpha is the app's own work, and no part of the time. */
class CoefficientModeTest {
    private val clock = FakeClock()
    private val golden = goldenWithLimits()

    private fun artifact(layout: Layout) = artifact(layout, outputs = listOf("coefficients"))

    private fun matting(artifact: Artifact, spoil: (FloatBuffer) -> Unit = {}) = FakeMatting(artifact, golden, clock, spoil = spoil)

    private fun measure(artifact: Artifact, unit: ComputeUnit = ComputeUnit.CPU, cpu: Matte? = null, spoil: (FloatBuffer) -> Unit = {}) =
        Protocol(ProtocolConfig(), golden, clock, FakeSurroundings())
            .measure(Subject(artifact, unit, 4) { matting(artifact, spoil) }, cpu, false)

    @Test
    fun theGoldenCoefficientsPassInBothLayouts() {
        for (layout in Layout.values()) {
            val measured = measure(artifact(layout))
            val run = measured.run
            assertEquals(emptyList<String>(), run.invalidReasons)
            assertTrue("${run.parity}", run.parity!!.alphaMaxAbs!! in 1e-9..5e-6)
            assertTrue(run.stages.getValue("inference").all { it == 8.0 })
            assertTrue(measured.matte!!.alpha.values.contentEquals(golden.coefficients.apply(golden.guidance).values))
        }
    }

    @Test
    fun aWrongCoefficientTensorFails() {
        val spoils = mapOf<String, (FloatBuffer) -> Unit>(
            "differs" to { for (i in 0 until 4) it.put(i, it.get(i) + 0.5f) },
            "not finite" to { it.put(0, Float.NaN) },
            "constant" to { for (i in 0 until it.capacity()) it.put(i, 0f) },
        )
        for ((words, spoil) in spoils) {
            val run = measure(artifact(Layout.NHWC), spoil = spoil).run
            assertFalse(run.parity!!.passed)
            assertEquals(1, run.invalidReasons.count { words in it })
        }
    }

    @Test
    fun coefficientsOfAnotherPlaceFail() {
        val swapped = measure(artifact(Layout.NCHW)) { tensor ->
            for (i in 0 until 256) tensor.put(i, tensor.get(512 + i).also { tensor.put(512 + i, tensor.get(i)) })
        }
        assertFalse(swapped.run.parity!!.passed)
    }

    @Test
    fun oneOtherBitIsNotIdentical() {
        val artifact = artifact(Layout.NHWC)
        val cpu = measure(artifact).matte
        assertEquals(true, measure(artifact, ComputeUnit.GPU, cpu).run.identicalToCpu)
        val nudged = measure(artifact, ComputeUnit.GPU, cpu) { it.put(0, Math.nextUp(it.get(0))) }
        assertEquals(false, nudged.run.identicalToCpu)
        assertTrue(nudged.run.invalidReasons.isEmpty())
    }

    @Test
    fun aSessionHoldsThemToTheGoldenCase() {
        val artifact = artifact(Layout.NHWC)
        val runtime = object : Runtime {
            override val backend = "fake"

            override fun refusal(unit: ComputeUnit): String? = null

            override fun load(artifact: Artifact, path: String, unit: ComputeUnit, threads: Int) = matting(artifact)
        }
        val manifest = Manifest("igf", "0.1", golden.checkpointSha256, listOf(artifact), "f".repeat(64))
        val config = SessionConfig("verify", ProtocolConfig.VERIFY, units = setOf(ComputeUnit.GPU))
        val runs = Session(config, manifest, golden, listOf(runtime), { "/data/${it.file}" }, clock, FakeSurroundings()).run("r") {}
        assertTrue(runs.single().parity!!.passed)
        assertEquals(true, runs.single().identicalToCpu)
    }
}
