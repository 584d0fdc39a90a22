package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Test

class WeakMaskTest {
    private fun Plane.at(x: Int, y: Int) = values[y * width + x]

    @Test
    fun aCircleMarksItsInside() {
        val circle = List(40) { 0.5f + 0.3f * Math.cos(it * 0.157).toFloat() to 0.5f + 0.3f * Math.sin(it * 0.157).toFloat() }
        val mask = WeakMask.fromScribble(listOf(circle), 100, 100, 2f)
        assertEquals(1f, mask.at(50, 50), 0f)
        assertEquals(0f, mask.at(5, 5), 0f)
        assertEquals(Math.PI * 32 * 32, mask.values.sum().toDouble(), 120.0)
    }

    @Test
    fun aDabMarksADisc() {
        val mask = WeakMask.fromScribble(listOf(listOf(0.25f to 0.75f)), 80, 40, 6f)
        assertEquals(1f, mask.at(10, 60), 0f)
        assertEquals(Math.PI * 36, mask.values.sum().toDouble(), 6.0)
    }

    @Test
    fun aLineHasTheBrushsWidth() {
        val mask = WeakMask.fromScribble(listOf(listOf(0.2f to 0.5f, 0.8f to 0.5f)), 100, 100, 3f)
        assertEquals(6, (0 until 100).count { mask.at(50, it) == 1f })
        assertEquals(0f, mask.at(10, 50), 0f)
    }

    @Test
    fun strokesOffThePictureAreCut() {
        val mask = WeakMask.fromScribble(listOf(listOf(-0.2f to -0.1f, 1.3f to -0.1f, 1.3f to 1.2f, -0.2f to 1.2f)), 16, 16, 1f)
        assertEquals(256f, mask.values.sum(), 0f)
        assertEquals(0f, WeakMask.fromScribble(emptyList(), 16, 16, 1f).values.sum(), 0f)
    }

    @Test
    fun theLastAlphaBecomesTheMask() {
        val scribble = Plane(1, 4, floatArrayOf(1f, 0f, 0f, 0f))
        val mask = WeakMask.fromAlpha(Plane(1, 4, floatArrayOf(0.1f, 0.49f, 0.5f, 1f)), scribble)
        assertTrue(mask.values.contentEquals(floatArrayOf(0f, 0f, 1f, 1f)))
    }

    @Test
    fun aLostMatteFallsBackToTheScribble() {
        val scribble = Plane(20, 50, FloatArray(1000).also { it[7] = 1f })
        assertSame(scribble, WeakMask.fromAlpha(Plane(20, 50, FloatArray(1000)), scribble))
        assertSame(scribble, WeakMask.fromAlpha(Plane(20, 50, FloatArray(1000) { 1f }), scribble))
    }
}
