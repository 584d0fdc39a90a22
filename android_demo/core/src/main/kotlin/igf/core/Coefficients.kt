package igf.core

import java.nio.FloatBuffer

/**
 * A and B of alpha = A * I + B at a quarter of the network's resolution.
 *
 * @property values (height, width, 4), A for red, green and blue, then B: the texels of the GPU's texture.
 */
class Coefficients(val height: Int, val width: Int, val values: FloatArray) {
    init {
        require(values.size == 4 * height * width) { "${values.size} values for $height x $width x 4" }
    }

    /**
     * alpha = clamp(A * I + B) at the picture's own resolution; bilinear, half-pixel centres.
     *
     * @param rgb red, green and blue in [0,1], all of one size.
     */
    fun apply(rgb: List<Plane>): Plane {
        val (red, green, blue) = rgb
        val columns = AxisTaps.bilinear(width, red.width)
        val rows = AxisTaps.bilinear(height, red.height)
        val alpha = FloatArray(red.values.size)
        val mixed = FloatArray(4)
        for (y in 0 until red.height) for (x in 0 until red.width) {
            mix(rows, y, columns, x, mixed)
            val at = y * red.width + x
            val sum = mixed[0] * red.values[at] + mixed[1] * green.values[at] + mixed[2] * blue.values[at] + mixed[3]
            alpha[at] = sum.coerceIn(0f, 1f)
        }
        return Plane(red.height, red.width, alpha)
    }

    private fun mix(rows: AxisTaps, y: Int, columns: AxisTaps, x: Int, mixed: FloatArray) {
        mixed.fill(0f)
        for ((j, rowWeight) in rows.weights[y].withIndex()) for ((i, columnWeight) in columns.weights[x].withIndex()) {
            val texel = 4 * ((rows.first[y] + j) * width + columns.first[x] + i)
            for (channel in 0 until 4) mixed[channel] += rowWeight * columnWeight * values[texel + channel]
        }
    }

    companion object {
        private val CHANNELS = listOf("a_red", "a_green", "a_blue", "b")

        /** From the `coefficients` tensor in whatever layout and channel order the manifest gives it. */
        fun unpack(spec: TensorSpec, tensor: FloatBuffer, values: FloatArray = FloatArray(spec.size)): Coefficients {
            val offsets = IntArray(4) { spec.offset(CHANNELS[it]) }
            val stride = spec.pixelStride
            for (pixel in 0 until spec.height * spec.width) for (channel in 0 until 4) {
                values[4 * pixel + channel] = tensor.get(offsets[channel] + pixel * stride)
            }
            return Coefficients(spec.height, spec.width, values)
        }
    }
}
