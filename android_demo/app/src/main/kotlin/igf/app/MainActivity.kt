package igf.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.FrameLayout
import android.widget.LinearLayout
import igf.core.IgfException
import igf.core.Progress

/** A part of the app that fills the window under the tabs. */
interface Screen {
    val view: View

    fun show() = Unit

    fun hide() = Unit

    /** A picture that the user picked. */
    fun picked(intent: Intent) = Unit
}

/** Three screens and their tabs. Extras of the intent start a session without a touch: see [UnattendedRequest]. */
class MainActivity : Activity() {
    private val screens = LinkedHashMap<Int, Screen>()
    private val buttons = HashMap<Int, Button>()
    private lateinit var content: FrameLayout
    private var current: Screen? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        screens[R.string.verify] = SessionScreen(this, "verify")
        screens[R.string.measure] = SessionScreen(this, "measure")
        screens[R.string.live] = LiveScreen(this)
        setContentView(layout())
        open(R.string.verify)
        startUnattended(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        setIntent(intent)
        startUnattended(intent)
    }

    override fun onResume() {
        super.onResume()
        current?.show()
    }

    override fun onPause() {
        current?.hide()
        super.onPause()
    }

    override fun onRequestPermissionsResult(code: Int, permissions: Array<String>, results: IntArray) {
        super.onRequestPermissionsResult(code, permissions, results)
        current?.show()
    }

    @Deprecated("The framework's only way without androidx")
    override fun onActivityResult(code: Int, result: Int, data: Intent?) {
        if (result == RESULT_OK && data != null) current?.picked(data)
    }

    private fun layout(): View {
        val tabs = LinearLayout(this)
        for (title in screens.keys) {
            val button = Button(this).apply { setText(title); setOnClickListener { open(title) } }
            buttons[title] = button
            tabs.addView(button, LinearLayout.LayoutParams(0, LinearLayout.LayoutParams.WRAP_CONTENT, 1f))
        }
        content = FrameLayout(this)
        return LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            addView(tabs)
            addView(content, LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f))
        }
    }

    private fun open(title: Int) {
        val screen = screens.getValue(title)
        if (screen === current) return
        current?.hide()
        content.removeAllViews()
        content.addView(screen.view)
        for ((other, button) in buttons) button.isSelected = other == title
        current = screen
        screen.show()
    }

    private fun startUnattended(intent: Intent) {
        try {
            val request = UnattendedRequest.of(intent) ?: return
            val title = if (request.config.mode == "verify") R.string.verify else R.string.measure
            open(title)
            (screens.getValue(title) as SessionScreen).start(request)
        } catch (error: IgfException) {
            SessionRunner.log(Progress.failed(error.message.orEmpty()))
        }
    }
}
