// A stub; see README.md. After extension/apple/ExecuTorch/Exported of ExecuTorch's repository.
import Foundation

public protocol Scalar {}
extension Float: Scalar {}
public protocol ValueConvertible {}
public final class Tensor<T: Scalar>: ValueConvertible {
    public convenience init(_ scalars: [T], shape: [Int] = []) { fatalError("stub") }
    public var shape: [Int] { [] }
    public var strides: [Int] { [] }
    public func withUnsafeBytes<R>(_ body: (UnsafeBufferPointer<T>) throws -> R) rethrows -> R {
        try body(UnsafeBufferPointer(start: nil, count: 0))
    }
}
public final class Value: ValueConvertible { public func tensor<T: Scalar>() -> Tensor<T>? { nil } }
public final class MethodMetadata { public var backendNames: [String] { [] } }
public final class Module {
    public init(filePath: String) {}
    public func load(_ method: String) throws {}
    public func methodMetadata(_ methodName: String) throws -> MethodMetadata { fatalError("stub") }
    public func forward(_ inputs: [any ValueConvertible]) throws -> [Value] { [] }
}
