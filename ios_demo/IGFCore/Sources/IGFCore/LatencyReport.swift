import Foundation

/// `latency_report.json`, the contract of `igf_mobile/latency_report.schema.json`. Times are in milliseconds.
public struct LatencyReport: Codable, Equatable, Sendable {
    public static let schemaVersion = 1
    public static let fileName = "latency_report.json"

    public enum Kind: String, Codable, Sendable {
        case device
        /// Made for tests, measured on nothing.
        case fixture
    }

    public struct App: Codable, Equatable, Sendable {
        public let name: String
        public let version: String
        public let platform: String

        public init(name: String, version: String, platform: String = "ios") {
            self.name = name
            self.version = version
            self.platform = platform
        }
    }

    public struct Build: Codable, Equatable, Sendable {
        public let name: String
        public let version: String
        /// Of the bytes of manifest.json, computed on the device.
        public let manifestSha256: String
        /// Inference leaves alpha out.
        public let coefficientsOnly: Bool

        enum CodingKeys: String, CodingKey {
            case name, version
            case manifestSha256 = "manifest_sha256"
            case coefficientsOnly = "coefficients_only"
        }

        public init(manifest: Manifest, json: Data) {
            self.name = manifest.name
            self.version = manifest.version
            self.manifestSha256 = SHA256.hex(of: json)
            self.coefficientsOnly = manifest.coefficientsOnly
        }
    }

    public struct Device: Codable, Equatable, Sendable {
        public let manufacturer: String
        /// The identifier, for example iPhone17,1.
        public let model: String
        public let os: String
        public let osVersion: String
        @OrNull public var osBuild: String?
        @OrNull public var cores: Int?
        @OrNull public var memoryBytes: Int?

        enum CodingKeys: String, CodingKey {
            case manufacturer, model, os
            case osVersion = "os_version"
            case osBuild = "os_build"
            case cores
            case memoryBytes = "memory_bytes"
        }

        public init(
            manufacturer: String = "Apple", model: String, os: String, osVersion: String, osBuild: String?,
            cores: Int?, memoryBytes: Int?
        ) {
            self.manufacturer = manufacturer
            self.model = model
            self.os = os
            self.osVersion = osVersion
            self.osBuild = osBuild
            self.cores = cores
            self.memoryBytes = memoryBytes
        }
    }

    public let schemaVersion: Int
    public let kind: Kind
    /// When it was last added to.
    public private(set) var createdAt: String
    public let app: App
    public let build: Build
    public let device: Device
    public private(set) var runs: [MeasuredRun]

    enum CodingKeys: String, CodingKey {
        case schemaVersion = "schema_version"
        case kind
        case createdAt = "created_at"
        case app, build, device, runs
    }

    public init(kind: Kind, createdAt: Date, app: App, build: Build, device: Device, runs: [MeasuredRun]) {
        self.schemaVersion = Self.schemaVersion
        self.kind = kind
        self.createdAt = Self.utc(createdAt)
        self.app = app
        self.build = build
        self.device = device
        self.runs = runs
    }

    public mutating func add(_ run: MeasuredRun, at date: Date) {
        runs.append(run)
        createdAt = Self.utc(date)
    }

    /// Whole seconds, UTC: 2026-11-22T22:00:00Z.
    static func utc(_ date: Date) -> String {
        date.formatted(.iso8601)
    }

    public func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }

    /// Write `latency_report.json` into `folder`, whole or not at all, and return where it is.
    @discardableResult
    public func write(into folder: URL) throws -> URL {
        let file = folder.appendingPathComponent(Self.fileName)
        do {
            try json().write(to: file, options: .atomic)
        } catch let error as EncodingError {
            throw IGFError("\(Self.fileName) cannot be written: \(error)")
        } catch {
            throw IGFError(
                "\(Self.fileName) cannot be written to \(folder.lastPathComponent): \(error.localizedDescription)")
        }
        return file
    }
}
