package igf.core

/** How a picture lies that has to be turned clockwise by 0, 90, 180 or 270 degrees to be upright. */
object Turn {
    /**
     * Column-major 3 x 3 matrix from a position in the upright picture to one in the picture as it lies, both in
     * [0,1] from the top left.
     *
     * @throws IllegalArgumentException for other degrees.
     */
    fun toFrame(rotation: Int): FloatArray = when (rotation) {
        0 -> floatArrayOf(1f, 0f, 0f, 0f, 1f, 0f, 0f, 0f, 1f)
        90 -> floatArrayOf(0f, -1f, 0f, 1f, 0f, 0f, 0f, 1f, 1f)
        180 -> floatArrayOf(-1f, 0f, 0f, 0f, -1f, 0f, 1f, 1f, 1f)
        270 -> floatArrayOf(0f, 1f, 0f, -1f, 0f, 0f, 1f, 0f, 1f)
        else -> throw IllegalArgumentException("rotation $rotation is not one of 0, 90, 180, 270")
    }
}
