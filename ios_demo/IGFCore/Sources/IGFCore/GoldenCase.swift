import Foundation

/// Inputs and the float model's outputs for them, written by Python: `case.json` and raw float32 files.
///
/// Of `shared_vectors/matte` (64 x 64, any processor) and `device_case` (the artifacts' size, for the phone).
public struct GoldenCase: Sendable {
    /// How far an artifact's alpha may be from the golden one.
    public struct Limit: Codable, Equatable, Sendable {
        public let maxAbs: Double
        public let meanAbs: Double

        enum CodingKeys: String, CodingKey {
            case maxAbs = "max_abs"
            case meanAbs = "mean_abs"
        }

        public init(maxAbs: Double, meanAbs: Double) {
            self.maxAbs = maxAbs
            self.meanAbs = meanAbs
        }
    }

    private struct Description: Decodable {
        let name: String?
        let dtype: String
        let layout: String
        let shapes: [String: [Int]]
        let sha256: [String: String]
        let limits: [String: [String: Limit]]?
    }

    public let name: String
    /// Red, green, blue.
    public let guidance: Planes
    public let weakMask: Planes
    public let alpha: Planes
    /// A for red, green, blue, then B.
    public let coefficients: Planes
    /// Backend, then scheme; empty in a case that is not for a device.
    public let limits: [String: [String: Limit]]

    public init(
        name: String, guidance: Planes, weakMask: Planes, alpha: Planes, coefficients: Planes,
        limits: [String: [String: Limit]] = [:]
    ) {
        self.name = name
        self.guidance = guidance
        self.weakMask = weakMask
        self.alpha = alpha
        self.coefficients = coefficients
        self.limits = limits
    }

    /// Read a folder with `case.json`.
    ///
    /// Throws `IGFError` when a file is missing, has another length or is not the one `case.json` describes.
    public init(folder: URL) throws {
        let json = try read(folder.appendingPathComponent("case.json"))
        let description = try decode(Description.self, from: json, called: "case.json")
        guard description.dtype == "little-endian float32", description.layout == "NCHW" else {
            throw IGFError("case.json: \(description.dtype) \(description.layout) is not little-endian float32 NCHW")
        }
        func tensor(_ name: String) throws -> Planes {
            guard let shape = description.shapes[name], shape.count == 4, shape[0] == 1 else {
                throw IGFError("case.json describes no \(name) of four dimensions")
            }
            let data = try read(folder.appendingPathComponent("\(name).f32"))
            guard SHA256.hex(of: data) == description.sha256[name] else {
                throw IGFError("\(name).f32 is not the file that case.json describes: another sha256")
            }
            return try Planes(littleEndian: data, shape: shape, called: name)
        }
        self.init(
            name: description.name ?? folder.lastPathComponent,
            guidance: try tensor(TensorName.guidance), weakMask: try tensor(TensorName.weakMask),
            alpha: try tensor(TensorName.alpha), coefficients: try tensor(TensorName.coefficients),
            limits: description.limits ?? [:]
        )
    }

    /// Throws `IGFError` when there is no limit for this artifact: a missing row is no pass.
    public func limit(of artifact: ArtifactRecord) throws -> Limit {
        guard let limit = limits[artifact.backend]?[artifact.scheme] else {
            throw IGFError("the case \(name) has no limit for \(artifact.backend) \(artifact.scheme)")
        }
        return limit
    }
}

extension Planes {
    fileprivate init(littleEndian data: Data, shape: [Int], called name: String) throws {
        let count = shape.reduce(1, *)
        guard data.count == 4 * count else {
            throw IGFError("\(name).f32 has \(data.count) bytes, its shape \(shape) takes \(4 * count)")
        }
        let values = data.withUnsafeBytes { bytes in
            (0..<count).map { index in
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
            }
        }
        self.init(channels: shape[1], height: shape[2], width: shape[3], values: values)
    }
}

/// The bytes of a file, or an `IGFError` with its name.
func read(_ file: URL) throws -> Data {
    do {
        return try Data(contentsOf: file)
    } catch {
        throw IGFError("cannot read \(file.lastPathComponent): \(error.localizedDescription)")
    }
}
