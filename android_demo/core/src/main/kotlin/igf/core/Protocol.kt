package igf.core

/** How long each part of a measurement takes. */
data class ProtocolConfig(
    /** Calls between the first one and the samples. */
    val warmUp: Int = 10,
    /** The steady part ends when both are reached. 0 runs: only load, first call and parity. */
    val steadyRuns: Int = Validity.LEAST_RUNS,
    val steadyS: Double = Validity.LEAST_SECONDS,
    /** 0: no sustained run. */
    val sustainedS: Double = 0.0,
    /** Rest before every run but the first. */
    val coolDownS: Double = 60.0,
    /** A device that is still hot after so long is refused. */
    val hotLimitS: Double = 600.0,
) {
    companion object {
        /** Load, first call and parity; no times worth quoting. */
        val VERIFY = ProtocolConfig(warmUp = 0, steadyRuns = 0, steadyS = 0.0, coolDownS = 0.0, hotLimitS = 0.0)
    }
}

/** One artifact on one unit, ready to be loaded. */
class Subject(val artifact: Artifact, val unit: ComputeUnit, val threads: Int?, val load: () -> Matting)

/** A run and the matte of the golden case; null when it did not get so far. */
class Measured(val run: Run, val matte: Matte?)

/**
 * Measures a subject: load, first call, parity, warm-up, steady part, sustained run.
 *
 * @param cancelled asked between calls; the run then ends with an error and keeps its samples.
 */
class Protocol(
    private val config: ProtocolConfig,
    private val golden: GoldenCase,
    private val clock: Clock,
    private val surroundings: Surroundings,
    private val cancelled: () -> Boolean = { false },
    private val progress: (Progress) -> Unit = {},
) {
    /**
     * Never throws: what goes wrong is the run's `error`.
     *
     * @param cpu the matte of the same artifact on the CPU, to see whether another unit ran at all.
     */
    fun measure(subject: Subject, cpu: Matte?, rest: Boolean): Measured {
        val attempt = Attempt(subject, cpu)
        try {
            if (rest) pause("cool_down", config.coolDownS)
            waitWhileHot()
            attempt.begin()
            attempt.execute()
        } catch (error: Exception) {
            attempt.fail(error)
        } catch (error: LinkageError) {
            attempt.fail(error)
        }
        return attempt.end()
    }

    private fun waitWhileHot() {
        val start = clock.nanos()
        while (config.steadyRuns > 0 && surroundings.thermal().state.isHot) {
            val waited = clock.secondsSince(start)
            if (waited >= config.hotLimitS) {
                val state = surroundings.thermal().state.id
                throw IgfException("refused to start: the device is still hot ($state) after %.0f s".format(java.util.Locale.ROOT, waited))
            }
            pause("too_hot", 1.0)
        }
    }

    private fun pause(phase: String, seconds: Double) {
        val start = clock.nanos()
        while (clock.secondsSince(start) < seconds) {
            stopIfCancelled()
            progress(Progress.phase(phase, clock.secondsSince(start), seconds))
            clock.sleep(1000)
        }
    }

    private fun stopIfCancelled() {
        if (cancelled()) throw IgfException("stopped by the user")
    }

    private inner class Attempt(private val subject: Subject, private val cpu: Matte?) {
        private val artifact = subject.artifact
        private var conditions = conditions()
        private var run = Run(
            artifact, subject.unit, UnitEvidence("unknown", "it was not loaded"), subject.threads, conditions,
        )
        private var matte: Matte? = null
        private var lastTold = Long.MIN_VALUE

        fun begin() {
            conditions = conditions()
        }

        fun execute() {
            progress(Progress.phase("load", 0.0, 1.0))
            val (loadMs, matting) = clock.timed(subject.load)
            matting.use {
                run = run.copy(loadMs = loadMs, used = it.evidence)
                it.fill(artifact, golden)
                run = run.copy(firstMs = clock.timed(it::run).first, used = it.evidence)
                check(it)
                if (config.steadyRuns == 0) return
                repeat(config.warmUp) { _ -> it.run() }
                run = run.copy(warmUp = config.warmUp)
                steady(it)
                if (config.sustainedS > 0) sustained(it)
            }
        }

        private fun check(matting: Matting) {
            val result = matting.matte(artifact) { golden.guidance }
            matte = result
            run = run.copy(
                parity = Parity.of(golden, golden.limit(artifact), result),
                identicalToCpu = if (subject.unit == ComputeUnit.CPU) null else cpu?.isIdentical(result),
            )
            if (run.identicalToCpu == true) {
                run = run.copy(used = UnitEvidence("cpu", "every output is bit-identical to the CPU's"))
            }
        }

        private fun steady(matting: Matting) = sample(matting, "steady", config.steadyS, config.steadyRuns) { samples, seconds ->
            run = run.copy(stages = mapOf("inference" to samples), durationS = seconds)
        }

        private fun sustained(matting: Matting) {
            val thermal = ThermalTimeline(surroundings::thermal)
            sample(matting, "sustained", config.sustainedS, 1, thermal) { samples, seconds ->
                run = run.copy(sustained = Sustained(seconds, samples, thermal.samples.toList()))
            }
        }

        /** Time calls until both [seconds] and [calls] are reached; [keep] also gets what a failure leaves. */
        private fun sample(
            matting: Matting, phase: String, seconds: Double, calls: Int, thermal: ThermalTimeline? = null,
            keep: (List<Double>, Double) -> Unit,
        ) {
            val samples = ArrayList<Double>()
            val start = clock.nanos()
            try {
                while (samples.size < calls || clock.secondsSince(start) < seconds) {
                    stopIfCancelled()
                    thermal?.poll(clock.secondsSince(start))
                    tell(phase, clock.secondsSince(start), seconds)
                    samples.add(clock.timed(matting::run).first)
                }
            } finally {
                if (samples.isNotEmpty()) keep(samples, clock.secondsSince(start))
            }
        }

        private fun tell(phase: String, done: Double, of: Double) {
            if (lastTold != Long.MIN_VALUE && clock.secondsSince(lastTold) < 1.0) return
            lastTold = clock.nanos()
            progress(Progress.phase(phase, done, of))
        }

        fun fail(error: Throwable) {
            val sentence = (error.message ?: error.javaClass.name).lineSequence().first().take(500)
            run = run.copy(error = if (error is IgfException) sentence else "${error.javaClass.simpleName}: $sentence")
        }

        fun end(): Measured = Measured(run.copy(conditions = conditions.copy(thermalEnd = surroundings.thermal().state)), matte)
    }

    private fun conditions(): Conditions {
        val state = surroundings.thermal().state
        return Conditions(surroundings.power(), surroundings.batteryLevel(), surroundings.lowPowerMode(), state, state)
    }
}
