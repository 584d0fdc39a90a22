package igf.core

import java.nio.FloatBuffer

/** Time that passes only when somebody sleeps or works. */
class FakeClock : Clock {
    var now = 0L

    override fun nanos(): Long = now

    override fun sleep(ms: Long) {
        now += ms * 1_000_000
    }
}

/** Gives the golden outputs whatever comes in, [ms] per call on [clock]; [spoil] changes alpha, or the coefficients where there is no alpha. */
class FakeMatting(
    private val artifact: Artifact,
    private val golden: GoldenCase,
    private val clock: FakeClock,
    private val ms: (call: Int) -> Double = { 8.0 },
    private val spoil: (FloatBuffer) -> Unit = {},
) : Matting {
    override val guidance = floatBuffer(artifact.guidance)
    override val weakMask = floatBuffer(artifact.weakMask)
    override val alpha = artifact.alpha?.let(::floatBuffer)
    override val coefficients = floatBuffer(artifact.coefficients)
    override val evidence = UnitEvidence("unknown", "a fake")
    var calls = 0
    var closed = false

    override fun run() {
        clock.now += (ms(calls++) * 1e6).toLong()
        if (calls == 1) fillOutputs()
    }

    private fun fillOutputs() {
        alpha?.let { pack(artifact.alpha!!, golden.alpha, "alpha", it) }
        val values = golden.coefficients.values
        for ((channel, name) in artifact.coefficients.channels.withIndex()) {
            pack(artifact.coefficients, Plane(16, 16, FloatArray(256) { values[4 * it + channel] }), name, coefficients)
        }
        spoil(alpha ?: coefficients)
    }

    override fun close() {
        closed = true
    }
}

/** A phone whose heat the test decides. */
class FakeSurroundings(var state: () -> ThermalState = { ThermalState.NOMINAL }) : Surroundings {
    override fun thermal() = ThermalReading(state(), 0.4, 31.5)

    override fun power() = "battery"

    override fun batteryLevel() = 0.8

    override fun lowPowerMode() = false
}

/** The golden case with a limit for the fake artifact. */
fun goldenWithLimits(backend: String = "fake", maxAbs: Double = 1e-4, meanAbs: Double = 1e-5): GoldenCase {
    val open = Vectors.case("matte")
    return GoldenCase.read { name ->
        if (name != "case.json") return@read open(name)
        val text = String(open(name))
        val limits = "\"limits\": {\"$backend\": {\"fp32\": {\"max_abs\": $maxAbs, \"mean_abs\": $meanAbs}}},"
        text.replaceFirst("{", "{$limits").toByteArray()
    }
}
