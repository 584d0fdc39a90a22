/// A borrowed 8-bit BGRA picture whose rows may be padded, as the camera and Core Video hand it out.
///
/// Valid only while the buffer it looks at is locked.
public struct BGRARows {
    public static let channels = ["blue", "green", "red", "alpha"]

    private let base: UnsafeRawBufferPointer
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

    /// The channels by name, in that order, as values in [0,1], at another size.
    ///
    /// The same as `planes(names).resized(height:width:)` within rounding, without planes of the whole
    /// camera picture in between. Throws `IGFError` for a name that is not one of `channels`.
    public func planes(_ names: [String], height newHeight: Int, width newWidth: Int) throws -> Planes {
        let offsets = try names.map(Self.offset)
        let rows = axisTaps(from: height, to: newHeight)
        let columns = axisTaps(from: width, to: newWidth)
        var result = Planes(channels: names.count, height: newHeight, width: newWidth)
        var mixed = [Float](repeating: 0, count: 4 * width)
        mixed.withUnsafeMutableBufferPointer { mixed in
            result.values.withUnsafeMutableBufferPointer { out in
                for (y, row) in rows.enumerated() {
                    mix(row, into: mixed)
                    for (x, column) in columns.enumerated() {
                        for (channel, offset) in offsets.enumerated() {
                            var sum: Float = 0
                            for (step, weight) in column.weights.enumerated() {
                                sum += weight * mixed[4 * (column.first + step) + offset]
                            }
                            out[(channel * newHeight + y) * newWidth + x] = sum / 255
                        }
                    }
                }
            }
        }
        return result
    }

    /// The channels by name at the picture's own size.
    public func planes(_ names: [String]) throws -> Planes {
        try planes(names, height: height, width: width)
    }

    /// One row of output from the input rows of a tap: still all four channels, still 0 to 255.
    private func mix(_ tap: AxisTap, into mixed: UnsafeMutableBufferPointer<Float>) {
        for (step, weight) in tap.weights.enumerated() {
            let row = UnsafeRawBufferPointer(rebasing: base[((tap.first + step) * bytesPerRow)...])
            if step == 0 {
                for index in 0..<4 * width { mixed[index] = weight * Float(row[index]) }
            } else {
                for index in 0..<4 * width { mixed[index] += weight * Float(row[index]) }
            }
        }
    }

    private static func offset(of name: String) throws -> Int {
        guard let offset = channels.firstIndex(of: name) else {
            throw IGFError("channel \(name) is not one of \(channels.joined(separator: ", "))")
        }
        return offset
    }
}

extension Planes {
    /// Write red, green and blue planes of values in [0,1] as BGRA rows, opaque; the reverse of `BGRARows`.
    ///
    /// Throws `IGFError` when the rows do not fit.
    public func writeBGRA(into rows: UnsafeMutableRawBufferPointer, bytesPerRow: Int) throws {
        guard channels == 3, rows.count >= (height - 1) * bytesPerRow + 4 * width, bytesPerRow >= 4 * width else {
            throw IGFError("\(rows.count) bytes do not hold \(width) x \(height) BGRA in rows of \(bytesPerRow) bytes")
        }
        for y in 0..<height {
            for x in 0..<width {
                let pixel = y * bytesPerRow + 4 * x
                for channel in 0..<3 {
                    let value = (self[channel, y, x] * 255).rounded().clamped(to: 0...255)
                    rows[pixel + 2 - channel] = UInt8(value)
                }
                rows[pixel + 3] = 255
            }
        }
    }
}
