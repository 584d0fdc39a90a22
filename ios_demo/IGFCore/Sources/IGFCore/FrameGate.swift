import Foundation

/// Lets one frame in at a time; what comes while it is busy is dropped and counted.
public final class FrameGate: @unchecked Sendable {
    private let lock = NSLock()
    private var isBusy = false
    private var counts = (entered: 0, dropped: 0)

    public init() {}

    /// True when the frame may be worked on; `leave` must follow.
    public func enter() -> Bool {
        lock.withLock {
            if isBusy {
                counts.dropped += 1
                return false
            }
            isBusy = true
            counts.entered += 1
            return true
        }
    }

    public func leave() {
        lock.withLock { isBusy = false }
    }

    /// Frames since the start that were worked on and that were dropped.
    public var frames: (entered: Int, dropped: Int) {
        lock.withLock { counts }
    }
}
