package igf.core

/** When a run's numbers may be quoted. */
object Validity {
    const val LEAST_RUNS = 50
    const val LEAST_SECONDS = 60.0

    /** One sentence for each thing that keeps [run] from being valid; the same rules as the desktop's. */
    fun reasons(run: Run): List<String> = listOfNotNull(
        run.error?.let { "the run broke off: $it".take(MAX_TEXT) },
        "the artifact was not loaded".takeIf { run.error == null && (run.loadMs == null || run.firstMs == null) },
        samples(run).takeIf { it < LEAST_RUNS }?.let { "$it runs are fewer than $LEAST_RUNS" },
        duration(run.durationS),
        "it started hot: ${run.conditions.thermalStart.id}".takeIf { run.conditions.thermalStart.isHot },
        parity(run.parity),
        "the ${run.requested.id}'s output is bit-identical to the CPU's: it did not run there".takeIf { run.identicalToCpu == true },
    )

    private fun samples(run: Run) = run.stages.getValue("inference").size

    private fun duration(seconds: Double?): String? = when {
        seconds == null -> "the steady part was not reached"
        seconds < LEAST_SECONDS -> "%.1f s are shorter than %.0f s".format(java.util.Locale.ROOT, seconds, LEAST_SECONDS)
        else -> null
    }

    private fun parity(parity: Parity?): String? = when {
        parity == null -> "the matte was not checked"
        !parity.finite -> "the matte has values that are not finite"
        parity.constant -> "the matte is constant"
        !parity.passed -> "the matte differs from the golden one by %.3g (limit %.3g), on average by %.3g (limit %.3g)".format(
            java.util.Locale.ROOT, parity.alphaMaxAbs, parity.limit.maxAbs, parity.alphaMeanAbs, parity.limit.meanAbs,
        )
        else -> null
    }

    private const val MAX_TEXT = 2000
}
