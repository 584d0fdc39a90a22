package igf.app

import android.content.Context
import android.os.Handler
import android.os.Looper
import android.util.Log
import igf.core.AppFacts
import igf.core.IgfException
import igf.core.Progress
import igf.core.Report
import igf.core.Run
import igf.core.Session
import java.io.File
import java.io.IOException
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import java.util.concurrent.atomic.AtomicBoolean

/** The runtimes in the app; another one is one more file and one more name here. */
fun runtimes(): List<igf.core.Runtime> = listOf(LiteRtRuntime(), ExecuTorchRuntime())

/** Runs one session at a time on a thread of its own and keeps the report current. */
class SessionRunner(private val context: Context) {
    /** What the screen is told, on the main thread. */
    interface Listener {
        fun onProgress(progress: Progress)

        fun onRuns(runs: List<Run>)

        /** @param report null when nothing was measured. */
        fun onEnd(report: File?)
    }

    private val main = Handler(Looper.getMainLooper())
    private val stop = AtomicBoolean(false)

    /** Start [request]; false while another one is running anywhere in the app. */
    fun start(request: UnattendedRequest, listener: Listener): Boolean {
        if (!busy.compareAndSet(false, true)) {
            log(Progress.failed("another session is running"))
            return false
        }
        stop.set(false)
        Thread({
            val report = try {
                run(request, listener)
            } finally {
                busy.set(false)
            }
            main.post { listener.onEnd(report) }
        }, "igf-session").start()
        return true
    }

    /** The session ends after the current call. */
    fun cancel() = stop.set(true)

    private fun run(request: UnattendedRequest, listener: Listener): File? {
        val tell: (Progress) -> Unit = { progress ->
            log(progress)
            main.post { listener.onProgress(progress) }
        }
        var written: File? = null
        try {
            val folder = context.getExternalFilesDir(null) ?: throw IgfException("the shared storage is not there")
            val file = File(folder, request.report)
            val build = request.build?.let { BuildFiles.pushed(context, File(folder, it)) } ?: BuildFiles.bundled(context)
            file.delete()
            val session = Session(
                request.config, build.manifest, build.golden, runtimes(), build::locate, DeviceClock,
                DeviceSurroundings(context), stop::get, tell,
            )
            session.run(file.path) { runs ->
                write(file, Report(now(), app(), build.manifest, deviceFacts(context), runs))
                written = file
                val copy = runs.toList()
                main.post { listener.onRuns(copy) }
            }
        } catch (error: IgfException) {
            tell(Progress.failed(error.message.orEmpty()))
        } catch (error: Exception) {
            tell(Progress.failed("${error.javaClass.simpleName}: ${error.message}"))
        } catch (error: LinkageError) {
            tell(Progress.failed("${error.javaClass.simpleName}: ${error.message}"))
        }
        return written
    }

    private fun write(file: File, report: Report) {
        val temporary = File(file.path + ".part")
        try {
            temporary.writeText(report.toJson())
        } catch (error: IOException) {
            throw IgfException("cannot write $file: ${error.message}; the report keeps the runs before this one")
        }
        if (!temporary.renameTo(file)) throw IgfException("cannot write $file; is the storage full?")
    }

    private fun app() = AppFacts("igf matte", context.packageManager.getPackageInfo(context.packageName, 0).versionName ?: "unknown")

    private fun now(): String = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'Z'", Locale.ROOT)
        .apply { timeZone = TimeZone.getTimeZone("UTC") }.format(Date())

    companion object {
        private val busy = AtomicBoolean(false)

        /** To logcat, where the desktop follows it. */
        fun log(progress: Progress) {
            Log.i(Progress.TAG, progress.line)
        }
    }
}
