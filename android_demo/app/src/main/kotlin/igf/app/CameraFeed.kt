package igf.app

import android.Manifest
import android.app.Activity
import android.content.Context
import android.content.pm.PackageManager
import android.graphics.ImageFormat
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.util.Size
import kotlin.math.abs

/**
 * Frames of the back camera, or of whatever camera there is, at about 1280 x 720.
 *
 * @param onFrame called on the feed's thread with an image to be closed by the callee, and the degrees that turn it
 *   upright.
 */
class CameraFeed(
    private val activity: Activity,
    private val onFrame: (Image, Int) -> Unit,
    private val onError: (String) -> Unit,
) {
    private val manager = activity.getSystemService(Context.CAMERA_SERVICE) as CameraManager
    private var thread: HandlerThread? = null
    private var device: CameraDevice? = null
    private var reader: ImageReader? = null

    /** Open the camera; asks for the permission first where it is missing. */
    fun start() {
        if (thread != null) return
        if (activity.checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) {
            activity.requestPermissions(arrayOf(Manifest.permission.CAMERA), 1)
            return onError("The camera is not allowed.")
        }
        try {
            open()
        } catch (error: Exception) {
            onError("The camera cannot be opened: ${error.message}")
            stop()
        }
    }

    /** Close the camera and wait for the last frame. */
    fun stop() {
        device?.close()
        device = null
        thread?.quitSafely()
        thread?.join()
        thread = null
        reader?.close()
        reader = null
    }

    private fun open() {
        val id = manager.cameraIdList.firstOrNull { facing(it) == CameraCharacteristics.LENS_FACING_BACK }
            ?: manager.cameraIdList.firstOrNull() ?: return onError("There is no camera.")
        val facts = manager.getCameraCharacteristics(id)
        val rotation = facts.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0
        val handler = Handler(HandlerThread("igf-camera").also { thread = it; it.start() }.looper)
        val size = size(facts)
        val images = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, 2).also { reader = it }
        images.setOnImageAvailableListener({ it.acquireLatestImage()?.let { image -> onFrame(image, rotation) } }, handler)
        manager.openCamera(id, Opened(images, handler), handler)
    }

    private fun facing(id: String) = manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING)

    private fun size(facts: CameraCharacteristics): Size {
        val map = facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP) ?: return WANTED
        val sizes = map.getOutputSizes(ImageFormat.YUV_420_888).filter { it.width % 2 == 0 && it.height % 2 == 0 }
        return sizes.minByOrNull { abs(it.width - WANTED.width) + abs(it.height - WANTED.height) } ?: WANTED
    }

    private inner class Opened(private val images: ImageReader, private val handler: Handler) : CameraDevice.StateCallback() {
        // SessionConfiguration, the successor, begins with API 28.
        @Suppress("DEPRECATION")
        override fun onOpened(camera: CameraDevice) {
            device = camera
            camera.createCaptureSession(listOf(images.surface), Configured(camera, images, handler), handler)
        }

        override fun onDisconnected(camera: CameraDevice) = camera.close()

        override fun onError(camera: CameraDevice, error: Int) {
            camera.close()
            onError("The camera broke off: error $error.")
        }
    }

    private inner class Configured(
        private val camera: CameraDevice,
        private val images: ImageReader,
        private val handler: Handler,
    ) : CameraCaptureSession.StateCallback() {
        override fun onConfigured(session: CameraCaptureSession) {
            val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
            request.addTarget(images.surface)
            session.setRepeatingRequest(request.build(), null, handler)
        }

        override fun onConfigureFailed(session: CameraCaptureSession) = onError("The camera gives no frames of this size.")
    }

    private companion object {
        val WANTED = Size(1280, 720)
    }
}
