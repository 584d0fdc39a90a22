extension Planes {
    /// 1 from one half on, 0 below: what the network was trained on as a weak mask.
    public func thresholded() -> Planes {
        Planes(channels: channels, height: height, width: width, values: values.map { $0 >= 0.5 ? 1 : 0 })
    }
}

/// Where the weak mask of the next frame comes from: drawn by a finger or found by a segmentation first, then
/// the alpha of the frame before.
public struct WeakMaskSource: Sendable {
    /// Frames between two segmentations, so that what drifts is corrected.
    public let refreshEvery: Int
    private var frames = 0
    private var previous: Planes?

    public init(refreshEvery: Int = 30) {
        self.refreshEvery = refreshEvery
    }

    /// The mask for a frame, or nil when there is none.
    ///
    /// - Parameters:
    ///   - scribble: what was drawn since the last frame; wins over everything.
    ///   - segmentation: asked at the start, when the matte was lost, and every `refreshEvery` frames.
    public mutating func next(scribble: Planes?, segmentation: () throws -> Planes?) rethrows -> Planes? {
        frames += 1
        if let scribble {
            previous = nil
            return scribble
        }
        if previous == nil || frames % refreshEvery == 0, let found = try segmentation() { return found }
        return previous
    }

    /// Keep the alpha of this frame as the next one's mask; an empty one is forgotten.
    public mutating func note(alpha: Planes) {
        let mask = alpha.thresholded()
        previous = mask.values.contains(1) ? mask : nil
    }
}
