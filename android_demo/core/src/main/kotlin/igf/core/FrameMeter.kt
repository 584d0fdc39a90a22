package igf.core

import java.util.concurrent.atomic.AtomicBoolean

/** Lets one frame in at a time; the others are dropped, not queued. */
class FrameGate {
    private val busy = AtomicBoolean(false)

    /** Whether the caller may work on a frame; it then calls [leave] when done. */
    fun enter(): Boolean = busy.compareAndSet(false, true)

    fun leave() = busy.set(false)
}

/** Times of the last [capacity] frames by stage, and the count of dropped frames. Thread-safe. */
class FrameMeter(private val capacity: Int = 120) {
    private val frames = ArrayDeque<Map<String, Double>>()
    private var dropped = 0

    @Synchronized
    fun add(stagesMs: Map<String, Double>) {
        frames.addLast(stagesMs)
        if (frames.size > capacity) frames.removeFirst()
    }

    @Synchronized
    fun drop() {
        dropped++
    }

    /** Begin anew: other stages or another artifact. */
    @Synchronized
    fun clear() {
        frames.clear()
        dropped = 0
    }

    /** null before the first frame. */
    @Synchronized
    fun summary(): FrameSummary? {
        if (frames.isEmpty()) return null
        val totals = frames.map { it.values.sum() }
        val stages = frames.flatMap { it.keys }.distinct()
            .associateWith { stage -> percentile(frames.mapNotNull { it[stage] }, 50.0) }
        return FrameSummary(
            stages, percentile(totals, 50.0), shareWithin(totals, FRAME_60_MS), shareWithin(totals, FRAME_30_MS), dropped,
        )
    }
}

/** Medians in ms, and shares of frames whose stages together fit a display's frame. */
data class FrameSummary(
    val stagesMs: Map<String, Double>,
    val totalMs: Double,
    val within60: Double,
    val within30: Double,
    val dropped: Int,
)
