import CoreVideo
import Metal
import QuartzCore
import SwiftUI
import UIKit

/// A view whose layer is drawn by Metal, at the camera's resolution, scaled to fit.
final class MetalLayerView: UIView {
    override class var layerClass: AnyClass { CAMetalLayer.self }

    private var metalLayer: CAMetalLayer? { layer as? CAMetalLayer }

    init(device: MTLDevice) {
        super.init(frame: .zero)
        metalLayer?.device = device
        metalLayer?.pixelFormat = .bgra8Unorm
        metalLayer?.framebufferOnly = false
        metalLayer?.contentsGravity = .resizeAspect
        isUserInteractionEnabled = false
    }

    @available(*, unavailable)
    required init?(coder: NSCoder) {
        fatalError("it is made in code only")
    }

    /// A drawable of the size of `picture`, or nil where the screen is not ready.
    func drawable(for picture: CVPixelBuffer) -> CAMetalDrawable? {
        metalLayer?.drawableSize = CGSize(
            width: CVPixelBufferGetWidth(picture), height: CVPixelBufferGetHeight(picture))
        return metalLayer?.nextDrawable()
    }
}

/// Puts a `MetalLayerView` into SwiftUI.
struct MetalPreview: UIViewRepresentable {
    let view: MetalLayerView

    func makeUIView(context: Context) -> MetalLayerView { view }
    func updateUIView(_ view: MetalLayerView, context: Context) {}
}
