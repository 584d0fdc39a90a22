package igf.core

/** What a session runs. */
data class SessionConfig(
    /** "verify" or "measure". */
    val mode: String,
    val protocol: ProtocolConfig,
    /** File names; null: all that a runtime takes. */
    val files: Set<String>? = null,
    val units: Set<ComputeUnit> = ComputeUnit.values().toSet(),
    /** Of the CPU. */
    val threads: Int = 4,
) {
    init {
        if (mode !in MODES) throw IgfException("mode \"$mode\" is not one of ${MODES.joinToString()}")
        if (threads < 1) throw IgfException("threads $threads is less than 1")
    }

    companion object {
        val MODES = listOf("verify", "measure")
    }
}

/**
 * Runs a build's artifacts one after the other, the CPU first, and hands the runs out after each.
 *
 * @param locate the path of an artifact whose content was checked; throws where it is absent or another file.
 */
class Session(
    private val config: SessionConfig,
    private val manifest: Manifest,
    private val golden: GoldenCase,
    private val runtimes: List<Runtime>,
    private val locate: (Artifact) -> String,
    private val clock: Clock,
    surroundings: Surroundings,
    cancelled: () -> Boolean = { false },
    private val progress: (Progress) -> Unit = {},
) {
    private val protocol = Protocol(config.protocol, golden, clock, surroundings, cancelled, progress)
    private val stopped = cancelled
    private val cpuMattes = HashMap<String, Matte>()

    private class Item(val artifact: Artifact, val runtime: Runtime, val unit: ComputeUnit)

    /**
     * @param report where the report is going to be, for the progress lines.
     * @param save called after each run with all runs so far.
     * @throws IgfException when nothing can be run: the build is of another checkpoint than the golden case, or
     *   no artifact was chosen.
     */
    fun run(report: String, save: (List<Run>) -> Unit): List<Run> {
        if (golden.checkpointSha256 != manifest.checkpointSha256) {
            throw IgfException(
                "the golden case is of checkpoint ${golden.checkpointSha256.take(12)}, the build of ${manifest.checkpointSha256.take(12)}",
            )
        }
        val items = plan()
        progress(Progress.session(config.mode, items.size, report))
        val runs = ArrayList<Run>()
        for ((index, item) in items.withIndex()) {
            if (stopped()) break
            progress(Progress.run(index + 1, items.size, item.artifact, item.unit))
            runs.add(measure(item, rest = index > 0))
            save(runs)
            progress(Progress.runDone(index + 1, items.size, runs.last()))
        }
        progress(Progress.finished(report, runs))
        return runs
    }

    private fun plan(): List<Item> {
        val known = manifest.artifacts.filter { artifact -> runtimes.any { it.backend == artifact.backend } }
        val missing = config.files.orEmpty() - known.map { it.file }.toSet()
        if (missing.isNotEmpty()) {
            throw IgfException("no runtime here takes ${missing.joinToString()}; there are ${known.joinToString { it.file }}")
        }
        val items = known.filter { config.files == null || it.file in config.files }.flatMap { artifact ->
            val runtime = runtimes.first { it.backend == artifact.backend }
            config.units.sorted().filter { offered(artifact, runtime, it) }.map { Item(artifact, runtime, it) }
        }
        if (items.isEmpty()) throw IgfException("nothing to run: no chosen artifact has a chosen compute unit")
        return items
    }

    private fun offered(artifact: Artifact, runtime: Runtime, unit: ComputeUnit): Boolean {
        val reason = runtime.refusal(unit) ?: return true
        progress(Progress.refused(artifact, unit, reason))
        return false
    }

    private fun measure(item: Item, rest: Boolean): Run {
        val cpu = if (item.unit == ComputeUnit.CPU) null else cpuMatte(item)
        val measured = protocol.measure(subject(item), cpu, rest)
        if (item.unit == ComputeUnit.CPU && measured.matte != null) cpuMattes[item.artifact.file] = measured.matte
        return measured.run
    }

    private fun subject(item: Item): Subject {
        val threads = config.threads.takeIf { item.unit == ComputeUnit.CPU }
        return Subject(item.artifact, item.unit, threads) {
            item.runtime.load(item.artifact, locate(item.artifact), item.unit, config.threads)
        }
    }

    /** From the CPU's run, or from a call of its own where the CPU was not asked for. */
    private fun cpuMatte(item: Item): Matte? = cpuMattes[item.artifact.file] ?: try {
        val cpu = Item(item.artifact, item.runtime, ComputeUnit.CPU)
        subject(cpu).load().use { matting ->
            matting.fill(item.artifact, golden)
            matting.run()
            matting.matte(item.artifact) { golden.guidance }.also { cpuMattes[item.artifact.file] = it }
        }
    } catch (error: Exception) {
        withoutCpu(item, error)
    } catch (error: LinkageError) {
        withoutCpu(item, error)
    }

    private fun withoutCpu(item: Item, error: Throwable): Matte? {
        progress(Progress.refused(item.artifact, ComputeUnit.CPU, "no CPU output to compare with: ${error.message}"))
        return null
    }
}
