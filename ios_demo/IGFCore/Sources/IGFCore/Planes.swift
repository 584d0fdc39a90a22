/// A picture as planes of floats, channel by channel, row by row, without padding: what the app computes with.
public struct Planes: Equatable, Sendable {
    public let channels: Int
    public let height: Int
    public let width: Int
    /// `channels * height * width` values.
    public var values: [Float]

    public init(channels: Int, height: Int, width: Int, values: [Float]) {
        precondition(values.count == channels * height * width, "a picture's values fill its planes")
        self.channels = channels
        self.height = height
        self.width = width
        self.values = values
    }

    public init(channels: Int, height: Int, width: Int, repeating value: Float = 0) {
        let values = [Float](repeating: value, count: channels * height * width)
        self.init(channels: channels, height: height, width: width, values: values)
    }

    /// Values of one plane.
    public var area: Int { height * width }

    public subscript(channel: Int, y: Int, x: Int) -> Float {
        get { values[channel * area + y * width + x] }
        set { values[channel * area + y * width + x] = newValue }
    }

    /// No NaN and no infinity.
    public var isFinite: Bool { values.allSatisfy(\.isFinite) }

    /// Every value is the same number.
    public var isConstant: Bool { values.allSatisfy { $0 == values.first } }
}
