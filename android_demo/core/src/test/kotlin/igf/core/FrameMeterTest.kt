package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class FrameMeterTest {
    @Test
    fun oneFrameAtATime() {
        val gate = FrameGate()
        assertTrue(gate.enter())
        assertFalse(gate.enter())
        gate.leave()
        assertTrue(gate.enter())
    }

    @Test
    fun sharesAreOfWholeFrames() {
        val meter = FrameMeter()
        assertNull(meter.summary())
        meter.add(mapOf("convert" to 4.0, "inference" to 8.0))
        meter.add(mapOf("convert" to 4.0, "inference" to 20.0))
        meter.drop()
        val summary = meter.summary()!!
        assertEquals(0.5, summary.within60, 0.0)
        assertEquals(1.0, summary.within30, 0.0)
        assertEquals(8.0, summary.stagesMs.getValue("inference"), 0.0)
        assertEquals(1, summary.dropped)
    }

    @Test
    fun forgetsOldFrames() {
        val meter = FrameMeter(capacity = 2)
        for (ms in listOf(100.0, 10.0, 12.0)) meter.add(mapOf("inference" to ms))
        assertEquals(10.0, meter.summary()!!.totalMs, 0.0)
        meter.clear()
        assertNull(meter.summary())
    }
}
