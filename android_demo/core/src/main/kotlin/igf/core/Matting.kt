package igf.core

import java.io.Closeable
import java.nio.FloatBuffer

/** Where a runtime is asked to compute. */
enum class ComputeUnit(val id: String) {
    CPU("cpu"), GPU("gpu"), NPU("npu");

    companion object {
        /** @throws IgfException when [id] is none; the message has the choices. */
        fun of(id: String): ComputeUnit = values().firstOrNull { it.id == id }
            ?: throw IgfException("compute unit \"$id\" is not one of ${values().joinToString { it.id }}")
    }
}

/** Where it did run, as far as is known. */
data class UnitEvidence(
    /** A [ComputeUnit] id, "mixed" or "unknown". */
    val used: String,
    /** How that is known, or why not: one sentence. */
    val sentence: String,
)

/** A loaded artifact on one compute unit. For one thread at a time. */
interface Matting : Closeable {
    /** The input tensors, to be filled before [run]. */
    val guidance: FloatBuffer
    val weakMask: FloatBuffer

    /** The output tensors; they hold the last run's result. Without alpha where the artifact ends at the coefficients. */
    val alpha: FloatBuffer?
    val coefficients: FloatBuffer
    val evidence: UnitEvidence

    /** One inference, to the end of reading back every output. */
    fun run()
}

/** Alpha at the network's size and the coefficients, copied and unpacked. */
class Matte(val alpha: Plane, val coefficients: Coefficients) {
    /** Whether every value has the same bits. */
    fun isIdentical(other: Matte): Boolean =
        alpha.values.contentEquals(other.alpha.values) && coefficients.values.contentEquals(other.coefficients.values)
}

/** Fill the inputs from a golden case. */
fun Matting.fill(artifact: Artifact, case: GoldenCase) {
    listOf("red", "green", "blue").forEachIndexed { index, channel -> pack(artifact.guidance, case.guidance[index], channel, guidance) }
    pack(artifact.weakMask, case.weakMask, artifact.weakMask.channels.single(), weakMask)
}

/**
 * The last run's result; an artifact that ends at the coefficients has them applied here, outside of its time.
 *
 * @param picture red, green and blue in [0,1] of what it ran on, at the network's size; asked for only then.
 */
fun Matting.matte(artifact: Artifact, picture: () -> List<Plane>): Matte {
    val unpacked = Coefficients.unpack(artifact.coefficients, coefficients)
    val whole = artifact.alpha?.let { unpack(it, checkNotNull(alpha), it.channels.single()) }
    return Matte(whole ?: unpacked.apply(picture()), unpacked)
}
