/// Half precision by its bits, written out because `Float16` does not exist on Intel Macs.
public enum Half {
    /// Exact; subnormals, infinities and NaN are kept.
    @inline(__always)
    public static func float(_ bits: UInt16) -> Float {
        let magnitude = UInt32(bits & 0x7FFF) << 13
        // Times 2^112: from half's exponent bias to float's; subnormals are normalised on the way.
        var value = (Float(bitPattern: magnitude) * Float(bitPattern: 0x7780_0000)).bitPattern
        if magnitude >= 0x0F80_0000 { value |= 0x7F80_0000 }
        return Float(bitPattern: value | UInt32(bits & 0x8000) << 16)
    }

    /// Rounded to the nearest, ties to even; what is too large becomes infinite.
    @inline(__always)
    public static func bits(_ value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
        let magnitude = value.magnitude
        if magnitude.isNaN { return sign | 0x7E00 }
        if magnitude >= 65520 { return sign | 0x7C00 }
        if magnitude < 0x1p-14 {
            // Subnormals are multiples of 2^-24.
            return sign | UInt16((magnitude * 0x1p24).rounded(.toNearestOrEven))
        }
        let pattern = magnitude.bitPattern
        let rounded = pattern + 0x0FFF + (pattern >> 13 & 1)
        return sign | UInt16(truncatingIfNeeded: (rounded - 0x3800_0000) >> 13)
    }
}
