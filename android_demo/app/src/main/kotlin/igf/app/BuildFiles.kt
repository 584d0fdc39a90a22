package igf.app

import android.content.Context
import igf.core.Artifact
import igf.core.GoldenCase
import igf.core.IgfException
import igf.core.Manifest
import igf.core.sha256
import java.io.File
import java.io.IOException

/** A build and its golden case: inside the app, or in a folder that was pushed. */
class BuildFiles private constructor(
    private val scratch: File,
    private val read: (String) -> ByteArray,
    private val readCase: (String) -> ByteArray,
) {
    val manifest: Manifest by lazy { Manifest.parse(read("manifest.json")) }
    val golden: GoldenCase by lazy { GoldenCase.read(readCase) }

    /** Path of an artifact, checked against the manifest; runtimes map it, so it has to be a file. */
    fun locate(artifact: Artifact): String {
        val content = read(artifact.file).also(artifact::check)
        val file = File(scratch, "${artifact.sha256.take(16)}-${artifact.file}")
        if (!file.isFile || file.length() != artifact.bytes || sha256(file.readBytes()) != artifact.sha256) {
            scratch.mkdirs()
            val temporary = File(scratch, "${file.name}.part")
            temporary.writeBytes(content)
            if (!temporary.renameTo(file)) throw IgfException("cannot write $file; is the storage full?")
        }
        return file.path
    }

    companion object {
        private const val CASE = "device_case"

        /** The build inside the app. */
        fun bundled(context: Context) = BuildFiles(
            File(context.cacheDir, "artifacts"), { asset(context, "build/$it") }, { asset(context, "$CASE/$it") },
        )

        /** A pushed build; its own `device_case` counts where it has one. */
        fun pushed(context: Context, folder: File): BuildFiles {
            val case = File(folder, CASE)
            return BuildFiles(
                File(context.cacheDir, "artifacts"),
                { bytes(File(folder, it)) },
                { if (case.isDirectory) bytes(File(case, it)) else asset(context, "$CASE/$it") },
            )
        }

        private fun asset(context: Context, name: String): ByteArray = try {
            context.assets.open(name).use { it.readBytes() }
        } catch (error: IOException) {
            throw IgfException("the app holds no $name; build it again after `make export`")
        }

        private fun bytes(file: File): ByteArray = try {
            file.readBytes()
        } catch (error: IOException) {
            throw IgfException("cannot read $file: ${error.message}")
        }
    }
}
