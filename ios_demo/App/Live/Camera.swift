@preconcurrency import AVFoundation
import IGFCore

/// The back camera in portrait, 8-bit BGRA; late frames are dropped by the system.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    private let session = AVCaptureSession()
    private let output = AVCaptureVideoDataOutput()
    private let queue = DispatchQueue(label: "camera")
    private let onFrame: @Sendable (CVPixelBuffer) -> Void

    /// - Parameter onFrame: is called on the camera's queue.
    init(onFrame: @escaping @Sendable (CVPixelBuffer) -> Void) {
        self.onFrame = onFrame
    }

    /// Ask for permission where it is needed, and start. Throws `IGFError` with what to do.
    func start() async throws {
        guard await AVCaptureDevice.requestAccess(for: .video) else {
            throw IGFError("the camera is not allowed; Settings > IGF > Camera turns it on")
        }
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else {
            throw IGFError("there is no camera (the simulator has none)")
        }
        let input = try AVCaptureDeviceInput(device: device)
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            queue.async { [self] in done.resume(with: Result { try configure(input) }) }
        }
    }

    func stop() {
        queue.async { [session] in session.stopRunning() }
    }

    private func configure(_ input: AVCaptureDeviceInput) throws {
        if session.inputs.isEmpty {
            session.beginConfiguration()
            defer { session.commitConfiguration() }
            session.sessionPreset = .hd1920x1080
            output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
            output.alwaysDiscardsLateVideoFrames = true
            output.setSampleBufferDelegate(self, queue: queue)
            guard session.canAddInput(input), session.canAddOutput(output) else {
                throw IGFError("the camera gives no BGRA pictures of 1920 x 1080")
            }
            session.addInput(input)
            session.addOutput(output)
            output.connection(with: .video)?.videoRotationAngle = 90
        }
        session.startRunning()
    }

    func captureOutput(_: AVCaptureOutput, didOutput sample: CMSampleBuffer, from _: AVCaptureConnection) {
        if let buffer = CMSampleBufferGetImageBuffer(sample) { onFrame(buffer) }
    }
}
