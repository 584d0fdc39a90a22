import CoreVideo
import IGFCore

/// A camera picture that never changes: the golden picture at the size the live view works at.
///
/// Real pixels, the same on every device and in every run.
final class FixedCamera: @unchecked Sendable {
    static let (width, height) = (1080, 1920)

    private let buffer: CVPixelBuffer
    private let weakMask: Planes

    init(_ golden: GoldenCase) throws {
        weakMask = golden.weakMask
        buffer = try makePixelBuffer(width: Self.width, height: Self.height, format: kCVPixelFormatType_32BGRA)
        let picture = golden.guidance.resized(height: Self.height, width: Self.width)
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        let bytesPerRow = CVPixelBufferGetBytesPerRow(buffer)
        let bytes = UnsafeMutableRawBufferPointer(
            start: CVPixelBufferGetBaseAddress(buffer), count: bytesPerRow * Self.height)
        try picture.writeBGRA(into: bytes, bytesPerRow: bytesPerRow)
    }

    /// The stages around an inference, timed on this picture.
    func stages(renderer: MatteRenderer?) -> [(Stage, MattingSubject.Work)] {
        var stages: [(Stage, MattingSubject.Work)] = [
            (
                .convert,
                { [self] matting, _ in
                    let size = try matting.artifact.input(TensorName.guidance)
                    let guidance = try withRows(of: buffer) { rows in
                        try rows.planes(ChannelOrder.guidance, height: size.height, width: size.width)
                    }
                    try await matting.prepare(guidance: guidance, weakMask: weakMask)
                }
            )
        ]
        if let renderer {
            stages.append((.apply, { [self] _, matte in try await renderer.apply(matte.coefficients, to: buffer) }))
            stages.append((.composite, { [self] _, _ in try await renderer.composite(buffer) }))
        }
        return stages
    }
}
