/// What one output position along an axis is made of: neighbouring input positions and their weights.
struct AxisTap: Equatable {
    let first: Int
    /// One per input position from `first` on; they add up to 1.
    let weights: [Float]
}

/// Bilinear taps with half-pixel centres; outside the picture its border repeats.
func linearTaps(from input: Int, to output: Int) -> [AxisTap] {
    let scale = Float(input) / Float(output)
    return (0..<output).map { index in
        let centre = ((Float(index) + 0.5) * scale - 0.5).clamped(to: 0...Float(input - 1))
        let first = min(Int(centre), max(input - 2, 0))
        let weight = centre - Float(first)
        return AxisTap(first: first, weights: input == 1 ? [1] : [1 - weight, weight])
    }
}

/// Means over the input positions that an output position covers, the ones at the ends by their share.
func areaTaps(from input: Int, to output: Int) -> [AxisTap] {
    let scale = Double(input) / Double(output)
    return (0..<output).map { index in
        let start = Double(index) * scale
        let end = min(start + scale, Double(input))
        let covered = Int(start)..<min(Int(end.rounded(.up)), input)
        let weights = covered.map { position in
            Float((min(Double(position) + 1, end) - max(Double(position), start)) / (end - start))
        }
        return AxisTap(first: covered.lowerBound, weights: weights)
    }
}

/// Block means along an axis that shrinks, bilinear along one that grows; the picture itself where it does neither.
func axisTaps(from input: Int, to output: Int) -> [AxisTap] {
    output < input ? areaTaps(from: input, to: output) : linearTaps(from: input, to: output)
}

extension Planes {
    /// The picture at another size: block means along an axis that shrinks, bilinear along one that grows.
    ///
    /// The rule of `igf_mobile.images.resize`.
    public func resized(height newHeight: Int, width newWidth: Int) -> Planes {
        resizedRows(to: newHeight).resizedColumns(to: newWidth)
    }

    private func resizedRows(to newHeight: Int) -> Planes {
        if newHeight == height { return self }
        let taps = axisTaps(from: height, to: newHeight)
        var result = Planes(channels: channels, height: newHeight, width: width)
        result.values.withUnsafeMutableBufferPointer { out in
            for channel in 0..<channels {
                for (y, tap) in taps.enumerated() {
                    let start = (channel * newHeight + y) * width
                    for (step, weight) in tap.weights.enumerated() {
                        let row = (channel * height + tap.first + step) * width
                        for x in 0..<width { out[start + x] += weight * values[row + x] }
                    }
                }
            }
        }
        return result
    }

    private func resizedColumns(to newWidth: Int) -> Planes {
        if newWidth == width { return self }
        let taps = axisTaps(from: width, to: newWidth)
        var result = Planes(channels: channels, height: height, width: newWidth)
        result.values.withUnsafeMutableBufferPointer { out in
            for row in 0..<channels * height {
                for (x, tap) in taps.enumerated() {
                    var sum: Float = 0
                    for (step, weight) in tap.weights.enumerated() {
                        sum += weight * values[row * width + tap.first + step]
                    }
                    out[row * newWidth + x] = sum
                }
            }
        }
        return result
    }
}

extension Comparable {
    func clamped(to range: ClosedRange<Self>) -> Self {
        min(max(self, range.lowerBound), range.upperBound)
    }
}
