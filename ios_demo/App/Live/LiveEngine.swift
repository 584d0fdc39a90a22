@preconcurrency import CoreVideo
import Foundation
import IGFCore
@preconcurrency import QuartzCore

/// What the live view shows beside the picture, times in milliseconds.
struct LiveStatistics: Sendable {
    var convertMs = 0.0
    var inferenceMs = 0.0
    var applyMs = 0.0
    var compositeMs = 0.0
    /// The next frame's weak mask.
    var maskMs = 0.0
    var dropped = 0
    var message: String? = "looking for a person; or draw over what to keep"
}

/// Camera frame in, composite on the screen out. A frame that comes while one is worked on is dropped.
actor LiveEngine {
    private let matting: any Matting
    private let renderer: MatteRenderer
    private let gate = FrameGate()
    private let person = PersonMask()
    private let time = SystemTime()
    private let nextDrawable: @Sendable (CVPixelBuffer) async -> CAMetalDrawable?
    private let report: @Sendable (LiveStatistics) -> Void
    private var source = WeakMaskSource()
    private var scribble: Planes?

    /// - Parameters:
    ///   - nextDrawable: a drawable of the picture's size.
    ///   - report: is told of each frame.
    init(
        matting: any Matting, renderer: MatteRenderer,
        nextDrawable: @escaping @Sendable (CVPixelBuffer) async -> CAMetalDrawable?,
        report: @escaping @Sendable (LiveStatistics) -> Void
    ) {
        self.matting = matting
        self.renderer = renderer
        self.nextDrawable = nextDrawable
        self.report = report
    }

    /// Called on the camera's queue.
    nonisolated func take(_ picture: CVPixelBuffer) {
        guard gate.enter() else { return }
        Task {
            await show(picture)
            gate.leave()
        }
    }

    /// A mask drawn with the finger, of the network's size; used for the next frame.
    func draw(_ mask: Planes) {
        scribble = mask
    }

    private func show(_ picture: CVPixelBuffer) async {
        var statistics = LiveStatistics()
        do {
            try await matte(picture, &statistics)
        } catch {
            statistics.message = "\(error)"
        }
        statistics.dropped = gate.frames.dropped
        report(statistics)
    }

    private func matte(_ picture: CVPixelBuffer, _ statistics: inout LiveStatistics) async throws {
        let size = try matting.artifact.input(TensorName.guidance)
        let mask = try source.next(scribble: scribble) {
            try person.weakMask(of: picture, height: size.height, width: size.width)
        }
        scribble = nil
        guard let mask else { return }
        let start = time.nowMs()
        let guidance = try withRows(of: picture) { rows in
            try rows.planes(ChannelOrder.guidance, height: size.height, width: size.width)
        }
        try await matting.prepare(guidance: guidance, weakMask: mask)
        let prepared = time.nowMs()
        let matte = try await matting.run()
        let inferred = time.nowMs()
        try await renderer.apply(matte.coefficients, to: picture)
        let applied = time.nowMs()
        source.note(alpha: try matte.alpha(of: guidance))
        let noted = time.nowMs()
        guard let drawable = await nextDrawable(picture) else { return }
        try await renderer.composite(picture, showing: drawable, drawable.texture)
        statistics.convertMs = prepared - start
        statistics.inferenceMs = inferred - prepared
        statistics.applyMs = applied - inferred
        statistics.compositeMs = time.nowMs() - noted
        statistics.maskMs = noted - applied
        statistics.message = nil
    }
}
