import Foundation

@testable import IGFCore

/// Small artifacts and pictures that the tests share.
enum Fixtures {
    static func spec(
        _ name: String, _ shape: [Int], _ channels: [String], layout: TensorLayout = .nchw,
        dtype: TensorType = .float32, minimum: Float? = 0, maximum: Float? = 1
    ) -> TensorSpec {
        TensorSpec(
            name: name, shape: shape, layout: layout, dtype: dtype, minimum: minimum, maximum: maximum,
            channels: channels)
    }

    /// A Core ML fp16 artifact for pictures of 8 x 8.
    static func artifact(sha256: String = String(repeating: "a", count: 64)) -> ArtifactRecord {
        ArtifactRecord(
            file: "igf-8-coreml-fp16.mlpackage", sha256: sha256, bytes: 1000, backend: "coreml", scheme: "fp16",
            inputs: [
                spec("guidance", [1, 3, 8, 8], ChannelOrder.guidance), spec("weak_mask", [1, 1, 8, 8], ["mask"]),
            ],
            outputs: [
                spec("alpha", [1, 1, 8, 8], ["alpha"]),
                spec("coefficients", [1, 4, 2, 2], ChannelOrder.coefficients, minimum: nil, maximum: nil),
            ]
        )
    }

    /// Planes of ascending numbers from 0 to below 1.
    static func ramp(_ channels: Int, _ height: Int, _ width: Int) -> Planes {
        let count = channels * height * width
        return Planes(
            channels: channels, height: height, width: width, values: (0..<count).map { Float($0) / Float(count) })
    }

    static func golden(_ limit: GoldenCase.Limit = GoldenCase.Limit(maxAbs: 0.01, meanAbs: 0.001)) -> GoldenCase {
        GoldenCase(
            name: "fixture", guidance: ramp(3, 8, 8), weakMask: ramp(1, 8, 8), alpha: ramp(1, 8, 8),
            coefficients: ramp(4, 2, 2), limits: ["coreml": ["fp16": limit]])
    }

    static var alpha: Planes { ramp(1, 8, 8) }
    static var matte: Matte { Matte(alpha: alpha, coefficients: ramp(4, 2, 2)) }
}
