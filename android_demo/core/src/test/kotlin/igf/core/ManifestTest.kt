package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ManifestTest {
    private fun tensor(name: String, shape: String, layout: String, channels: String, dtype: String = "float32") =
        """{"name": "$name", "shape": $shape, "layout": "$layout", "dtype": "$dtype", "minimum": 0.0, "maximum": 1.0,
            "channels": $channels}"""

    private fun text(
        guidance: String = tensor("guidance", "[1, 8, 8, 3]", "NHWC", "[\"red\", \"green\", \"blue\"]"), version: Int = 1, outputs: String = "",
    ) =
        """{"schema_version": $version, "name": "igf", "version": "0.1", "checkpoint": {"sha256": "${"c".repeat(64)}"},
            "artifacts": [{"file": "a.tflite", "sha256": "${sha256(CONTENT)}", "bytes": 3, "backend": "litert",
            "scheme": "w8", "inputs": [$guidance, ${tensor("weak_mask", "[1, 8, 8, 1]", "NHWC", "[\"mask\"]")}],
            "outputs": [$outputs]}]}"""

    private fun parse(text: String) = Manifest.parse(text.toByteArray())

    @Test
    fun readsShapesLayoutsRangesAndChannels() {
        val spec = parse(text()).artifacts.single().guidance
        assertEquals(Layout.NHWC, spec.layout)
        assertEquals(8 to 8, spec.height to spec.width)
        assertEquals(3, spec.pixelStride)
        assertEquals(listOf(0, 1, 2), listOf("red", "green", "blue").map(spec::offset))
        assertEquals(0.0 to 1.0, spec.minimum to spec.maximum)
        val planar = spec("guidance", Layout.NCHW, 4, 8, "blue", "green", "red")
        assertEquals(listOf(64, 32, 0), listOf("red", "green", "blue").map(planar::offset))
        assertEquals(1, planar.pixelStride)
    }

    @Test
    fun knowsItsOwnHash() = assertEquals(sha256(text().toByteArray()), parse(text()).sha256)

    @Test
    fun refusesAnotherFileUnderTheArtifactsName() {
        val artifact = parse(text()).artifacts.single()
        artifact.check(CONTENT)
        for (other in listOf("abd", "ab")) {
            val error = assertThrows(IgfException::class.java) { artifact.check(other.toByteArray()) }
            assertTrue(error.message!!, error.message!!.startsWith("a.tflite is not the file of manifest.json"))
        }
    }

    @Test
    fun refusesWhatItCannotRead() {
        val rgb = "[\"red\", \"green\", \"blue\"]"
        val cases = mapOf(
            text(version = 2) to "schema version 2",
            text(tensor("guidance", "[1, 8, 8, 3]", "HWC", rgb)) to "layout HWC is not one of NCHW, NHWC",
            text(tensor("guidance", "[1, 8, 8, 3]", "NHWC", rgb, "int8")) to "dtype int8",
            text(tensor("guidance", "[1, 3, 8, 8]", "NHWC", rgb)) to "channels x H x W in NHWC",
            text(tensor("guidance", "[2, 8, 8, 3]", "NHWC", rgb)) to "shape [2, 8, 8, 3]",
            text(tensor("guidance", "[1, 8, 8]", "NHWC", rgb)) to "shape [1, 8, 8]",
        )
        for ((text, words) in cases) {
            val error = assertThrows(words, IgfException::class.java) { parse(text) }
            assertTrue(error.message!!, words in error.message!!)
        }
    }

    @Test
    fun anArtifactMayEndAtTheCoefficients() {
        val coefficients = tensor("coefficients", "[1, 2, 2, 4]", "NHWC", "[\"a_red\", \"a_green\", \"a_blue\", \"b\"]")
        val artifact = parse(text(outputs = coefficients)).artifacts.single()
        assertNull(artifact.alpha)
        assertEquals(listOf(1, 2, 2, 4), artifact.coefficients.shape)
    }

    @Test
    fun anArtifactWithoutCoefficientsIsNamed() {
        val artifact = parse(text(outputs = tensor("alpha", "[1, 8, 8, 1]", "NHWC", "[\"alpha\"]"))).artifacts.single()
        val error = assertThrows(IgfException::class.java) { artifact.coefficients }
        assertEquals("a.tflite has no tensor coefficients", error.message)
    }

    private companion object {
        val CONTENT = "abc".toByteArray()
    }
}
