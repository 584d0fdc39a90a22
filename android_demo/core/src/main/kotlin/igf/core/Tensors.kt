package igf.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** Native memory for a tensor. */
fun floatBuffer(spec: TensorSpec): FloatBuffer =
    ByteBuffer.allocateDirect(4 * spec.size).order(ByteOrder.nativeOrder()).asFloatBuffer()

/** One channel of a picture: [values] row by row, [height] x [width]. */
class Plane(val height: Int, val width: Int, val values: FloatArray) {
    init {
        require(values.size == height * width) { "${values.size} values for $height x $width" }
    }
}

/** The channel called [channel] of a tensor in whatever layout the manifest gives it. */
fun unpack(spec: TensorSpec, tensor: FloatBuffer, channel: String): Plane {
    val (offset, stride) = spec.offset(channel) to spec.pixelStride
    return Plane(spec.height, spec.width, FloatArray(spec.height * spec.width) { tensor.get(offset + it * stride) })
}

/** Put [plane] into the channel called [channel] of a tensor. */
fun pack(spec: TensorSpec, plane: Plane, channel: String, tensor: FloatBuffer) {
    require(plane.height == spec.height && plane.width == spec.width) {
        "${plane.height} x ${plane.width} for ${spec.name} of ${spec.height} x ${spec.width}"
    }
    val (offset, stride) = spec.offset(channel) to spec.pixelStride
    for (pixel in plane.values.indices) tensor.put(offset + pixel * stride, plane.values[pixel])
}
