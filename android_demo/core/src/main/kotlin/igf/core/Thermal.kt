package igf.core

/** How hot the device is; the report's words. */
enum class ThermalState(val id: String) {
    NOMINAL("nominal"), LIGHT("light"), MODERATE("moderate"), SEVERE("severe"), CRITICAL("critical"), UNKNOWN("unknown");

    /** Moderate and above: clocks are being lowered, so a measurement would be of the heat. */
    val isHot: Boolean get() = this == MODERATE || this == SEVERE || this == CRITICAL

    companion object {
        /** Of `PowerManager.getCurrentThermalStatus()`: 0 none to 6 shutdown; null where there is none (before API 29). */
        fun ofStatus(status: Int?): ThermalState = when (status) {
            0 -> NOMINAL
            1 -> LIGHT
            2 -> MODERATE
            3 -> SEVERE
            in 4..6 -> CRITICAL
            else -> UNKNOWN
        }
    }
}

/** One reading. [headroom]: `getThermalHeadroom(0)`, 1.0 is where severe throttling begins; null for none or NaN. */
data class ThermalReading(val state: ThermalState, val headroom: Double?, val batteryCelsius: Double?)

/** A reading [atS] seconds into the sustained run. */
data class ThermalSample(val atS: Double, val reading: ThermalReading)

/** Samples [read] at most once per [periodS]: Android answers headroom with NaN when asked more often. */
class ThermalTimeline(private val read: () -> ThermalReading, private val periodS: Double = 1.0) {
    private val taken = ArrayList<ThermalSample>()
    val samples: List<ThermalSample> get() = taken

    /** Call as often as convenient; [atS] does not go back. */
    fun poll(atS: Double) {
        if (taken.isEmpty() || atS - taken.last().atS >= periodS) taken.add(ThermalSample(atS, read()))
    }
}
