import Foundation

/// One exported artifact of a build.
public struct ArtifactRecord: Codable, Equatable, Sendable {
    /// Name beside the manifest.
    public let file: String
    public let sha256: String
    public let bytes: Int
    public let backend: String
    /// fp32, fp16, w8 or w8a8; a name, not parsed.
    public let scheme: String
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]

    public init(
        file: String, sha256: String, bytes: Int, backend: String, scheme: String,
        inputs: [TensorSpec], outputs: [TensorSpec]
    ) {
        self.file = file
        self.sha256 = sha256
        self.bytes = bytes
        self.backend = backend
        self.scheme = scheme
        self.inputs = inputs
        self.outputs = outputs
    }

    /// Throws `IGFError` when the artifact has no input of this name.
    public func input(_ name: String) throws -> TensorSpec {
        try find(name, in: inputs, kind: "input")
    }

    /// Throws `IGFError` when the artifact has no output of this name.
    public func output(_ name: String) throws -> TensorSpec {
        try find(name, in: outputs, kind: "output")
    }

    /// Nil where the artifact ends at the coefficients.
    public var alpha: TensorSpec? { outputs.first { $0.name == TensorName.alpha } }

    private func find(_ name: String, in specs: [TensorSpec], kind: String) throws -> TensorSpec {
        guard let spec = specs.first(where: { $0.name == name }) else {
            let names = specs.map(\.name).joined(separator: ", ")
            throw IGFError("\(file) has no \(kind) \(name); it has: \(names)")
        }
        return spec
    }
}

/// `manifest.json`, as far as an app needs it. Shapes, ranges and channel order come from here alone.
public struct Manifest: Codable, Equatable, Sendable {
    public static let schemaVersion = 1
    public static let fileName = "manifest.json"

    public let schemaVersion: Int
    public let name: String
    public let version: String
    public let artifacts: [ArtifactRecord]

    enum CodingKeys: String, CodingKey {
        case schemaVersion = "schema_version"
        case name, version, artifacts
    }

    public init(name: String, version: String, artifacts: [ArtifactRecord]) {
        self.schemaVersion = Self.schemaVersion
        self.name = name
        self.version = version
        self.artifacts = artifacts
    }

    /// Throws `IGFError` naming the field for JSON that is no manifest of this schema version.
    public init(json: Data) throws {
        struct Version: Decodable {
            let schema_version: Int
        }
        let version = try decode(Version.self, from: json, called: Self.fileName).schema_version
        guard version == Self.schemaVersion else {
            throw IGFError("\(Self.fileName) has schema version \(version); this app reads \(Self.schemaVersion)")
        }
        self = try decode(Manifest.self, from: json, called: Self.fileName)
        for artifact in artifacts {
            try artifact.validate()
        }
    }

    /// The artifacts of one backend, in the manifest's order.
    public func artifacts(of backend: String) -> [ArtifactRecord] {
        artifacts.filter { $0.backend == backend }
    }
}

extension ArtifactRecord {
    fileprivate func validate() throws {
        guard !file.isEmpty, !file.contains("/"), !file.hasPrefix(".") else {
            throw IGFError("\(Manifest.fileName) names the file '\(file)', which is not a name beside it")
        }
        for spec in inputs + outputs {
            do {
                try spec.validate()
            } catch {
                throw IGFError("\(Manifest.fileName): \(file): \(error)")
            }
        }
        for name in [TensorName.guidance, TensorName.weakMask] { _ = try input(name) }
        _ = try output(TensorName.coefficients)
    }
}

/// The tensors of an artifact; one that ends at the coefficients has no alpha.
public enum TensorName {
    public static let guidance = "guidance"
    public static let weakMask = "weak_mask"
    public static let alpha = "alpha"
    public static let coefficients = "coefficients"
}
