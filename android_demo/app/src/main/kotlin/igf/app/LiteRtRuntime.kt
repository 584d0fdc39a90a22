package igf.app

import android.os.Build
import igf.core.Artifact
import igf.core.ComputeUnit
import igf.core.IgfException
import igf.core.Matting
import igf.core.Runtime
import igf.core.TensorSpec
import igf.core.UnitEvidence
import igf.core.floatBuffer
import java.io.File
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import org.tensorflow.lite.nnapi.NnApiDelegate

/** LiteRT: XNNPACK on the CPU, the GPU delegate, NNAPI. */
class LiteRtRuntime : Runtime {
    override val backend = "litert"

    override fun refusal(unit: ComputeUnit): String? =
        if (unit == ComputeUnit.NPU && Build.VERSION.SDK_INT < 27) "NNAPI begins with Android 8.1" else null

    override fun load(artifact: Artifact, path: String, unit: ComputeUnit, threads: Int): Matting {
        val delegate: Delegate? = when (unit) {
            ComputeUnit.CPU -> null
            // float32 arithmetic: A * I + B cancels large terms, and float16 leaves errors of 0.015 in alpha.
            ComputeUnit.GPU -> GpuDelegate(GpuDelegateFactory.Options().setPrecisionLossAllowed(false))
            ComputeUnit.NPU -> NnApiDelegate(NnApiDelegate.Options().setUseNnapiCpu(false))
        }
        val options = Interpreter.Options().setNumThreads(threads).setUseXNNPACK(unit == ComputeUnit.CPU)
        delegate?.let(options::addDelegate)
        try {
            return LiteRtMatting(artifact, Interpreter(File(path), options), delegate, unit)
        } catch (error: Exception) {
            delegate?.close()
            throw error
        }
    }
}

private class LiteRtMatting(
    artifact: Artifact,
    private val interpreter: Interpreter,
    private val delegate: Delegate?,
    unit: ComputeUnit,
) : Matting {
    override val guidance = floatBuffer(artifact.guidance)
    override val weakMask = floatBuffer(artifact.weakMask)
    private val inputs = mapOf(artifact.guidance.name to guidance, artifact.weakMask.name to weakMask)
    private val outputs = artifact.outputs.associate { it.name to floatBuffer(it) }
    override val alpha = artifact.alpha?.let { outputs[it.name] }
    override val coefficients = outputs.getValue(artifact.coefficients.name)

    override val evidence = when (unit) {
        ComputeUnit.CPU -> UnitEvidence("cpu", "no delegate but XNNPACK was asked for")
        else -> UnitEvidence(
            "unknown", "the ${unit.id} delegate took the model; LiteRT's Java interface does not say how many operators",
        )
    }

    init {
        for (spec in listOf(artifact.guidance, artifact.weakMask)) {
            check(spec, interpreter.getInputTensorFromSignature(spec.name, null).shape())
        }
        for (spec in artifact.outputs) {
            check(spec, interpreter.getOutputTensorFromSignature(spec.name, null).shape())
        }
    }

    override fun run() {
        for (buffer in inputs.values + outputs.values) buffer.rewind()
        interpreter.runSignature(inputs, outputs)
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }

    private fun check(spec: TensorSpec, shape: IntArray) {
        if (shape.toList() != spec.shape) {
            throw IgfException("${spec.name} has the shape ${shape.toList()}, manifest.json says ${spec.shape}")
        }
    }
}
