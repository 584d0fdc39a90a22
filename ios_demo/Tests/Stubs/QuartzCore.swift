// A stub; see README.md.
import Foundation
@_exported import Metal

open class CALayer {
    public init() {}
    public var contentsGravity = CALayerContentsGravity.resizeAspect
}
public struct CALayerContentsGravity { public static let resizeAspect = CALayerContentsGravity() }
public protocol CAMetalDrawable: MTLDrawable { var texture: any MTLTexture { get } }
open class CAMetalLayer: CALayer {
    public var device: (any MTLDevice)?
    public var pixelFormat = MTLPixelFormat.bgra8Unorm
    public var framebufferOnly = true
    public var drawableSize = CGSize.zero
    public func nextDrawable() -> (any CAMetalDrawable)? { nil }
}
