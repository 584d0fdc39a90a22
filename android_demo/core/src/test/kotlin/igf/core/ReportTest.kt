package igf.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** The report of a session with fakes. Python validates the file that -Digf.report names against the schema. */
class ReportTest {
    private val clock = FakeClock()
    private val golden = goldenWithLimits()

    private fun report(fp32: Artifact = artifact(Layout.NCHW)): Report {
        val manifest = Manifest("igf-512", "0.1.0", golden.checkpointSha256, listOf(fp32), "e".repeat(64))
        val runtime = object : Runtime {
            override val backend = "fake"

            override fun refusal(unit: ComputeUnit): String? = null

            override fun load(artifact: Artifact, path: String, unit: ComputeUnit, threads: Int): Matting = when (unit) {
                ComputeUnit.NPU -> throw IllegalStateException("the driver refused the model")
                else -> FakeMatting(artifact, golden, clock, ms = { 40 + 10.0 * (it % 7) })
            }
        }
        val protocol = ProtocolConfig(sustainedS = 90.0)
        val session = Session(SessionConfig("measure", protocol), manifest, golden, listOf(runtime), { it.file }, clock, FakeSurroundings())
        val device = DeviceFacts("Made-up", "Fake 1", "15 (API 35)", null, 8, 8_000_000_000)
        return Report("2026-11-22T22:00:00Z", AppFacts("igf matte", "0.1.0"), manifest, device, session.run("r") {}, kind = "fixture")
    }

    @Test
    fun holdsWhatWasMeasured() {
        val text = report().toJson()
        System.getProperty("igf.report")?.let { File(it).writeText(text) }
        assertTrue("\"coefficients_only\": false" in text)
        val (cpu, gpu, npu) = JsonFields.parse(text, "report").children("runs")
        assertEquals(emptyList<String>(), cpu.texts("invalid_reasons"))
        val samples = cpu.child("stages").numbers("inference")
        assertEquals(percentile(samples, 95.0), cpu.child("summary").child("inference").number("p95_ms"), 0.0)
        assertEquals(samples.size.toLong(), cpu.child("summary").child("inference").integer("iterations"))
        assertEquals(0.0, cpu.child("sustained").number("share_within_33_3_ms"), 0.0)
        assertTrue(gpu.texts("invalid_reasons").single().endsWith("it did not run there"))
        assertEquals("IllegalStateException: the driver refused the model", npu.text("error"))
        assertTrue(npu.texts("invalid_reasons").first().startsWith("the run broke off"))
    }

    @Test
    fun saysThatArtifactsEndAtTheCoefficients() {
        val text = report(artifact(Layout.NCHW, outputs = listOf("coefficients"))).toJson()
        assertTrue("\"coefficients_only\": true" in text)
    }
}
