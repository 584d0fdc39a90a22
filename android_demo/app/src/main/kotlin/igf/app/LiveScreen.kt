package igf.app

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Color
import android.media.Image
import android.opengl.GLSurfaceView
import android.view.Gravity
import android.view.View
import android.widget.Button
import android.widget.FrameLayout
import android.widget.LinearLayout
import android.widget.TextView
import igf.core.Artifact
import igf.core.ComputeUnit
import igf.core.FrameGate
import igf.core.FrameMeter
import igf.core.FrameSummary
import igf.core.IgfException
import igf.core.WeakMask
import java.util.Locale

/** The camera over another background: draw around a thing, and it stays. */
class LiveScreen(private val activity: Activity) : Screen {
    private val gate = FrameGate()
    private val meter = FrameMeter()
    private val renderer = MatteRenderer(activity.assets, DeviceClock, gate, meter)
    private val surface = GLSurfaceView(activity)
    private val frame = AspectFrame(activity)
    private val status = TextView(activity)
    private val scribble = ScribbleView(activity, ::drawn)
    private val feed = CameraFeed(activity, ::onFrame, ::tell)
    private val artifactButton = Button(activity)
    private var choices: List<Artifact> = emptyList()
    private var choice = 0
    private var colour = 0
    private var lastShown = 0L

    @Volatile
    private var pipeline: LivePipeline? = null

    override val view: View = layout()

    override fun show() {
        surface.onResume()
        if (pipeline == null) load()
        if (pipeline != null) feed.start()
    }

    override fun hide() {
        feed.stop()
        pipeline?.close()
        pipeline = null
        surface.onPause()
        // A frame that was never drawn would keep the gate shut.
        gate.leave()
    }

    override fun picked(intent: Intent) {
        val uri = intent.data ?: return
        val picture = activity.contentResolver.openInputStream(uri)?.use(BitmapFactory::decodeStream)
            ?: return tell("That is not a picture.")
        val height = (BACKGROUND_WIDTH / frame.aspect).toInt()
        renderer.background(Bitmap.createScaledBitmap(picture, BACKGROUND_WIDTH, height, true).copy(Bitmap.Config.ARGB_8888, false))
        surface.requestRender()
    }

    private fun load() {
        try {
            val build = BuildFiles.bundled(activity)
            val offered = runtimes().associateBy { it.backend }
            choices = build.manifest.artifacts.filter { it.backend in offered }
            val artifact = choices.getOrNull(choice) ?: throw IgfException("the app holds no artifact that it can run")
            val matting = offered.getValue(artifact.backend).load(artifact, build.locate(artifact), ComputeUnit.CPU, THREADS)
            artifactButton.text = "${artifact.backend} ${artifact.scheme}"
            pipeline = LivePipeline(artifact, matting, DeviceClock, gate, meter, ::draw, ::tell)
            scribble.clear()
            meter.clear()
        } catch (error: Exception) {
            tell("The network cannot be loaded: ${error.message}")
        } catch (error: LinkageError) {
            tell("The runtime's library cannot be loaded: ${error.message}")
        }
    }

    private fun onFrame(image: Image, rotation: Int) {
        val current = pipeline ?: return image.close()
        val aspect = if (rotation % 180 == 0) image.width.toFloat() / image.height else image.height.toFloat() / image.width
        current.offer(image, rotation)
        activity.runOnUiThread {
            frame.aspect = aspect
            showTimes()
        }
    }

    private fun draw(matted: MattedFrame) {
        renderer.show(matted)
        surface.requestRender()
    }

    private fun drawn(strokes: List<List<Pair<Float, Float>>>) {
        val current = pipeline ?: return
        val spec = choices[choice].weakMask
        current.scribble = if (strokes.isEmpty()) null else WeakMask.fromScribble(strokes, spec.height, spec.width, BRUSH)
    }

    private fun showTimes() {
        val now = DeviceClock.nanos()
        if (now - lastShown < 500_000_000L) return
        lastShown = now
        meter.summary()?.let { tell(text(it)) }
    }

    private fun text(summary: FrameSummary): String {
        val stages = summary.stagesMs.entries.joinToString("  ") { (stage, ms) -> "$stage %.1f".format(Locale.ROOT, ms) }
        return "$stages  all %.1f ms\nwithin 16.7 ms: %.0f %%   33.3 ms: %.0f %%   dropped %d".format(
            Locale.ROOT, summary.totalMs, 100 * summary.within60, 100 * summary.within30, summary.dropped,
        )
    }

    private fun tell(text: String) = activity.runOnUiThread { status.text = text }

    private fun layout(): View {
        surface.setEGLContextClientVersion(3)
        surface.setRenderer(renderer)
        surface.renderMode = GLSurfaceView.RENDERMODE_WHEN_DIRTY
        for (child in listOf(surface, scribble)) frame.addView(child)
        status.setText(R.string.live_hint)
        val buttons = LinearLayout(activity)
        buttons.addView(artifactButton.apply { setOnClickListener { nextArtifact() } })
        buttons.addView(button(R.string.background) { nextColour() })
        buttons.addView(button(R.string.picture) { pickPicture() })
        buttons.addView(button(R.string.clear) { scribble.clear() })
        val middle = FrameLayout(activity).apply {
            val whole = FrameLayout.LayoutParams.MATCH_PARENT
            addView(frame, FrameLayout.LayoutParams(whole, whole, Gravity.CENTER))
        }
        return LinearLayout(activity).apply {
            orientation = LinearLayout.VERTICAL
            addView(buttons)
            addView(status)
            addView(middle, LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f))
        }
    }

    private fun button(title: Int, action: () -> Unit) = Button(activity).apply { setText(title); setOnClickListener { action() } }

    private fun nextArtifact() {
        hide()
        choice = (choice + 1) % maxOf(choices.size, 1)
        show()
    }

    private fun nextColour() {
        colour = (colour + 1) % COLOURS.size
        renderer.background(Bitmap.createBitmap(intArrayOf(COLOURS[colour]), 1, 1, Bitmap.Config.ARGB_8888))
        surface.requestRender()
    }

    @Suppress("DEPRECATION")
    private fun pickPicture() {
        activity.startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), 1)
    }

    private companion object {
        const val THREADS = 4
        const val BACKGROUND_WIDTH = 720

        /** Radius of the finger's line in pixels of the network's mask. */
        const val BRUSH = 12f
        val COLOURS = intArrayOf(Color.GREEN, Color.WHITE, Color.BLACK, Color.rgb(31, 111, 120))
    }
}
