package igf.app

import android.app.Activity
import android.graphics.Typeface
import android.view.View
import android.widget.Button
import android.widget.CheckBox
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import igf.core.ComputeUnit
import igf.core.Progress
import igf.core.ProtocolConfig
import igf.core.Run
import igf.core.SessionConfig
import igf.core.percentile
import igf.core.shareWithin
import java.io.File
import java.util.Locale

/** Verify and Measure: start, watch, share the report. */
class SessionScreen(private val activity: Activity, private val mode: String) : Screen, SessionRunner.Listener {
    private val runner = SessionRunner(activity)
    private val startButton = Button(activity)
    private val shareButton = Button(activity)
    private val sustained = CheckBox(activity)
    private val status = TextView(activity)
    private val results = TextView(activity)
    private var running = false
    private var report: File? = null
    private val refusals = LinkedHashSet<String>()

    override val view: View = layout()

    /** Start what the intent or the button asks for. */
    fun start(request: UnattendedRequest) {
        if (!runner.start(request, this)) return
        running = true
        report = null
        refusals.clear()
        results.text = ""
        refresh()
    }

    override fun onProgress(progress: Progress) {
        status.text = progress.text
        if (progress.event == "refused") refusals.add(progress.text)
    }

    override fun onRuns(runs: List<Run>) {
        results.text = (runs.map(::line) + refusals).joinToString("\n\n")
    }

    override fun onEnd(report: File?) {
        running = false
        this.report = report
        refresh()
    }

    private fun layout(): View {
        startButton.setOnClickListener { if (running) runner.cancel() else start(request()) }
        shareButton.setText(R.string.share)
        shareButton.setOnClickListener { report?.let { ReportProvider.share(activity, it) } }
        sustained.setText(R.string.sustained)
        sustained.visibility = if (mode == "measure") View.VISIBLE else View.GONE
        status.setText(if (mode == "verify") R.string.verify_hint else R.string.measure_hint)
        results.typeface = Typeface.MONOSPACE
        results.setTextIsSelectable(true)
        refresh()
        val padding = (16 * activity.resources.displayMetrics.density).toInt()
        return LinearLayout(activity).apply {
            orientation = LinearLayout.VERTICAL
            setPadding(padding, padding, padding, padding)
            for (child in listOf(startButton, sustained, status, shareButton)) addView(child)
            addView(ScrollView(activity).apply { addView(results) })
        }
    }

    private fun refresh() {
        startButton.setText(if (running) R.string.stop else R.string.start)
        shareButton.isEnabled = report != null && !running
        sustained.isEnabled = !running
    }

    private fun request(): UnattendedRequest {
        val protocol = when {
            mode == "verify" -> ProtocolConfig.VERIFY
            sustained.isChecked -> ProtocolConfig(sustainedS = 600.0)
            else -> ProtocolConfig()
        }
        val config = SessionConfig(mode, protocol, units = ComputeUnit.values().toSet())
        return UnattendedRequest(config, null, UnattendedRequest.DEFAULT_REPORT)
    }

    private fun line(run: Run): String {
        val name = "${run.artifact.backend} ${run.artifact.scheme} on ${run.requested.id}"
        val parity = run.parity ?: return "FAIL $name\n  ${run.error}"
        val lines = arrayListOf("${if (parity.passed) "pass" else "FAIL"} $name")
        val limit = parity.limit
        lines.add(format("  max %.2g of %.2g, mean %.2g of %.2g", parity.alphaMaxAbs, limit.maxAbs, parity.alphaMeanAbs, limit.meanAbs))
        val samples = run.stages.getValue("inference")
        if (samples.isNotEmpty()) {
            val (median, p90, p99) = listOf(50.0, 90.0, 99.0).map { percentile(samples, it) }
            lines.add(format("  median %.2f  p90 %.2f  p99 %.2f ms", median, p90, p99))
            lines.add(format("  load %.1f  first %.1f ms  %d runs", run.loadMs, run.firstMs, samples.size))
        }
        run.sustained?.let { lines.add(format("  sustained: %.0f %% within 16.7 ms", 100 * shareWithin(it.samplesMs, 16.7))) }
        if (run.identicalToCpu == true) lines.add("  bit-identical to the CPU: it did not run on the ${run.requested.id}")
        if (mode == "measure") lines.addAll(run.invalidReasons.map { "  not valid: $it" })
        return lines.joinToString("\n")
    }

    private fun format(pattern: String, vararg values: Any?) = String.format(Locale.ROOT, pattern, *values)
}
