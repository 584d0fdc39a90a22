import CoreVideo
import IGFCore
import Vision

/// Vision's person segmentation as a weak mask.
struct PersonMask {
    private let request: VNGeneratePersonSegmentationRequest
    private let handler = VNSequenceRequestHandler()

    init() {
        request = VNGeneratePersonSegmentationRequest()
        request.qualityLevel = .fast
        request.outputPixelFormat = kCVPixelFormatType_OneComponent8
    }

    /// 0 or 1, one plane of the given size; nil where there is nobody in the picture.
    func weakMask(of picture: CVPixelBuffer, height: Int, width: Int) throws -> Planes? {
        try handler.perform([request], on: picture)
        guard let mask = request.results?.first?.pixelBuffer else { return nil }
        let planes = try grey(mask).resized(height: height, width: width).thresholded()
        return planes.values.contains(1) ? planes : nil
    }

    private func grey(_ buffer: CVPixelBuffer) throws -> Planes {
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        let (width, height) = (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
        guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw IGFError("Vision's mask has no memory") }
        let bytesPerRow = CVPixelBufferGetBytesPerRow(buffer)
        let bytes = UnsafeRawBufferPointer(start: base, count: bytesPerRow * height)
        var planes = Planes(channels: 1, height: height, width: width)
        for y in 0..<height {
            for x in 0..<width { planes[0, y, x] = Float(bytes[y * bytesPerRow + x]) / 255 }
        }
        return planes
    }
}
