extension TensorSpec {
    /// Read a tensor of this description.
    ///
    /// - Parameters:
    ///   - channels: which channels, by name and in this order; nil for all of them in the tensor's order.
    ///   - bytes: starts with the tensor's first element.
    /// - Returns: a bounded tensor mapped to [0,1], an unbounded one as it is.
    /// - Throws: `IGFError` when the memory is not of this tensor, or a channel is missing.
    public func planes(
        _ channels: [String]? = nil, from bytes: UnsafeRawBufferPointer, _ memory: TensorMemory
    ) throws -> Planes {
        try memory.validate(for: self, available: bytes.count)
        let wanted = try (channels ?? self.channels).map(index(ofChannel:))
        let stride = memory.planeStrides(layout)
        var result = Planes(channels: wanted.count, height: height, width: width)
        result.values.withUnsafeMutableBufferPointer { values in
            var position = 0
            for channel in wanted {
                for y in 0..<height {
                    let row = channel * stride.channel + y * stride.row
                    for x in 0..<width {
                        values[position] = Self.element(row + x * stride.column, of: bytes, type: memory.type)
                        position += 1
                    }
                }
            }
        }
        if let (minimum, range) = span {
            result.values.withUnsafeMutableBufferPointer { values in
                for index in values.indices { values[index] = (values[index] - minimum) / range }
            }
        }
        return result
    }

    /// Write `planes`, whose channels are `names`, as a tensor of this description.
    ///
    /// Throws `IGFError` when the picture has another size, lacks a channel, or the memory is not of this tensor.
    public func pack(
        _ planes: Planes, named names: [String], into bytes: UnsafeMutableRawBufferPointer, _ memory: TensorMemory
    ) throws {
        try memory.validate(for: self, available: bytes.count)
        guard planes.height == height, planes.width == width else {
            throw IGFError("\(name) takes \(width) x \(height) pixels, not \(planes.width) x \(planes.height)")
        }
        let stride = memory.planeStrides(layout)
        let (minimum, range) = span ?? (0, 1)
        for (channel, wanted) in channels.enumerated() {
            guard let source = names.firstIndex(of: wanted) else {
                throw IGFError(
                    "\(name) takes the channel \(wanted), which is not one of \(names.joined(separator: ", "))")
            }
            planes.values.withUnsafeBufferPointer { values in
                for y in 0..<height {
                    let row = channel * stride.channel + y * stride.row
                    let start = source * planes.area + y * width
                    for x in 0..<width {
                        let value = values[start + x] * range + minimum
                        Self.set(value, at: row + x * stride.column, of: bytes, type: memory.type)
                    }
                }
            }
        }
    }

    private func index(ofChannel wanted: String) throws -> Int {
        guard let index = channels.firstIndex(of: wanted) else {
            throw IGFError("\(name) has no channel \(wanted); it has: \(channels.joined(separator: ", "))")
        }
        return index
    }

    /// Minimum and range of a bounded tensor that is not in [0,1] already.
    private var span: (Float, Float)? {
        guard let minimum, let maximum, (minimum, maximum) != (0, 1) else { return nil }
        return (minimum, maximum - minimum)
    }

    @inline(__always)
    private static func element(_ index: Int, of bytes: UnsafeRawBufferPointer, type: TensorType) -> Float {
        switch type {
        case .float32: return bytes.load(fromByteOffset: 4 * index, as: Float.self)
        case .float16: return Half.float(bytes.load(fromByteOffset: 2 * index, as: UInt16.self))
        }
    }

    @inline(__always)
    private static func set(
        _ value: Float, at index: Int, of bytes: UnsafeMutableRawBufferPointer, type: TensorType
    ) {
        switch type {
        case .float32: bytes.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
        case .float16: bytes.storeBytes(of: Half.bits(value), toByteOffset: 2 * index, as: UInt16.self)
        }
    }
}
