@preconcurrency import CoreML
import Foundation
import IGFCore

/// Core ML packages compiled on the device, one time each; shipped apps compile theirs on the Mac.
actor CompiledModels {
    static let shared = CompiledModels()

    private var compiled: [String: URL] = [:]

    /// The compiled form of a package that is the one the manifest describes.
    ///
    /// Throws `IGFError` for another checksum, or what Core ML says.
    func url(of artifact: ArtifactRecord, at package: URL) async throws -> URL {
        if let url = compiled[artifact.sha256] { return url }
        try artifact.verify(at: package)
        let url = try await MLModel.compileModel(at: package)
        compiled[artifact.sha256] = url
        return url
    }
}
