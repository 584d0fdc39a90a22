package igf.app

import igf.core.Artifact
import igf.core.ComputeUnit
import igf.core.IgfException
import igf.core.Matting
import igf.core.Runtime
import igf.core.TensorSpec
import igf.core.UnitEvidence
import igf.core.floatBuffer
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/** ExecuTorch. Where a program runs was decided when it was exported. */
class ExecuTorchRuntime : Runtime {
    override val backend = "executorch"

    override fun refusal(unit: ComputeUnit): String? =
        if (unit == ComputeUnit.CPU) null else "the build's .pte programs are lowered to XNNPACK, the CPU; none to Vulkan or an NPU"

    override fun load(artifact: Artifact, path: String, unit: ComputeUnit, threads: Int): Matting {
        val module = Module.load(path, Module.LOAD_MODE_MMAP, threads)
        val error = module.loadMethod(METHOD)
        if (error != 0) {
            module.destroy()
            throw IgfException("ExecuTorch cannot load ${artifact.file}: error $error")
        }
        return ExecuTorchMatting(artifact, module)
    }

    internal companion object {
        const val METHOD = "forward"
    }
}

private class ExecuTorchMatting(private val artifact: Artifact, private val module: Module) : Matting {
    override val guidance = floatBuffer(artifact.guidance)
    override val weakMask = floatBuffer(artifact.weakMask)

    // By position, in the manifest's order: ExecuTorch does not keep names.
    private val inputs = artifact.inputs.map { EValue.from(tensor(it)) }.toTypedArray()
    private val outputs = artifact.outputs.map { it to floatBuffer(it) }
    override val alpha = artifact.alpha?.let(outputs.toMap()::get)
    override val coefficients = outputs.toMap().getValue(artifact.coefficients)

    override val evidence: UnitEvidence = module.getMethodMetadata(ExecuTorchRuntime.METHOD).backends.orEmpty().toList().let {
        if (it == listOf("XnnpackBackend")) UnitEvidence("cpu", "the program delegates to XnnpackBackend alone")
        else UnitEvidence("unknown", "the program delegates to ${it.joinToString().ifEmpty { "no backend" }}")
    }

    override fun run() {
        val results = module.forward(*inputs)
        outputs.forEachIndexed { index, (spec, buffer) ->
            val values = results[index].toTensor().dataAsFloatArray
            if (values.size != spec.size) throw IgfException("${spec.name} has ${values.size} values, manifest.json says ${spec.shape}")
            buffer.rewind()
            buffer.put(values)
        }
    }

    override fun close() = module.destroy()

    private fun tensor(spec: TensorSpec): Tensor {
        val buffer = if (spec.name == artifact.guidance.name) guidance else weakMask
        return Tensor.fromBlob(buffer, LongArray(4) { spec.shape[it].toLong() })
    }
}
