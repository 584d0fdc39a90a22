import CoreVideo
import Foundation
import IGFCore
@preconcurrency import Metal

/// Applies coefficients to camera pictures on the GPU and puts them over a background, without copying a picture.
actor MatteRenderer {
    /// Red, green, blue, alpha in [0,1].
    static let background: SIMD4<Float> = [0.10, 0.42, 0.30, 1]

    nonisolated let device: MTLDevice
    private let queue: MTLCommandQueue
    private let applyPipeline: MTLComputePipelineState
    private let compositePipeline: MTLComputePipelineState
    private let cache: CVMetalTextureCache
    private var alpha: MTLTexture?
    private var composed: MTLTexture?
    private var coefficients: MTLBuffer?
    /// Keeps the pixels of the last picture alive until the GPU is done with its texture.
    private var wrapped: CVMetalTexture?

    /// Throws `IGFError` where there is no GPU, or what Metal says.
    init() throws {
        guard let device = MTLCreateSystemDefaultDevice(), let queue = device.makeCommandQueue(),
            let library = device.makeDefaultLibrary(), let apply = library.makeFunction(name: "apply_coefficients"),
            let composite = library.makeFunction(name: "composite")
        else { throw IGFError("Metal is not available, or the app was built without Matte.metal") }
        var cache: CVMetalTextureCache?
        CVMetalTextureCacheCreate(nil, nil, device, nil, &cache)
        guard let cache else { throw IGFError("Core Video gives no texture cache") }
        self.device = device
        self.queue = queue
        self.cache = cache
        applyPipeline = try device.makeComputePipelineState(function: apply)
        compositePipeline = try device.makeComputePipelineState(function: composite)
    }

    /// Coefficients (4 planes) to alpha at the picture's resolution; returns when the GPU is done.
    func apply(_ planes: Planes, to picture: CVPixelBuffer) async throws {
        let source = try texture(of: picture)
        let target = try Self.reused(&alpha, like: source, format: .r16Float, device)
        let length = planes.values.count * MemoryLayout<Float>.stride
        if coefficients?.length != length {
            coefficients = device.makeBuffer(length: length, options: .storageModeShared)
        }
        guard let coefficients else { throw IGFError("Metal gives no buffer of \(length) bytes") }
        planes.values.withUnsafeBytes { coefficients.contents().copyMemory(from: $0.baseAddress!, byteCount: length) }
        var size = (Int32(planes.width), Int32(planes.height))
        try await encode(applyPipeline, over: source) { encoder in
            encoder.setTexture(source, index: 0)
            encoder.setTexture(target, index: 1)
            encoder.setBuffer(coefficients, offset: 0, index: 0)
            encoder.setBytes(&size, length: MemoryLayout.size(ofValue: size), index: 1)
        }
    }

    /// The picture over the background by the alpha of the last `apply`; returns when the GPU is done.
    func composite(_ picture: CVPixelBuffer) async throws {
        let source = try texture(of: picture)
        let target = try Self.reused(&composed, like: source, format: .bgra8Unorm, device)
        try await composite(source, into: target)
    }

    /// As `composite(_:)`, into a drawable of the picture's size that is shown when the GPU is done.
    func composite(_ picture: CVPixelBuffer, showing drawable: MTLDrawable, _ target: MTLTexture) async throws {
        try await composite(texture(of: picture), into: target)
        drawable.present()
    }

    /// The alpha of the last `apply`, for tests: one plane.
    func readAlpha() async throws -> Planes {
        guard let alpha, let commands = queue.makeCommandBuffer(), let encoder = commands.makeBlitCommandEncoder(),
            let buffer = device.makeBuffer(length: 2 * alpha.width * alpha.height, options: .storageModeShared)
        else { throw IGFError("there is no alpha yet") }
        encoder.copy(
            from: alpha, sourceSlice: 0, sourceLevel: 0, sourceOrigin: MTLOrigin(x: 0, y: 0, z: 0),
            sourceSize: MTLSize(width: alpha.width, height: alpha.height, depth: 1), to: buffer, destinationOffset: 0,
            destinationBytesPerRow: 2 * alpha.width, destinationBytesPerImage: 2 * alpha.width * alpha.height)
        encoder.endEncoding()
        try await finish(commands)
        let halves = UnsafeRawBufferPointer(start: buffer.contents(), count: buffer.length).bindMemory(to: UInt16.self)
        return Planes(channels: 1, height: alpha.height, width: alpha.width, values: halves.map(Half.float))
    }

    private func composite(_ source: MTLTexture, into target: MTLTexture) async throws {
        guard let alpha, alpha.width == source.width, alpha.height == source.height else {
            throw IGFError("there is no alpha of \(source.width) x \(source.height) yet")
        }
        var background = Self.background
        try await encode(compositePipeline, over: target) { encoder in
            encoder.setTexture(source, index: 0)
            encoder.setTexture(alpha, index: 1)
            encoder.setTexture(target, index: 2)
            encoder.setBytes(&background, length: MemoryLayout.size(ofValue: background), index: 0)
        }
    }

    /// One thread per pixel of `grid`.
    private func encode(
        _ pipeline: MTLComputePipelineState, over grid: MTLTexture, _ arguments: (MTLComputeCommandEncoder) -> Void
    ) async throws {
        guard let commands = queue.makeCommandBuffer(), let encoder = commands.makeComputeCommandEncoder() else {
            throw IGFError("Metal gives no command buffer")
        }
        encoder.setComputePipelineState(pipeline)
        arguments(encoder)
        let width = pipeline.threadExecutionWidth
        let group = MTLSize(width: width, height: pipeline.maxTotalThreadsPerThreadgroup / width, depth: 1)
        encoder.dispatchThreads(MTLSize(width: grid.width, height: grid.height, depth: 1), threadsPerThreadgroup: group)
        encoder.endEncoding()
        try await finish(commands)
    }

    /// Waits for the GPU, so that a stage's time is the time to its end.
    private func finish(_ commands: MTLCommandBuffer) async throws {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            commands.addCompletedHandler { _ in done.resume() }
            commands.commit()
        }
        if let error = commands.error { throw IGFError("the GPU failed: \(error.localizedDescription)") }
    }

    /// The pixel buffer as a texture, without a copy.
    private func texture(of picture: CVPixelBuffer) throws -> MTLTexture {
        wrapped = nil
        CVMetalTextureCacheCreateTextureFromImage(
            nil, cache, picture, nil, .bgra8Unorm, CVPixelBufferGetWidth(picture), CVPixelBufferGetHeight(picture), 0,
            &wrapped)
        guard let wrapped, let texture = CVMetalTextureGetTexture(wrapped) else {
            throw IGFError("the picture cannot be a texture")
        }
        return texture
    }

    private static func reused(
        _ kept: inout MTLTexture?, like source: MTLTexture, format: MTLPixelFormat, _ device: MTLDevice
    ) throws -> MTLTexture {
        if let kept, kept.width == source.width, kept.height == source.height { return kept }
        let descriptor = MTLTextureDescriptor.texture2DDescriptor(
            pixelFormat: format, width: source.width, height: source.height, mipmapped: false)
        descriptor.usage = [.shaderRead, .shaderWrite]
        descriptor.storageMode = .private
        guard let made = device.makeTexture(descriptor: descriptor) else {
            throw IGFError("Metal gives no texture of \(source.width) x \(source.height)")
        }
        kept = made
        return made
    }
}
