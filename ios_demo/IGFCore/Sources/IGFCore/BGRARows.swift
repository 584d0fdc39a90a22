/// A borrowed 8-bit BGRA picture whose rows may be padded, as the camera and Core Video hand it out.
///
/// Valid only while the buffer it looks at is locked.
public struct BGRARows {
    public static let channels = ["blue", "green", "red", "alpha"]

    let base: UnsafeRawBufferPointer
    public let width: Int
    public let height: Int
    /// At least 4 * width.
    public let bytesPerRow: Int

    /// Throws `IGFError` when the buffer is too small for what is said of it.
    public init(_ base: UnsafeRawBufferPointer, width: Int, height: Int, bytesPerRow: Int) throws {
        let needed = (height - 1) * bytesPerRow + 4 * width
        guard width > 0, height > 0, bytesPerRow >= 4 * width, base.count >= needed else {
            throw IGFError("\(base.count) bytes do not hold \(width) x \(height) BGRA in rows of \(bytesPerRow) bytes")
        }
        self.base = base
        self.width = width
        self.height = height
        self.bytesPerRow = bytesPerRow
    }

    /// The channels by name, in that order, as values in [0,1].
    ///
    /// Throws `IGFError` for a name that is not one of blue, green, red, alpha.
    public func planes(_ names: [String]) throws -> Planes {
        var result = Planes(channels: names.count, height: height, width: width)
        for (channel, name) in names.enumerated() {
            guard let offset = Self.channels.firstIndex(of: name) else {
                throw IGFError("channel \(name) is not one of \(Self.channels.joined(separator: ", "))")
            }
            result.values.withUnsafeMutableBufferPointer { values in
                for y in 0..<height {
                    let row = y * bytesPerRow + offset
                    let out = channel * height * width + y * width
                    for x in 0..<width {
                        values[out + x] = Float(base[row + 4 * x]) / 255
                    }
                }
            }
        }
        return result
    }
}
