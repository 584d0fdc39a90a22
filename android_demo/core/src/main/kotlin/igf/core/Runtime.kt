package igf.core

/** A vendor's runtime. Each is one file of the app. */
interface Runtime {
    /** As in manifest.json: "litert". */
    val backend: String

    /** null where [unit] is offered; otherwise one sentence why not. */
    fun refusal(unit: ComputeUnit): String?

    /**
     * Load an artifact.
     *
     * @param path of the file on the device; its hash was checked.
     * @param threads of the CPU.
     * @throws Exception whatever the vendor throws; the report quotes it.
     */
    fun load(artifact: Artifact, path: String, unit: ComputeUnit, threads: Int): Matting
}

/** The device around a measurement. */
interface Surroundings {
    fun thermal(): ThermalReading

    /** "battery", "charging" or "unknown". */
    fun power(): String

    /** 0 to 1; null where unknown. */
    fun batteryLevel(): Double?
    fun lowPowerMode(): Boolean?
}
