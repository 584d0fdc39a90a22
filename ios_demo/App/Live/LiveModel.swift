import Foundation
import IGFCore
@preconcurrency import QuartzCore
import SwiftUI

/// The live view's state: which artifact runs, what is drawn, what was measured of the last frame.
@MainActor
final class LiveModel: ObservableObject {
    static let scribbleRadius: Float = 14

    @Published private(set) var statistics = LiveStatistics()
    @Published private(set) var preview: MetalLayerView?
    private let build: ExportedBuild
    private var camera: Camera?
    private var engine: LiveEngine?
    private var scribble: Scribble?
    private var lastPoint: CGPoint?

    init(build: ExportedBuild) {
        self.build = build
    }

    /// Load the artifact, then start the camera.
    func start(_ artifact: ArtifactRecord, on unit: ComputeUnit) async {
        stop()
        statistics = LiveStatistics(message: "loading \(artifact.file)")
        do {
            let renderer = try MatteRenderer()
            let view = MetalLayerView(device: renderer.device)
            let matting = try await Runtimes.load(artifact, on: unit, from: build)
            let engine = LiveEngine(matting: matting, renderer: renderer) { picture in
                await view.drawable(for: picture)
            } report: { [weak self] statistics in
                Task { @MainActor in self?.statistics = statistics }
            }
            let camera = Camera { picture in engine.take(picture) }
            try await camera.start()
            (self.engine, self.camera, preview) = (engine, camera, view)
        } catch {
            statistics = LiveStatistics(message: "\(error)")
        }
    }

    func stop() {
        camera?.stop()
        (camera, engine, preview, scribble) = (nil, nil, nil, nil)
    }

    /// A finger at `point` of a view of `size`; the mask counts when the finger is lifted.
    func drag(to point: CGPoint, in size: CGSize) {
        guard let guidance = try? build.artifacts.first?.input(TensorName.guidance) else { return }
        var scribble = scribble ?? Scribble(height: guidance.height, width: guidance.width, radius: Self.scribbleRadius)
        let from = lastPoint ?? point
        scribble.line(from: share(of: from, in: size), to: share(of: point, in: size))
        self.scribble = scribble
        lastPoint = point
    }

    func lift() {
        if let mask = scribble?.mask, let engine { Task { await engine.draw(mask) } }
        (scribble, lastPoint) = (nil, nil)
    }

    private func share(of point: CGPoint, in size: CGSize) -> (x: Float, y: Float) {
        (Float(point.x / max(size.width, 1)), Float(point.y / max(size.height, 1)))
    }
}
