/// Order of a tensor's dimensions in memory.
public enum TensorLayout: String, Codable, Sendable {
    case nchw = "NCHW"
    case nhwc = "NHWC"
}

/// What crosses the edge of an artifact.
public enum TensorType: String, Codable, Sendable {
    case float32
    case float16
}

/// One input or output of an artifact, as `manifest.json` describes it.
public struct TensorSpec: Codable, Equatable, Sendable {
    public let name: String
    /// Batch 1, in the order of `layout`.
    public let shape: [Int]
    public let layout: TensorLayout
    public let dtype: TensorType
    /// Range of values; nil where unbounded.
    public let minimum: Float?
    public let maximum: Float?
    /// Names along C, for example red, green, blue.
    public let channels: [String]

    public init(
        name: String, shape: [Int], layout: TensorLayout, dtype: TensorType = .float32,
        minimum: Float? = 0, maximum: Float? = 1, channels: [String]
    ) {
        self.name = name
        self.shape = shape
        self.layout = layout
        self.dtype = dtype
        self.minimum = minimum
        self.maximum = maximum
        self.channels = channels
    }

    public var height: Int { layout == .nchw ? shape[2] : shape[1] }
    public var width: Int { layout == .nchw ? shape[3] : shape[2] }
    public var count: Int { shape.reduce(1, *) }

    /// Throws `IGFError` unless the shape is that of one picture with as many channels as are named.
    func validate() throws {
        guard shape.count == 4, shape.allSatisfy({ $0 > 0 && $0 <= 1 << 16 }), shape[0] == 1 else {
            throw IGFError("tensor \(name) has shape \(shape), not four dimensions with a batch of 1")
        }
        let planes = layout == .nchw ? shape[1] : shape[3]
        guard planes == channels.count else {
            throw IGFError("tensor \(name) has \(planes) channels in \(layout.rawValue) \(shape), named: \(channels)")
        }
        if let minimum, let maximum, !(minimum < maximum) {
            throw IGFError("tensor \(name) has the range \(minimum) to \(maximum)")
        }
    }
}
