import Foundation
import IGFCore

/// What `make export` made, as the build step copied it into the app.
struct ExportedBuild: Sendable {
    /// Inside the app: manifest.json, artifacts, device_case/.
    static let folderName = "exported"

    let folder: URL
    let manifest: Manifest
    let manifestJSON: Data
    /// The case for phones, with a limit for each artifact.
    let golden: GoldenCase

    /// Throws `IGFError` when something is missing or is not what its manifest says.
    init(folder: URL) throws {
        self.folder = folder
        let file = folder.appendingPathComponent(Manifest.fileName)
        guard let json = try? Data(contentsOf: file) else {
            throw IGFError("the app holds no \(Manifest.fileName); run `make export`, then build the app again")
        }
        manifestJSON = json
        manifest = try Manifest(json: json)
        golden = try GoldenCase(folder: folder.appendingPathComponent("device_case"))
    }

    static func bundled() throws -> ExportedBuild {
        let resources = Bundle.main.resourceURL ?? Bundle.main.bundleURL
        return try ExportedBuild(folder: resources.appendingPathComponent(folderName))
    }

    /// The artifacts this app has a runtime for, in the manifest's order.
    var artifacts: [ArtifactRecord] {
        manifest.artifacts.filter { Runtimes.units(of: $0.backend) != nil }
    }

    func url(of artifact: ArtifactRecord) -> URL {
        folder.appendingPathComponent(artifact.file)
    }
}
