package igf.core

import org.junit.Assert.assertEquals
import org.junit.Test

class ThermalTest {
    @Test
    fun statesAreAndroidsSeven() {
        val words = listOf("nominal", "light", "moderate", "severe", "critical", "critical", "critical")
        assertEquals(words, (0..6).map { ThermalState.ofStatus(it).id })
        assertEquals("unknown", ThermalState.ofStatus(null).id)
        assertEquals("unknown", ThermalState.ofStatus(7).id)
    }

    @Test
    fun hotBeginsAtModerate() = assertEquals(
        listOf("moderate", "severe", "critical"), ThermalState.values().filter { it.isHot }.map { it.id },
    )

    @Test
    fun asksAtMostOnceASecond() {
        var asked = 0
        val timeline = ThermalTimeline({ ThermalReading(ThermalState.NOMINAL, (++asked).toDouble(), null) })
        for (step in 0..35) timeline.poll(step * 0.1)
        assertEquals(listOf(0.0, 1.0, 2.0, 3.0), timeline.samples.map { it.atS })
        assertEquals(4, asked)
    }
}
