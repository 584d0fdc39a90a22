package igf.app

import android.content.Intent
import igf.core.ComputeUnit
import igf.core.IgfException
import igf.core.ProtocolConfig
import igf.core.SessionConfig

/**
 * What a session runs, and with which build.
 *
 * @property build a folder below the app's external files; null: the build inside the app.
 * @property report file name below the app's external files.
 */
class UnattendedRequest(val config: SessionConfig, val build: String?, val report: String) {
    companion object {
        const val RUN = "igf.run"
        const val DEFAULT_REPORT = "latency_report.json"

        /**
         * The request in an intent's extras; null where there is none. Names and meanings: README, "Without a touch".
         *
         * @throws IgfException for a value that cannot be used.
         */
        fun of(intent: Intent): UnattendedRequest? {
            val mode = intent.getStringExtra(RUN) ?: return null
            intent.removeExtra(RUN)
            val defaults = if (mode == "verify") ProtocolConfig.VERIFY else ProtocolConfig()
            val protocol = defaults.copy(
                warmUp = intent.getIntExtra("igf.warm_up", defaults.warmUp),
                steadyRuns = intent.getIntExtra("igf.steady_runs", defaults.steadyRuns),
                steadyS = seconds(intent, "igf.steady_s", defaults.steadyS),
                sustainedS = seconds(intent, "igf.sustained_s", defaults.sustainedS),
                coolDownS = seconds(intent, "igf.cool_down_s", defaults.coolDownS),
                hotLimitS = seconds(intent, "igf.hot_limit_s", defaults.hotLimitS),
            )
            val units = list(intent, "igf.units")?.map(ComputeUnit::of)?.toSet()
            val config = SessionConfig(
                mode, protocol, list(intent, "igf.files")?.toSet(),
                units ?: ComputeUnit.values().toSet(), intent.getIntExtra("igf.threads", 4),
            )
            val report = intent.getStringExtra("igf.report") ?: DEFAULT_REPORT
            val build = intent.getStringExtra("igf.build")
            for (name in listOfNotNull(report, build)) {
                if (!NAME.matches(name)) throw IgfException("\"$name\" is not a plain name of letters, digits, dots, - and _")
            }
            return UnattendedRequest(config, build, report)
        }

        private fun seconds(intent: Intent, key: String, default: Double): Double =
            intent.getIntExtra(key, default.toInt()).toDouble()

        private fun list(intent: Intent, key: String): List<String>? =
            intent.getStringExtra(key)?.split(",")?.map(String::trim)?.filter(String::isNotEmpty)

        private val NAME = Regex("[A-Za-z0-9_][A-Za-z0-9._-]*")
    }
}
