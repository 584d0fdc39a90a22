package igf.core

/** `latency_report.json`; fields as in `latency_report.schema.json`. */
data class Report(
    /** UTC, whole seconds: 2026-11-22T22:00:00Z. */
    val createdAt: String,
    val app: AppFacts,
    val build: Manifest,
    val device: DeviceFacts,
    val runs: List<Run>,
    /** "device", or "fixture" for one made by tests. */
    val kind: String = "device",
) {
    fun toJson(): String = Json.write(
        linkedMapOf(
            "schema_version" to 1,
            "kind" to kind,
            "created_at" to createdAt,
            "app" to linkedMapOf("name" to app.name, "version" to app.version, "platform" to "android"),
            "build" to linkedMapOf(
                "name" to build.name, "version" to build.version, "manifest_sha256" to build.sha256,
                "coefficients_only" to build.coefficientsOnly,
            ),
            "device" to device.toMap(),
            "runs" to runs.map(Run::toMap),
        ),
        indent = 1,
    ) + "\n"
}

data class AppFacts(val name: String, val version: String)

data class DeviceFacts(
    val manufacturer: String,
    val model: String,
    val osVersion: String,
    val osBuild: String?,
    val cores: Int?,
    val memoryBytes: Long?,
) {
    fun toMap() = linkedMapOf(
        "manufacturer" to manufacturer, "model" to model, "os" to "Android", "os_version" to osVersion,
        "os_build" to osBuild, "cores" to cores, "memory_bytes" to memoryBytes,
    )
}

/** Power and heat around a run. */
data class Conditions(
    /** "battery", "charging" or "unknown". */
    val power: String,
    /** 0 to 1. */
    val batteryLevel: Double?,
    val lowPowerMode: Boolean?,
    val thermalStart: ThermalState,
    val thermalEnd: ThermalState,
) {
    fun toMap() = linkedMapOf(
        "power" to power, "battery_level" to batteryLevel, "low_power_mode" to lowPowerMode,
        "thermal_start" to thermalStart.id, "thermal_end" to thermalEnd.id,
    )
}

/** Minutes of inference back to back. */
data class Sustained(val durationS: Double, val samplesMs: List<Double>, val thermal: List<ThermalSample>) {
    fun toMap() = linkedMapOf(
        "duration_s" to durationS,
        "samples_ms" to samplesMs,
        "share_within_16_7_ms" to shareWithin(samplesMs, FRAME_60_MS),
        "share_within_33_3_ms" to shareWithin(samplesMs, FRAME_30_MS),
        "thermal" to thermal.map {
            linkedMapOf(
                "at_s" to it.atS, "state" to it.reading.state.id, "headroom" to it.reading.headroom,
                "battery_celsius" to it.reading.batteryCelsius,
            )
        },
    )
}

/** A frame's time at 60 and at 30 frames a second, as the report counts them. */
const val FRAME_60_MS = 16.7
const val FRAME_30_MS = 33.3

/** One artifact on one compute unit. What was not reached is null or empty. */
data class Run(
    val artifact: Artifact,
    val requested: ComputeUnit,
    val used: UnitEvidence,
    /** CPU threads asked for; null where the unit has none. */
    val threads: Int?,
    val conditions: Conditions,
    val loadMs: Double? = null,
    val firstMs: Double? = null,
    val warmUp: Int = 0,
    val durationS: Double? = null,
    /** Stage -> ms in order; always has "inference". */
    val stages: Map<String, List<Double>> = mapOf("inference" to emptyList()),
    val sustained: Sustained? = null,
    val parity: Parity? = null,
    val identicalToCpu: Boolean? = null,
    val error: String? = null,
) {
    val invalidReasons: List<String> get() = Validity.reasons(this)

    fun toMap(): Map<String, Any?> = linkedMapOf(
        "artifact" to linkedMapOf(
            "file" to artifact.file, "sha256" to artifact.sha256, "backend" to artifact.backend,
            "scheme" to artifact.scheme, "bytes" to artifact.bytes,
        ),
        "compute_unit_requested" to requested.id,
        "compute_unit_used" to used.used,
        "compute_unit_evidence" to used.sentence,
        "threads" to threads,
        "conditions" to conditions.toMap(),
        "load_ms" to loadMs,
        "first_ms" to firstMs,
        "warm_up" to warmUp,
        "duration_s" to durationS,
        "stages" to stages,
        "summary" to stages.filterValues { it.isNotEmpty() }.mapValues { summary(it.value) },
        "sustained" to sustained?.toMap(),
        "parity" to parity?.let {
            linkedMapOf(
                "case" to it.case, "alpha_max_abs" to it.alphaMaxAbs, "alpha_mean_abs" to it.alphaMeanAbs,
                "limit_max_abs" to it.limit.maxAbs, "limit_mean_abs" to it.limit.meanAbs,
                "finite" to it.finite, "constant" to it.constant, "passed" to it.passed,
            )
        },
        "identical_to_cpu" to identicalToCpu,
        "valid" to invalidReasons.isEmpty(),
        "invalid_reasons" to invalidReasons,
        "error" to error,
    )

    private fun summary(samples: List<Double>) = linkedMapOf(
        "median_ms" to percentile(samples, 50.0),
        "p90_ms" to percentile(samples, 90.0),
        "p95_ms" to percentile(samples, 95.0),
        "p99_ms" to percentile(samples, 99.0),
        "minimum_ms" to samples.minOf { it },
        "iterations" to samples.size,
    )
}
