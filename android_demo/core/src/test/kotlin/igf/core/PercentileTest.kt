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
    fun recomputesTheSharedReport() {
        val runs = JsonFields.parse(Vectors.file("latency_report.json").readText(), "latency_report.json").children("runs")
        val names = mapOf("median_ms" to 50.0, "p90_ms" to 90.0, "p95_ms" to 95.0, "p99_ms" to 99.0)
        var compared = 0
        for (run in runs) {
            for ((stage, summary) in run.child("summary").children()) {
                val samples = run.child("stages").numbers(stage)
                for ((name, percent) in names) assertEquals(stage, summary.number(name), percentile(samples, percent), 0.0)
                assertEquals(samples.min(), summary.number("minimum_ms"), 0.0)
                assertEquals(samples.size.toLong(), summary.integer("iterations"))
                compared++
            }
        }
        assertTrue("$compared summaries", compared >= 10)
    }

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
