import XCTest

@testable import IGFCore

final class TensorTests: XCTestCase {
    // MARK: BGRA rows

    func testRowsKeepTheirPaddingOut() throws {
        // Two rows of two pixels in rows of 12 bytes; the padding is 99.
        let bytes: [UInt8] = [
            0, 51, 255, 255, 102, 153, 204, 255, 99, 99, 99, 99,
            10, 20, 30, 255, 40, 50, 60, 255,
        ]
        try bytes.withUnsafeBytes { buffer in
            let rows = try BGRARows(buffer, width: 2, height: 2, bytesPerRow: 12)
            let planes = try rows.planes(["red", "green", "blue"])
            XCTAssertEqual(
                planes.values.map { Int(($0 * 255).rounded()) }, [255, 204, 30, 60, 51, 153, 20, 50, 0, 102, 10, 40])
            XCTAssertEqual(planes[0, 0, 0], 1)
            assertThrows("channel violet is not one of blue, green, red, alpha") { _ = try rows.planes(["violet"]) }
        }
    }

    func testRowsAreResizedAsPlanesAre() throws {
        let picture = Fixtures.ramp(3, 12, 10)
        var bytes = [UInt8](repeating: 99, count: 12 * 64)
        try bytes.withUnsafeMutableBytes { try picture.writeBGRA(into: $0, bytesPerRow: 64) }
        try bytes.withUnsafeBytes { buffer in
            let rows = try BGRARows(buffer, width: 10, height: 12, bytesPerRow: 64)
            let whole = try rows.planes(ChannelOrder.guidance)
            XCTAssertLessThanOrEqual(largestDistance(whole, picture), 0.5 / 255 + 1e-6)
            for (height, width) in [(5, 4), (24, 4), (7, 30), (12, 10)] {
                let direct = try rows.planes(ChannelOrder.guidance, height: height, width: width)
                XCTAssertLessThan(largestDistance(direct, whole.resized(height: height, width: width)), 1e-6)
            }
        }
    }

    func testRowsThatDoNotFitAreRefused() {
        [UInt8](repeating: 0, count: 19).withUnsafeBytes { buffer in
            assertThrows("19 bytes do not hold 2 x 2 BGRA in rows of 12 bytes") {
                _ = try BGRARows(buffer, width: 2, height: 2, bytesPerRow: 12)
            }
            assertThrows("in rows of 7 bytes") { _ = try BGRARows(buffer, width: 2, height: 1, bytesPerRow: 7) }
        }
    }

    // MARK: Half precision

    #if !(os(macOS) && arch(x86_64))
        func testEveryHalfIsWhatFloat16Says() {
            for bits in UInt16.min...UInt16.max {
                let expected = Float(Float16(bitPattern: bits))
                if expected.isNaN {
                    XCTAssertTrue(Half.float(bits).isNaN)
                } else {
                    XCTAssertEqual(Half.float(bits).bitPattern, expected.bitPattern, "\(bits)")
                    XCTAssertEqual(Half.bits(expected), bits)
                }
            }
        }

        func testFloatsRoundAsFloat16Does() {
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<100_000 {
                let value = Float(bitPattern: generator.next())
                guard !value.isNaN else { continue }
                XCTAssertEqual(Half.bits(value), Float16(value).bitPattern, "\(value)")
            }
        }
    #endif

    func testHalvesByHand() {
        XCTAssertEqual(Half.float(0x3C00), 1)
        XCTAssertEqual(Half.float(0x0001), 0x1p-24)
        XCTAssertEqual(Half.float(0xFC00), -.infinity)
        XCTAssertEqual(Half.bits(65520), 0x7C00)
        XCTAssertEqual(Half.bits(1 + 0x1p-11), 0x3C00, "a tie goes to the even number")
        XCTAssertEqual(Half.bits(1 + 3 * 0x1p-11), 0x3C02)
    }

    // MARK: Packing and unpacking

    func testPaddedOutputsAreReadThroughTheirStrides() throws {
        // 2 x 3 in rows padded to 8 elements, the padding is -7: what Core ML hands out.
        let spec = Fixtures.spec("alpha", [1, 1, 2, 3], ["alpha"])
        let memory = TensorMemory(type: .float32, shape: spec.shape, strides: [16, 16, 8, 1])
        var values = [Float](repeating: -7, count: 16)
        for (index, position) in [0, 1, 2, 8, 9, 10].enumerated() { values[position] = Float(index) / 8 }
        let planes = try values.withUnsafeBytes { try spec.planes(from: $0, memory) }
        XCTAssertEqual(planes.values, [0, 0.125, 0.25, 0.375, 0.5, 0.625])
    }

    func testPaddedHalfOutputsAreReadThroughTheirStrides() throws {
        let spec = Fixtures.spec("alpha", [1, 1, 2, 3], ["alpha"], dtype: .float16)
        let memory = TensorMemory(type: .float16, shape: spec.shape, strides: [64, 64, 32, 1])
        var values = [UInt16](repeating: 0x7E00, count: 35)
        for (index, position) in [0, 1, 2, 32, 33, 34].enumerated() { values[position] = Half.bits(Float(index) / 8) }
        let planes = try values.withUnsafeBytes { try spec.planes(from: $0, memory) }
        XCTAssertEqual(planes.values, [0, 0.125, 0.25, 0.375, 0.5, 0.625])
    }

    func testWhatIsPackedIsReadBackInEveryLayoutAndType() throws {
        let picture = Fixtures.ramp(3, 4, 5)
        for layout in [TensorLayout.nchw, .nhwc] {
            for type in [TensorType.float32, .float16] {
                for channels in [["red", "green", "blue"], ["blue", "green", "red"]] {
                    let shape = layout == .nchw ? [1, 3, 4, 5] : [1, 4, 5, 3]
                    let spec = Fixtures.spec("guidance", shape, channels, layout: layout, dtype: type, minimum: -1)
                    let memory = TensorMemory(contiguous: spec)
                    var bytes = [UInt8](repeating: 0, count: memory.bytes)
                    XCTAssertEqual(memory.bytes, 60 * memory.bytesPerElement)
                    try bytes.withUnsafeMutableBytes {
                        try spec.pack(picture, named: ["red", "green", "blue"], into: $0, memory)
                    }
                    let back = try bytes.withUnsafeBytes {
                        try spec.planes(["red", "green", "blue"], from: $0, memory)
                    }
                    XCTAssertLessThan(largestDistance(back, picture), type == .float32 ? 1e-6 : 1e-3)
                }
            }
        }
    }

    func testTheRangeAndTheOrderOfTheManifestAreKept() throws {
        let spec = Fixtures.spec(
            "guidance", [1, 1, 2, 3], ["blue", "green", "red"], layout: .nhwc, minimum: -1, maximum: 1)
        let picture = Planes(channels: 3, height: 1, width: 2, values: [0, 0.25, 0.5, 0.75, 1, 0])
        var values = [Float](repeating: .nan, count: 6)
        try values.withUnsafeMutableBytes {
            try spec.pack(picture, named: ["red", "green", "blue"], into: $0, TensorMemory(contiguous: spec))
        }
        XCTAssertEqual(values, [1, 0, -1, -1, 0.5, -0.5])
    }

    func testAnUnboundedTensorIsLeftAsItIs() throws {
        let spec = Fixtures.spec("coefficients", [1, 1, 1, 2], ["b"], minimum: nil, maximum: nil)
        let planes = try [Float(-3), 7].withUnsafeBytes { try spec.planes(from: $0, TensorMemory(contiguous: spec)) }
        XCTAssertEqual(planes.values, [-3, 7])
    }

    func testAnotherTensorIsRefused() throws {
        let spec = Fixtures.spec("alpha", [1, 1, 2, 2], ["alpha"])
        let bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        assertThrows("tensor alpha is float16 [1, 1, 2, 2], the manifest says float32 [1, 1, 2, 2]") {
            _ = try spec.planes(from: bytes, TensorMemory(type: .float16, shape: [1, 1, 2, 2], strides: [4, 4, 2, 1]))
        }
        assertThrows("does not fit 0 bytes") { _ = try spec.planes(from: bytes, TensorMemory(contiguous: spec)) }
        assertThrows("alpha takes 2 x 2 pixels, not 3 x 2") {
            var room = [Float](repeating: 0, count: 4)
            try room.withUnsafeMutableBytes {
                try spec.pack(Fixtures.ramp(1, 2, 3), named: ["alpha"], into: $0, TensorMemory(contiguous: spec))
            }
        }
    }
}
