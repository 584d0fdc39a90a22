package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class ProtocolTest {
    private val clock = FakeClock()
    private val surroundings = FakeSurroundings()
    private val golden = goldenWithLimits()
    private val artifact = artifact(Layout.NHWC)
    private val told = ArrayList<Progress>()

    private fun protocol(config: ProtocolConfig = ProtocolConfig(), cancelled: () -> Boolean = { false }) =
        Protocol(config, golden, clock, surroundings, cancelled) { told.add(it) }

    private fun subject(unit: ComputeUnit = ComputeUnit.CPU, matting: FakeMatting = FakeMatting(artifact, golden, clock)) =
        Subject(artifact, unit, 4) {
            clock.sleep(120)
            matting
        }

    private fun measure(protocol: Protocol = protocol(), subject: Subject = subject(), cpu: Matte? = null, rest: Boolean = false) =
        protocol.measure(subject, cpu, rest).run

    @Test
    fun measuresLoadFirstAndSteadyApart() {
        val matting = FakeMatting(artifact, golden, clock, ms = { call -> if (call == 0) 90.0 else if (call <= 10) 30.0 else 8.0 })
        val run = measure(subject = subject(matting = matting))
        assertEquals(120.0, run.loadMs!!, 1e-9)
        assertEquals(90.0, run.firstMs!!, 1e-9)
        assertEquals(10, run.warmUp)
        val samples = run.stages.getValue("inference")
        assertTrue(samples.all { it == 8.0 })
        assertEquals(7500, samples.size)
        assertEquals(60.0, run.durationS!!, 1e-9)
        assertEquals(emptyList<String>(), run.invalidReasons)
        assertTrue(matting.closed)
    }

    @Test
    fun aSlowPhoneStillMakesFiftyRuns() {
        val run = measure(subject = subject(matting = FakeMatting(artifact, golden, clock, ms = { 2000.0 })))
        assertEquals(50, run.stages.getValue("inference").size)
        assertEquals(100.0, run.durationS!!, 1e-9)
        assertTrue(run.invalidReasons.isEmpty())
    }

    @Test
    fun fewerRunsOrSecondsAreNotValid() {
        val few = measure(protocol(ProtocolConfig(steadyRuns = 10, steadyS = 0.0)))
        assertEquals(listOf("10 runs are fewer than 50", "0.1 s are shorter than 60 s"), few.invalidReasons)
    }

    @Test
    fun refusesToStartHot() {
        surroundings.state = { ThermalState.MODERATE }
        val run = measure(protocol(ProtocolConfig(hotLimitS = 30.0)))
        assertEquals("refused to start: the device is still hot (moderate) after 30 s", run.error)
        assertNull(run.loadMs)
        assertEquals(30_000_000_000L, clock.now)
        assertTrue(run.invalidReasons.any { it.startsWith("it started hot") })
    }

    @Test
    fun waitsUntilItIsCool() {
        surroundings.state = { if (clock.now < 20_000_000_000L) ThermalState.SEVERE else ThermalState.LIGHT }
        val run = measure()
        assertEquals(ThermalState.LIGHT, run.conditions.thermalStart)
        assertTrue(run.invalidReasons.isEmpty())
        assertTrue(told.any { "too_hot" in it.line })
    }

    @Test
    fun restsBetweenRuns() {
        val start = clock.now
        measure(protocol(ProtocolConfig(steadyS = 0.0, coolDownS = 60.0)), rest = true)
        assertTrue(clock.secondsSince(start) >= 60.0)
        val (first, last) = told.filter { "cool_down" in it.line }.let { it.first() to it.last() }
        assertTrue(first.line, "\"done\":0.0,\"of\":60.0" in first.line)
        assertTrue(last.line, "\"done\":59.0" in last.line)
    }

    @Test
    fun samplesTheHeatEverySecondOfASustainedRun() {
        val run = measure(protocol(ProtocolConfig(sustainedS = 10.0)))
        val sustained = run.sustained!!
        assertEquals((0..9).map { it.toDouble() }, sustained.thermal.map { Math.rint(it.atS) })
        assertTrue(sustained.thermal.zipWithNext().all { (a, b) -> b.atS - a.atS >= 1.0 })
        assertEquals(0.4, sustained.thermal[0].reading.headroom!!, 0.0)
        assertEquals(10.0, sustained.durationS, 0.01)
        assertEquals(1250, sustained.samplesMs.size)
    }

    @Test
    fun outputIdenticalToTheCpusIsToldAndNotValid() {
        val cpu = protocol().measure(subject(), null, false).matte
        val run = measure(subject = subject(ComputeUnit.GPU), cpu = cpu)
        assertEquals(true, run.identicalToCpu)
        assertEquals(listOf("the gpu's output is bit-identical to the CPU's: it did not run there"), run.invalidReasons)
        assertEquals("cpu", run.used.used)
    }

    @Test
    fun oneOtherBitIsNotIdentical() {
        val cpu = protocol().measure(subject(), null, false).matte
        val nudged = FakeMatting(artifact, golden, clock, spoil = { it.put(0, Math.nextUp(it.get(0))) })
        val run = measure(subject = subject(ComputeUnit.GPU, nudged), cpu = cpu)
        assertEquals(false, run.identicalToCpu)
        assertTrue(run.invalidReasons.isEmpty())
    }

    @Test
    fun withoutTheCpusOutputNothingIsSaid() {
        assertNull(measure(subject = subject(ComputeUnit.GPU)).identicalToCpu)
        assertNull(measure().identicalToCpu)
    }

    @Test
    fun aWrongMatteIsNotValid() {
        val spoils = mapOf<String, (java.nio.FloatBuffer) -> Unit>(
            "differs" to { it.put(5, 1f - it.get(5)) },
            "not finite" to { it.put(0, Float.NaN) },
            "constant" to { for (i in 0 until it.capacity()) it.put(i, 0.5f) },
        )
        for ((words, spoil) in spoils) {
            val run = measure(subject = subject(matting = FakeMatting(artifact, golden, clock, spoil = spoil)))
            assertFalse(run.parity!!.passed)
            assertEquals(1, run.invalidReasons.count { words in it })
        }
    }

    @Test
    fun aMissingLimitFails() {
        val other = Protocol(ProtocolConfig(), goldenWithLimits("another"), clock, surroundings)
        val run = other.measure(subject(), null, false).run
        assertEquals("the case matte has no limit for fake fp32", run.error)
        assertTrue(run.invalidReasons.isNotEmpty())
    }

    @Test
    fun aCrashKeepsWhatWasMeasured() {
        val broken = FakeMatting(artifact, golden, clock, ms = { if (it == 100) throw IllegalStateException("driver lost\nat x") else 8.0 })
        val run = measure(subject = subject(matting = broken))
        assertEquals("IllegalStateException: driver lost", run.error)
        assertEquals(89, run.stages.getValue("inference").size)
        assertTrue(run.parity!!.passed)
        assertTrue(broken.closed)
        assertTrue(run.invalidReasons.isNotEmpty())
    }

    @Test
    fun aMissingLibraryIsAnErrorOfTheRun() {
        val run = measure(subject = Subject(artifact, ComputeUnit.CPU, 4) { throw UnsatisfiedLinkError("no x.so") })
        assertEquals("UnsatisfiedLinkError: no x.so", run.error)
        assertNull(run.loadMs)
    }

    @Test
    fun stopsWhenAsked() {
        var calls = 0
        val run = measure(protocol(cancelled = { ++calls > 100 }))
        assertEquals("stopped by the user", run.error)
        assertTrue(run.stages.getValue("inference").size in 50..100)
    }

    @Test
    fun tellsAtMostOnceASecond() {
        measure()
        val steady = told.count { "\"steady\"" in it.line }
        assertTrue("$steady lines", steady in 55..61)
    }

    @Test
    fun verifyingIsShort() {
        val run = measure(protocol(ProtocolConfig.VERIFY))
        assertTrue(run.parity!!.passed)
        assertEquals(emptyList<Double>(), run.stages.getValue("inference"))
        assertNull(run.durationS)
        assertTrue(clock.secondsSince(0) < 1.0)
    }
}
