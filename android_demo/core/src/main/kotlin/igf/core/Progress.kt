package igf.core

/** One step of a session, for the screen and, as [line], for the desktop that follows logcat. */
class Progress private constructor(val event: String, private val fields: Map<String, Any?>) {
    /** One line of JSON: {"event":"phase","phase":"steady","done":12.0,"of":60.0}. */
    val line: String get() = Json.write(linkedMapOf<String, Any?>("event" to event) + fields)

    /** For people. */
    val text: String get() = fields.values.filterNotNull().joinToString("  ").let { "$event  $it" }

    companion object {
        /** Logcat tag of every progress line. */
        const val TAG = "IGF"

        fun session(mode: String, runs: Int, report: String) =
            of("session", "mode" to mode, "runs" to runs, "report" to report)

        fun run(index: Int, of: Int, artifact: Artifact, unit: ComputeUnit) =
            of("run", "index" to index, "of" to of, "file" to artifact.file, "unit" to unit.id)

        /** [done] of [total] seconds, or calls where the phase has no duration. */
        fun phase(phase: String, done: Double, total: Double) = of("phase", "phase" to phase, "done" to done, "of" to total)

        fun runDone(index: Int, of: Int, run: Run) = of(
            "run_done", "index" to index, "of" to of, "file" to run.artifact.file, "unit" to run.requested.id,
            "valid" to run.invalidReasons.isEmpty(),
            "parity" to run.parity?.passed,
            "median_ms" to run.stages.getValue("inference").takeIf { it.isNotEmpty() }?.let { percentile(it, 50.0) },
            "error" to run.error,
        )

        /** A unit that the runtime does not offer. */
        fun refused(artifact: Artifact, unit: ComputeUnit, reason: String) =
            of("refused", "file" to artifact.file, "unit" to unit.id, "reason" to reason)

        /** The report is complete. */
        fun finished(report: String, runs: List<Run>) = of(
            "finished", "report" to report, "runs" to runs.size,
            "passed" to runs.count { it.parity?.passed == true }, "valid" to runs.count { it.invalidReasons.isEmpty() },
        )

        /** The session broke off; what was measured before is in the report. */
        fun failed(error: String) = of("failed", "error" to error)

        private fun of(event: String, vararg fields: Pair<String, Any?>) = Progress(event, linkedMapOf(*fields))
    }
}
