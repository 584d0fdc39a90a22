@preconcurrency import CoreML
import CoreVideo
import Foundation
import IGFCore

extension MLMultiArray {
    /// Memory for a tensor of the manifest. Float16 lies in an IOSurface, which the Neural Engine and the GPU
    /// read and write without a copy; Core ML has no such surface for float32.
    static func make(for spec: TensorSpec) throws -> MLMultiArray {
        let shape = spec.shape.map { NSNumber(value: $0) }
        switch spec.dtype {
        case .float32: return try MLMultiArray(shape: shape, dataType: .float32)
        case .float16:
            let rows = spec.count / (spec.shape.last ?? 1)
            let buffer = try makePixelBuffer(
                width: spec.shape.last ?? 1, height: rows, format: kCVPixelFormatType_OneComponent16Half)
            return MLMultiArray(pixelBuffer: buffer, shape: shape)
        }
    }

    /// Write a picture whose channels are `names`, wherever the rows of this array lie.
    func pack(_ planes: Planes, named names: [String], as spec: TensorSpec) throws {
        let type = try tensorType()
        let shape = self.shape.map(\.intValue)
        try withUnsafeMutableBytes { bytes, strides in
            try spec.pack(planes, named: names, into: bytes, TensorMemory(type: type, shape: shape, strides: strides))
        }
    }

    /// Read the channels `names`, wherever the rows of this array lie.
    func planes(_ names: [String], as spec: TensorSpec) throws -> Planes {
        let type = try tensorType()
        let memory = TensorMemory(type: type, shape: shape.map(\.intValue), strides: strides.map(\.intValue))
        return try withUnsafeBytes { bytes in try spec.planes(names, from: bytes, memory) }
    }

    private func tensorType() throws -> TensorType {
        switch dataType {
        case .float32: return .float32
        case .float16: return .float16
        default: throw IGFError("Core ML gives an array of type \(dataType.rawValue), not float32 or float16")
        }
    }
}

/// A pixel buffer in an IOSurface, so that Core ML, Metal and the camera share it.
func makePixelBuffer(width: Int, height: Int, format: OSType) throws -> CVPixelBuffer {
    let attributes: [String: Any] = [
        kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any](),
        kCVPixelBufferMetalCompatibilityKey as String: true,
    ]
    var buffer: CVPixelBuffer?
    let status = CVPixelBufferCreate(nil, width, height, format, attributes as CFDictionary, &buffer)
    guard status == kCVReturnSuccess, let buffer else {
        throw IGFError("no pixel buffer of \(width) x \(height): Core Video says \(status)")
    }
    return buffer
}

/// Look at the rows of an 8-bit BGRA pixel buffer, locked for as long as `body` runs.
func withRows<Result>(of buffer: CVPixelBuffer, _ body: (BGRARows) throws -> Result) throws -> Result {
    guard CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA else {
        throw IGFError("the picture is not 8-bit BGRA")
    }
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
    let bytesPerRow = CVPixelBufferGetBytesPerRow(buffer)
    let height = CVPixelBufferGetHeight(buffer)
    let bytes = UnsafeRawBufferPointer(start: CVPixelBufferGetBaseAddress(buffer), count: bytesPerRow * height)
    let width = CVPixelBufferGetWidth(buffer)
    return try body(BGRARows(bytes, width: width, height: height, bytesPerRow: bytesPerRow))
}
