package igf.core

/** What an artifact takes or gives: all that is known of a tensor's memory comes from here. */
data class TensorSpec(
    val name: String,
    /** Four numbers in the order of [layout]; the batch is 1. */
    val shape: List<Int>,
    val layout: Layout,
    val dtype: String,
    /** Least and greatest value; null where unbounded. */
    val minimum: Double?,
    val maximum: Double?,
    /** Names along C, in memory order: red, green, blue. */
    val channels: List<String>,
) {
    val height: Int get() = shape[if (layout == Layout.NCHW) 2 else 1]
    val width: Int get() = shape[if (layout == Layout.NCHW) 3 else 2]

    /** Values in the tensor. */
    val size: Int get() = shape.fold(1, Int::times)

    /** Distance in memory, in values, from one pixel of a row to the next. */
    val pixelStride: Int get() = if (layout == Layout.NCHW) 1 else channels.size

    /** Where the channel called [channel] of the first pixel is. */
    fun offset(channel: String): Int {
        val index = channels.indexOf(channel)
        if (index < 0) throw IgfException("$name has the channels ${channels.joinToString()}, no $channel")
        return if (layout == Layout.NCHW) index * height * width else index
    }

    companion object {
        fun read(fields: JsonFields): TensorSpec {
            val name = fields.text("name")
            val layout = Layout.values().firstOrNull { it.name == fields.text("layout") }
                ?: throw IgfException("$name: layout ${fields.text("layout")} is not one of NCHW, NHWC")
            val spec = TensorSpec(
                name, fields.integers("shape"), layout, fields.text("dtype"),
                fields.numberOrNull("minimum"), fields.numberOrNull("maximum"), fields.texts("channels"),
            )
            if (spec.dtype != "float32") throw IgfException("$name: dtype ${spec.dtype} is not float32")
            val channels = spec.shape.getOrNull(if (layout == Layout.NCHW) 1 else 3)
            if (spec.shape.size != 4 || spec.shape[0] != 1 || spec.shape.any { it < 1 } || channels != spec.channels.size) {
                throw IgfException("$name: shape ${spec.shape} is not 1 x ${spec.channels.size} channels x H x W in $layout")
            }
            return spec
        }
    }
}

/** Order of a tensor's dimensions in memory. */
enum class Layout { NCHW, NHWC }

/** One exported file and its tensors. */
data class Artifact(
    val file: String,
    val sha256: String,
    val bytes: Long,
    val backend: String,
    val scheme: String,
    val inputs: List<TensorSpec>,
    val outputs: List<TensorSpec>,
) {
    val guidance: TensorSpec get() = find(inputs, "guidance")
    val weakMask: TensorSpec get() = find(inputs, "weak_mask")

    /** null where the artifact ends at the coefficients. */
    val alpha: TensorSpec? get() = outputs.firstOrNull { it.name == "alpha" }
    val coefficients: TensorSpec get() = find(outputs, "coefficients")

    /** @throws IgfException unless [content] is the file that the manifest describes. */
    fun check(content: ByteArray) {
        if (content.size.toLong() != bytes || sha256(content) != sha256) {
            throw IgfException("$file is not the file of manifest.json: ${content.size} bytes, sha256 ${sha256(content).take(12)}")
        }
    }

    private fun find(specs: List<TensorSpec>, name: String): TensorSpec =
        specs.firstOrNull { it.name == name } ?: throw IgfException("$file has no tensor $name")

    companion object {
        fun read(fields: JsonFields) = Artifact(
            fields.text("file"), fields.text("sha256"), fields.integer("bytes"), fields.text("backend"), fields.text("scheme"),
            fields.children("inputs").map(TensorSpec::read), fields.children("outputs").map(TensorSpec::read),
        )
    }
}

/** A build: `manifest.json`. */
data class Manifest(
    val name: String,
    val version: String,
    val checkpointSha256: String,
    val artifacts: List<Artifact>,
    /** Of the bytes of manifest.json. */
    val sha256: String,
) {
    companion object {
        private const val SCHEMA_VERSION = 1L

        /** @throws IgfException when it is not a manifest this program reads; the message names the field. */
        fun parse(content: ByteArray): Manifest {
            val fields = JsonFields.parse(String(content, Charsets.UTF_8), "manifest.json")
            val version = fields.integer("schema_version")
            if (version != SCHEMA_VERSION) {
                throw IgfException("manifest.json has schema version $version; this app reads $SCHEMA_VERSION")
            }
            return Manifest(
                fields.text("name"), fields.text("version"), fields.child("checkpoint").text("sha256"),
                fields.children("artifacts").map(Artifact::read), sha256(content),
            )
        }
    }
}
