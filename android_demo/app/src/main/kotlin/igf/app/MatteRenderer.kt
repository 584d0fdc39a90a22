package igf.app

import android.content.res.AssetManager
import android.graphics.Bitmap
import android.opengl.GLES30
import android.opengl.GLSurfaceView
import igf.core.Clock
import igf.core.FrameGate
import igf.core.FrameMeter
import igf.core.Turn
import igf.core.timed
import java.nio.ByteBuffer
import java.nio.FloatBuffer
import java.util.concurrent.atomic.AtomicReference
import javax.microedition.khronos.egl.EGLConfig
import javax.microedition.khronos.opengles.GL10

/** Draws the newest matted frame over the background and lets the next one in. */
class MatteRenderer(
    private val assets: AssetManager,
    private val clock: Clock,
    private val gate: FrameGate,
    private val meter: FrameMeter,
) : GLSurfaceView.Renderer {
    private val next = AtomicReference<MattedFrame>()
    private val nextBackground = AtomicReference<Bitmap>()
    private lateinit var program: GlProgram
    private lateinit var textures: Map<String, GlTexture>
    private var matted = false
    private var turn = FloatArray(9)
    private var background: Bitmap = Bitmap.createBitmap(intArrayOf(-0xff0100), 1, 1, Bitmap.Config.ARGB_8888)

    /** Draw [frame] next. */
    fun show(frame: MattedFrame) = next.set(frame)

    /** One pixel for a colour, or a picture of the frame's proportions. */
    fun background(picture: Bitmap) = nextBackground.set(picture)

    override fun onSurfaceCreated(gl: GL10?, config: EGLConfig?) {
        program = GlProgram(
            GlProgram.HEADER + shader("composite.vert"),
            GlProgram.HEADER + shader("matte.glsl") + shader("composite.frag"),
        )
        program.use()
        textures = NAMES.withIndex().associate { (unit, name) ->
            GLES30.glUniform1i(program.uniform(name), unit)
            name to GlTexture(unit, if (name == "coefficients") GLES30.GL_NEAREST else GLES30.GL_LINEAR)
        }
        matted = false
        // A context that was lost took the textures along.
        nextBackground.compareAndSet(null, background)
    }

    override fun onSurfaceChanged(gl: GL10?, width: Int, height: Int) = GLES30.glViewport(0, 0, width, height)

    override fun onDrawFrame(gl: GL10?) {
        nextBackground.getAndSet(null)?.let(::uploadBackground)
        val frame = next.getAndSet(null)
        val (ms, _) = clock.timed {
            frame?.let(::upload)
            draw()
            GLES30.glFinish()
        }
        if (frame == null) return
        if (frame.coefficients != null) meter.add(frame.stagesMs + ("composite" to ms))
        gate.leave()
    }

    private fun upload(frame: MattedFrame) {
        val (width, height) = (frame.width + 1) / 2 to (frame.height + 1) / 2
        textures.getValue("luma").bytes(frame.width, frame.height, frame.y)
        textures.getValue("chromaU").bytes(width, height, frame.u)
        textures.getValue("chromaV").bytes(width, height, frame.v)
        matted = frame.coefficients != null
        frame.coefficients?.let { textures.getValue("coefficients").floats(it.width, it.height, FloatBuffer.wrap(it.values)) }
        turn = Turn.toFrame(frame.rotation)
    }

    private fun uploadBackground(picture: Bitmap) {
        background = picture
        val pixels = ByteBuffer.allocateDirect(4 * picture.width * picture.height)
        picture.copyPixelsToBuffer(pixels)
        pixels.rewind()
        textures.getValue("background").rgba(picture.width, picture.height, pixels)
    }

    private fun draw() {
        program.use()
        for (texture in textures.values) texture.bind()
        GLES30.glUniformMatrix3fv(program.uniform("turn"), 1, false, turn, 0)
        GLES30.glUniform1f(program.uniform("matted"), if (matted) 1f else 0f)
        GLES30.glDrawArrays(GLES30.GL_TRIANGLES, 0, 3)
    }

    private fun shader(name: String) = assets.open("shaders/$name").use { String(it.readBytes(), Charsets.UTF_8) }

    private companion object {
        val NAMES = listOf("luma", "chromaU", "chromaV", "coefficients", "background")
    }
}
