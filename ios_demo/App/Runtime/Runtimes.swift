import Foundation
import IGFCore

/// Which backend of the manifest runs on which compute units here, and how it is loaded.
enum Runtimes {
    /// Nil where the app has no runtime for the backend. A new backend is a line here and a file beside this one.
    static func units(of backend: String) -> [ComputeUnit]? {
        switch backend {
        case "coreml": return [.cpu, .gpu, .npu, .all]
        case "executorch": return ExecuTorchRuntime.isLinked ? [.cpu] : nil
        default: return nil
        }
    }

    /// Load an artifact whose checksum was verified. Throws what the runtime throws, or `IGFError`.
    static func load(_ artifact: ArtifactRecord, on unit: ComputeUnit, from build: ExportedBuild) async throws
        -> any Matting
    {
        let url = build.url(of: artifact)
        switch artifact.backend {
        case "coreml":
            let compiled = try await CompiledModels.shared.url(of: artifact, at: url)
            return try await CoreMLMatting(artifact: artifact, unit: unit, compiled: compiled)
        case "executorch":
            return try ExecuTorchRuntime.load(artifact, at: url)
        default:
            throw IGFError("the app has no runtime for \(artifact.backend)")
        }
    }

    /// Every artifact on every unit, as subjects of a measurement.
    ///
    /// - Parameter renderer: times apply and composite as well; nil: inference and conversion alone.
    static func subjects(_ build: ExportedBuild, renderer: MatteRenderer?) throws -> [MattingSubject] {
        let camera = try FixedCamera(build.golden)
        return build.artifacts.flatMap { artifact in
            (units(of: artifact.backend) ?? []).map { unit in
                MattingSubject(
                    artifact: artifact, computeUnit: unit, golden: build.golden,
                    stages: camera.stages(renderer: renderer)
                ) {
                    try await load(artifact, on: unit, from: build)
                }
            }
        }
    }
}
