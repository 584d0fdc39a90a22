package igf.core

import java.io.File

/** `shared_vectors/`, or a damaged copy of it: the system property igf.vectors. */
object Vectors {
    private val folder = File(
        System.getProperty("igf.vectors") ?: throw IllegalStateException("set -Digf.vectors=<repository>/shared_vectors"),
    )

    fun file(name: String) = File(folder, name)

    fun case(name: String): (String) -> ByteArray = { file("$name/$it").readBytes() }

    fun matte(): GoldenCase = GoldenCase.read(case("matte"))
}

/** A tensor as a manifest describes it. */
fun spec(name: String, layout: Layout, height: Int, width: Int, vararg channels: String): TensorSpec {
    val shape = if (layout == Layout.NCHW) listOf(1, channels.size, height, width) else listOf(1, height, width, channels.size)
    val bounded = name != "coefficients"
    return TensorSpec(name, shape, layout, "float32", if (bounded) 0.0 else null, if (bounded) 1.0 else null, channels.toList())
}

/** An artifact of the size of shared_vectors/matte. */
fun artifact(layout: Layout, backend: String = "fake", scheme: String = "fp32", outputs: List<String> = listOf("alpha", "coefficients")) = Artifact(
    "igf-$backend-$scheme.bin", "0".repeat(64), 1, backend, scheme,
    listOf(spec("guidance", layout, 64, 64, "red", "green", "blue"), spec("weak_mask", layout, 64, 64, "mask")),
    listOf(spec("alpha", layout, 64, 64, "alpha"), spec("coefficients", layout, 16, 16, "a_red", "a_green", "a_blue", "b"))
        .filter { it.name in outputs },
)
