package igf.core

/** Monotonic time; tests inject their own. */
interface Clock {
    /** Nanoseconds since some moment; never goes back, and counts while the device dozes. */
    fun nanos(): Long

    /** Wait [ms] milliseconds. */
    fun sleep(ms: Long)
}

/** Seconds since [startNanos]. */
fun Clock.secondsSince(startNanos: Long): Double = (nanos() - startNanos) / 1e9

/** What [block] took, in ms, and what it gave. */
inline fun <T> Clock.timed(block: () -> T): Pair<Double, T> {
    val start = nanos()
    val result = block()
    return (nanos() - start) / 1e6 to result
}
