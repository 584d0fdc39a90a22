/// Channels of the coefficients and of the picture they belong to, in the order `applyCoefficients` takes.
public enum ChannelOrder {
    public static let guidance = ["red", "green", "blue"]
    public static let weakMask = ["mask"]
    public static let alpha = ["alpha"]
    public static let coefficients = ["a_red", "a_green", "a_blue", "b"]
}

/// alpha = clamp(sum_c A_c * I_c + B) at the picture's own resolution, on the CPU.
///
/// The coefficients are upsampled bilinearly with half-pixel centres. This is the reference of the Metal
/// kernel in `App/Shaders`; both are checked on `shared_vectors/matte`.
///
/// - Parameters:
///   - coefficients: 4 planes, A for red, green and blue, then B; any resolution.
///   - guidance: 3 planes, red, green, blue, in [0,1].
/// - Returns: one plane in [0,1] of the guidance's size; NaN stays NaN.
/// - Throws: `IGFError` for another number of planes.
public func applyCoefficients(_ coefficients: Planes, to guidance: Planes) throws -> Planes {
    guard coefficients.channels == 4, guidance.channels == 3 else {
        throw IGFError(
            "alpha takes 4 coefficients and 3 colours, not \(coefficients.channels) and \(guidance.channels)")
    }
    let columns = linearTaps(from: coefficients.width, to: guidance.width)
    let rows = linearTaps(from: coefficients.height, to: guidance.height)
    var alpha = Planes(channels: 1, height: guidance.height, width: guidance.width)
    for (y, row) in rows.enumerated() {
        for channel in 0..<4 {
            let start = channel * coefficients.area + row.first * coefficients.width
            for (x, column) in columns.enumerated() {
                var value: Float = 0
                for (step, weight) in row.weights.enumerated() {
                    let position = start + step * coefficients.width + column.first
                    for (shift, share) in column.weights.enumerated() {
                        value += weight * share * coefficients.values[position + shift]
                    }
                }
                if channel < 3 { value *= guidance[channel, y, x] }
                alpha.values[y * guidance.width + x] += value
            }
        }
    }
    for index in alpha.values.indices where !alpha.values[index].isNaN {
        alpha.values[index] = alpha.values[index].clamped(to: 0...1)
    }
    return alpha
}
