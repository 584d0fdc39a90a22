import Foundation
import IGFCore

#if canImport(ExecuTorch)
    @preconcurrency import ExecuTorch

    /// An ExecuTorch program. Which backend runs it was decided when it was exported. One caller at a time.
    final class ExecuTorchMatting: Matting, @unchecked Sendable {
        private static let method = "forward"

        let artifact: ArtifactRecord
        let residency: Residency
        private let module: Module
        private var inputs: [Tensor<Float>] = []

        /// Throws `IGFError` for another checksum or a type that is not float32, or what ExecuTorch says.
        init(artifact: ArtifactRecord, url: URL) throws {
            guard (artifact.inputs + artifact.outputs).allSatisfy({ $0.dtype == .float32 }) else {
                throw IGFError("\(artifact.file): ExecuTorch is given float32 here, the manifest says otherwise")
            }
            try artifact.verify(at: url)
            self.artifact = artifact
            module = Module(filePath: url.path)
            try module.load(Self.method)
            residency = Self.residency(try module.methodMetadata(Self.method).backendNames)
        }

        func prepare(guidance: Planes, weakMask: Planes) throws {
            let pictures = [
                TensorName.guidance: (guidance, ChannelOrder.guidance),
                TensorName.weakMask: (weakMask, ChannelOrder.weakMask),
            ]
            inputs = try artifact.inputs.map { spec in
                guard let (planes, channels) = pictures[spec.name] else {
                    throw IGFError("\(artifact.file) takes \(spec.name), which the app does not have")
                }
                let memory = TensorMemory(contiguous: spec)
                var values = [Float](repeating: 0, count: spec.count)
                try values.withUnsafeMutableBytes { try spec.pack(planes, named: channels, into: $0, memory) }
                return Tensor<Float>(values, shape: spec.shape)
            }
        }

        func run() throws -> Matte {
            let outputs: [Value] = try module.forward(inputs)
            guard outputs.count == artifact.outputs.count else {
                throw IGFError(
                    "\(artifact.file) gave \(outputs.count) outputs, the manifest says \(artifact.outputs.count)")
            }
            return Matte(
                alpha: try artifact.alpha.map { try read($0.name, ChannelOrder.alpha, from: outputs) },
                coefficients: try read(TensorName.coefficients, ChannelOrder.coefficients, from: outputs)
            )
        }

        /// Outputs have no names in a program: they come in the manifest's order.
        private func read(_ name: String, _ channels: [String], from outputs: [Value]) throws -> Planes {
            guard let index = artifact.outputs.firstIndex(where: { $0.name == name }),
                let tensor: Tensor<Float> = outputs[index].tensor()
            else {
                throw IGFError("\(artifact.file) gave no float32 \(name)")
            }
            let memory = TensorMemory(type: .float32, shape: tensor.shape, strides: tensor.strides)
            return try tensor.withUnsafeBytes { values in
                try artifact.outputs[index].planes(channels, from: UnsafeRawBufferPointer(values), memory)
            }
        }

        private static func residency(_ backends: [String]) -> Residency {
            let names = backends.joined(separator: ", ")
            let evidence = "The program's metadata name the backends: \(names.isEmpty ? "none" : names)."
            let isCPU = backends.allSatisfy { $0 == "XnnpackBackend" }
            return Residency(unit: isCPU ? .cpu : .unknown, evidence: evidence)
        }
    }
#endif

/// The one place that knows whether the ExecuTorch package is linked.
enum ExecuTorchRuntime {
    #if canImport(ExecuTorch)
        static let isLinked = true

        static func load(_ artifact: ArtifactRecord, at url: URL) throws -> any Matting {
            try ExecuTorchMatting(artifact: artifact, url: url)
        }
    #else
        static let isLinked = false

        static func load(_ artifact: ArtifactRecord, at url: URL) throws -> any Matting {
            throw IGFError("\(artifact.file): the app was built without ExecuTorch")
        }
    #endif
}
