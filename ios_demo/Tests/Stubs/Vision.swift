// A stub; see README.md.
@_exported import CoreVideo
import Foundation

open class VNRequest: NSObject {}
open class VNObservation: NSObject {}
public final class VNPixelBufferObservation: VNObservation {
    public var pixelBuffer: CVPixelBuffer { fatalError("stub") }
}
public final class VNGeneratePersonSegmentationRequest: VNRequest {
    public enum QualityLevel: UInt { case accurate, balanced, fast }
    public var qualityLevel = QualityLevel.accurate
    public var outputPixelFormat: OSType = 0
    public var results: [VNPixelBufferObservation]? { nil }
}
public final class VNSequenceRequestHandler: NSObject {
    public func perform(_ requests: [VNRequest], on pixelBuffer: CVPixelBuffer) throws {}
}
