package igf.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Greatest distances of an artifact's alpha from the golden one. */
data class ParityLimit(val maxAbs: Double, val meanAbs: Double)

/** Inputs and the float model's outputs for them: `case.json` and raw float32 files, NCHW. */
class GoldenCase private constructor(
    val name: String,
    /** Of the float model's weights; a build of another checkpoint cannot be held to this case. */
    val checkpointSha256: String,
    private val tensors: Map<String, List<Plane>>,
    private val limits: Map<Pair<String, String>, ParityLimit>,
) {
    /** Red, green, blue in [0,1]. */
    val guidance: List<Plane> get() = tensors.getValue("guidance")
    val weakMask: Plane get() = tensors.getValue("weak_mask").single()
    val alpha: Plane get() = tensors.getValue("alpha").single()

    /** A for red, green, blue, then B. */
    val coefficients: Coefficients
        get() {
            val planes = tensors.getValue("coefficients")
            val first = planes.first()
            return Coefficients(first.height, first.width, FloatArray(4 * first.values.size) { planes[it % 4].values[it / 4] })
        }

    /** @throws IgfException where there is none: a missing row is no pass. */
    fun limit(artifact: Artifact): ParityLimit = limits[artifact.backend to artifact.scheme]
        ?: throw IgfException("the case $name has no limit for ${artifact.backend} ${artifact.scheme}")

    companion object {
        private val TENSORS = listOf("guidance", "weak_mask", "alpha", "coefficients")

        /**
         * Read a case of the network.
         *
         * @param open the bytes of a file of the case by its name.
         * @throws IgfException when a file is not the one that case.json describes.
         */
        fun read(open: (String) -> ByteArray): GoldenCase {
            val files = CaseFiles.read(open)
            val rows = files.description.childOrNull("limits")
            val limits = rows?.children()?.flatMap { (backend, schemes) ->
                schemes.children().map { (scheme, row) ->
                    (backend to scheme) to ParityLimit(row.number("max_abs"), row.number("mean_abs"))
                }
            }
            return GoldenCase(
                files.description.text("name"), files.description.text("checkpoint_sha256"),
                TENSORS.associateWith(files::tensor), limits.orEmpty().toMap(),
            )
        }
    }
}

/** `case.json` and the tensors it describes; each is checked against its hash. */
class CaseFiles private constructor(val description: JsonFields, private val open: (String) -> ByteArray) {
    /** The channels of a tensor. */
    fun tensor(name: String): List<Plane> {
        val shape = description.child("shapes").integers(name)
        if (shape.size != 4 || shape[0] != 1) throw IgfException("case.json: the shape of $name is $shape, not 1 x C x H x W")
        val content = open("$name.f32")
        if (sha256(content) != description.child("sha256").text(name)) {
            throw IgfException("$name.f32 is not the file that case.json describes: another sha256")
        }
        val (_, channels, height, width) = shape
        if (content.size != 4 * channels * height * width) throw IgfException("$name.f32 has ${content.size} bytes for the shape $shape")
        val values = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return List(channels) { Plane(height, width, FloatArray(height * width).also(values::get)) }
    }

    companion object {
        fun read(open: (String) -> ByteArray): CaseFiles {
            val description = JsonFields.parse(String(open("case.json"), Charsets.UTF_8), "case.json")
            val format = "${description.text("dtype")} ${description.text("layout")}"
            if (format != "little-endian float32 NCHW") throw IgfException("case.json: $format is not little-endian float32 NCHW")
            return CaseFiles(description, open)
        }
    }
}
