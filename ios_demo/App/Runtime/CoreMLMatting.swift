@preconcurrency import CoreML
import Foundation
import IGFCore

/// A Core ML package on one choice of compute units.
///
/// Inputs and outputs are allocated once: the prediction writes into the output backings, and is over when
/// all were read back. One caller at a time.
final class CoreMLMatting: Matting, @unchecked Sendable {
    let artifact: ArtifactRecord
    let residency: Residency
    private let model: MLModel
    private let inputs: [String: MLMultiArray]
    private let provider: MLDictionaryFeatureProvider
    private let options: MLPredictionOptions

    /// - Parameter compiled: see `CompiledModels`.
    init(artifact: ArtifactRecord, unit: ComputeUnit, compiled: URL) async throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = unit.coreML
        self.artifact = artifact
        model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
        residency = await plannedResidency(of: compiled, configuration)
        inputs = try Self.arrays(for: artifact.inputs)
        provider = try MLDictionaryFeatureProvider(dictionary: inputs)
        options = MLPredictionOptions()
        options.outputBackings = try Self.arrays(for: artifact.outputs)
    }

    func prepare(guidance: Planes, weakMask: Planes) throws {
        try pack(guidance, ChannelOrder.guidance, into: TensorName.guidance)
        try pack(weakMask, ChannelOrder.weakMask, into: TensorName.weakMask)
    }

    func run() async throws -> Matte {
        let output = try await model.prediction(from: provider, options: options)
        return Matte(
            alpha: try artifact.alpha.map { try read($0, ChannelOrder.alpha, from: output) },
            coefficients: try read(
                artifact.output(TensorName.coefficients), ChannelOrder.coefficients, from: output)
        )
    }

    private func pack(_ planes: Planes, _ channels: [String], into name: String) throws {
        guard let array = inputs[name] else { throw IGFError("\(artifact.file) has no input \(name)") }
        try array.pack(planes, named: channels, as: artifact.input(name))
    }

    /// From the provider and not from the backing: Core ML may decline a backing and hand out its own array.
    private func read(_ spec: TensorSpec, _ channels: [String], from output: any MLFeatureProvider) throws -> Planes {
        guard let array = output.featureValue(for: spec.name)?.multiArrayValue else {
            throw IGFError("\(artifact.file) gave no \(spec.name)")
        }
        return try array.planes(channels, as: spec)
    }

    private static func arrays(for specs: [TensorSpec]) throws -> [String: MLMultiArray] {
        try Dictionary(uniqueKeysWithValues: specs.map { ($0.name, try MLMultiArray.make(for: $0)) })
    }
}

extension ComputeUnit {
    /// Apple's words for ours.
    var coreML: MLComputeUnits {
        switch self {
        case .cpu: return .cpuOnly
        case .gpu: return .cpuAndGPU
        case .npu: return .cpuAndNeuralEngine
        case .all: return .all
        }
    }
}
