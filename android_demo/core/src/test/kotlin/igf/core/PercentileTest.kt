package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class PercentileTest {
    private val vectors = JsonFields.parse(Vectors.file("percentile.json").readText(), "percentile.json")

    @Test
    fun followsTheGoldenCases() {
        val cases = vectors.children("cases")
        assertTrue("${cases.size} cases", cases.size >= 20)
        for (case in cases) {
            assertEquals(case.number("value"), percentile(case.numbers("samples"), case.number("percent")), 0.0)
        }
    }

    @Test
    fun theRuleIsTheOneImplementedHere() = assertEquals(
        "nearest rank: the sample at index ceil(percent / 100 * count) - 1 of the sorted samples", vectors.text("rule"),
    )

    @Test
    fun refusesWhatHasNoAnswer() {
        assertThrows(IllegalArgumentException::class.java) { percentile(emptyList(), 50.0) }
        assertThrows(IllegalArgumentException::class.java) { percentile(listOf(1.0), 0.0) }
        assertThrows(IllegalArgumentException::class.java) { percentile(listOf(1.0), 101.0) }
        assertThrows(IllegalArgumentException::class.java) { percentile(listOf(1.0, Double.NaN), 50.0) }
    }

    @Test
    fun shareCountsTheLimitItself() = assertEquals(0.5, shareWithin(listOf(16.7, 16.8), FRAME_60_MS), 0.0)
}
