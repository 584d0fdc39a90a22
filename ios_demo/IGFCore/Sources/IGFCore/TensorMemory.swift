/// Where the elements of a tensor lie in memory; rows and planes may be padded.
///
/// Core ML pads the rows of its outputs on some compute units. Reading those as if they were contiguous has
/// put mattes in the wrong place, so every access here goes through the strides.
public struct TensorMemory: Equatable, Sendable {
    public let type: TensorType
    public let shape: [Int]
    /// In elements, one per dimension.
    public let strides: [Int]

    public init(type: TensorType, shape: [Int], strides: [Int]) {
        self.type = type
        self.shape = shape
        self.strides = strides
    }

    /// Without padding.
    public init(contiguous spec: TensorSpec) {
        var strides = [Int](repeating: 1, count: spec.shape.count)
        for axis in strides.indices.dropLast().reversed() {
            strides[axis] = strides[axis + 1] * spec.shape[axis + 1]
        }
        self.init(type: spec.dtype, shape: spec.shape, strides: strides)
    }

    public var bytesPerElement: Int { type == .float32 ? 4 : 2 }

    /// Bytes from the first element to the end of the last.
    public var bytes: Int {
        let last = zip(shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
        return (last + 1) * bytesPerElement
    }

    /// Throws `IGFError` unless this is memory of the tensor `spec` and fits `available` bytes.
    func validate(for spec: TensorSpec, available: Int) throws {
        guard shape == spec.shape, type == spec.dtype, strides.count == shape.count else {
            throw IGFError(
                "tensor \(spec.name) is \(type.rawValue) \(shape), the manifest says \(spec.dtype.rawValue) \(spec.shape)"
            )
        }
        guard strides.allSatisfy({ $0 >= 0 }), bytes <= available else {
            throw IGFError("tensor \(spec.name) with strides \(strides) does not fit \(available) bytes")
        }
    }

    /// Strides of channel, row and column.
    func planeStrides(_ layout: TensorLayout) -> (channel: Int, row: Int, column: Int) {
        layout == .nchw ? (strides[1], strides[2], strides[3]) : (strides[3], strides[1], strides[2])
    }
}
