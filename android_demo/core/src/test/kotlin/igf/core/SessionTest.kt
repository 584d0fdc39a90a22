package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class SessionTest {
    private val clock = FakeClock()
    private val golden = goldenWithLimits()
    private val fp32 = artifact(Layout.NCHW)
    private val told = ArrayList<Progress>()
    private val saved = ArrayList<Int>()
    private var cancel = false

    private val runtime = object : Runtime {
        override val backend = "fake"

        override fun refusal(unit: ComputeUnit) = if (unit == ComputeUnit.NPU) "there is no NPU" else null

        override fun load(artifact: Artifact, path: String, unit: ComputeUnit, threads: Int): Matting {
            assertEquals("/data/${artifact.file}", path)
            return FakeMatting(artifact, golden, clock)
        }
    }

    private fun manifest(vararg artifacts: Artifact, checkpoint: String = golden.checkpointSha256) =
        Manifest("igf", "0.1", checkpoint, artifacts.toList(), "f".repeat(64))

    private fun session(config: SessionConfig, manifest: Manifest = manifest(fp32, artifact(Layout.NHWC, "coreml"))) =
        Session(config, manifest, golden, listOf(runtime), { "/data/${it.file}" }, clock, FakeSurroundings(), { cancel }) { told.add(it) }

    private fun run(config: SessionConfig = SessionConfig("verify", ProtocolConfig.VERIFY), manifest: Manifest = manifest(fp32)) =
        session(config, manifest).run("/sdcard/r.json") { saved.add(it.size) }

    @Test
    fun runsTheCpuFirstAndSaysWhatIsRefused() {
        val runs = run()
        assertEquals(listOf(ComputeUnit.CPU, ComputeUnit.GPU), runs.map { it.requested })
        assertEquals(listOf(1, 2), saved)
        assertEquals(true, runs[1].identicalToCpu)
        assertTrue(told.any { it.event == "refused" && "there is no NPU" in it.line })
        assertEquals(listOf("refused", "session"), told.take(2).map { it.event })
        assertEquals("finished", told.last().event)
        assertEquals(4, runs[0].threads)
        assertEquals(null, runs[1].threads)
    }

    @Test
    fun comparesWithTheCpuEvenWhereItWasNotAskedFor() {
        val runs = run(SessionConfig("verify", ProtocolConfig.VERIFY, units = setOf(ComputeUnit.GPU)))
        assertEquals(listOf(true), runs.map { it.identicalToCpu })
    }

    @Test
    fun leavesOtherBackendsAlone() = assertEquals(2, session(SessionConfig("verify", ProtocolConfig.VERIFY)).run("r") {}.size)

    @Test
    fun refusesABuildOfAnotherCheckpoint() {
        val error = assertThrows(IgfException::class.java) { run(manifest = manifest(fp32, checkpoint = "0".repeat(64))) }
        assertTrue(error.message!!, "checkpoint" in error.message!!)
    }

    @Test
    fun refusesFilesThatAreNotThere() {
        val config = SessionConfig("verify", ProtocolConfig.VERIFY, files = setOf("x.tflite"))
        val error = assertThrows(IgfException::class.java) { run(config) }
        assertEquals("no runtime here takes x.tflite; there are igf-fake-fp32.bin", error.message)
        assertThrows(IgfException::class.java) { SessionConfig("bench", ProtocolConfig()) }
        assertThrows(IgfException::class.java) { run(SessionConfig("verify", ProtocolConfig.VERIFY, units = setOf(ComputeUnit.NPU))) }
        assertThrows(IgfException::class.java) { ComputeUnit.of("tpu") }
    }

    @Test
    fun stopsBetweenRuns() {
        val runs = session(SessionConfig("verify", ProtocolConfig.VERIFY)).run("r") { cancel = true }
        assertEquals(1, runs.size)
    }

    @Test
    fun progressLinesAreJson() {
        run()
        for (progress in told) {
            val fields = JsonFields.parse(progress.line, "line")
            assertEquals(progress.event, fields.text("event"))
        }
        val done = JsonFields.parse(told.first { it.event == "run_done" }.line, "line")
        assertEquals("igf-fake-fp32.bin", done.text("file"))
    }
}
