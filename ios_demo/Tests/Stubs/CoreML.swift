// A stub; see README.md.
@_exported import CoreVideo
import Foundation

public enum MLComputeUnits: Int { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }
public enum MLMultiArrayDataType: Int { case float32, float16, double, int32 }
public final class MLModelConfiguration { public init() {}; public var computeUnits = MLComputeUnits.all }
public final class MLPredictionOptions { public init() {}; public var outputBackings: [String: Any] = [:] }
public final class MLMultiArray {
    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {}
    public init(pixelBuffer: CVPixelBuffer, shape: [NSNumber]) {}
    public var dataType: MLMultiArrayDataType { .float32 }
    public var shape: [NSNumber] { [] }
    public var strides: [NSNumber] { [] }
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
        try body(UnsafeMutableRawBufferPointer(start: nil, count: 0), [])
    }
}
public final class MLFeatureValue { public var multiArrayValue: MLMultiArray? { nil } }
public protocol MLFeatureProvider: AnyObject { func featureValue(for featureName: String) -> MLFeatureValue? }
public final class MLDictionaryFeatureProvider: MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
    public func featureValue(for featureName: String) -> MLFeatureValue? { nil }
}
public final class MLModel {
    public static func compileModel(at modelURL: URL) async throws -> URL { modelURL }
    public static func load(contentsOf modelURL: URL, configuration: MLModelConfiguration) async throws -> MLModel {
        fatalError("stub")
    }
    public func prediction(from input: any MLFeatureProvider, options: MLPredictionOptions) async throws
        -> any MLFeatureProvider
    {
        input
    }
}

public final class MLCPUComputeDevice {}
public final class MLGPUComputeDevice {}
public final class MLNeuralEngineComputeDevice {}
public enum MLComputeDevice {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}
public enum MLModelStructure {
    public struct Program {
        public struct Operation { public var operatorName: String }
        public struct Block { public var operations: [Operation] }
        public struct Function { public var block: Block }
        public var functions: [String: Function]
    }
    public struct NeuralNetwork {}
    case program(Program)
    case neuralNetwork(NeuralNetwork)
    case unsupported
}
@available(iOS 17.4, *)
public final class MLComputePlan {
    public struct DeviceUsage { public var preferred: MLComputeDevice }
    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        fatalError("stub")
    }
    public var modelStructure: MLModelStructure { .unsupported }
    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? { nil }
}
