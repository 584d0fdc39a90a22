package igf.app

import android.media.Image
import igf.core.Artifact
import igf.core.BytePlane
import igf.core.Clock
import igf.core.Coefficients
import igf.core.FrameGate
import igf.core.FrameMeter
import igf.core.GuidancePacker
import igf.core.Matting
import igf.core.Plane
import igf.core.WeakMask
import igf.core.YuvFrame
import igf.core.matte
import igf.core.pack
import igf.core.timed
import igf.core.unpack
import java.nio.ByteBuffer
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** A frame without gaps between its rows, ready to be textures, and its matte. */
class MattedFrame(
    val width: Int,
    val height: Int,
    val rotation: Int,
    val y: ByteBuffer,
    val u: ByteBuffer,
    val v: ByteBuffer,
    /** null until something was drawn. */
    val coefficients: Coefficients?,
    /** Stage -> ms so far: convert, inference, mask (the next one's). */
    val stagesMs: Map<String, Double>,
)

/**
 * From camera images to matted frames, one at a time on a thread of its own; images that come meanwhile are dropped.
 *
 * @param show takes each frame; its buffers are the next frame's once [FrameGate.leave] was called.
 */
class LivePipeline(
    private val artifact: Artifact,
    private val matting: Matting,
    private val clock: Clock,
    val gate: FrameGate,
    private val meter: FrameMeter,
    private val show: (MattedFrame) -> Unit,
    private val onError: (String) -> Unit,
) {
    private val worker: ExecutorService = Executors.newSingleThreadExecutor()
    private var packer: Pair<Int, GuidancePacker>? = null
    private var mask: Plane? = null
    private var textures: List<ByteBuffer> = emptyList()

    /** What the user drew; null forgets it. The next frame starts from it. */
    @Volatile
    var scribble: Plane? = null
        set(value) {
            field = value
            restart = true
        }

    @Volatile
    private var restart = false

    /** Take or drop an image; closes it either way. */
    fun offer(image: Image, rotation: Int) {
        if (!gate.enter()) {
            meter.drop()
            image.close()
            return
        }
        worker.execute {
            try {
                image.use { work(it, rotation) }
            } catch (error: Exception) {
                gate.leave()
                onError("The frame cannot be matted: ${error.message}")
            }
        }
    }

    /** Wait for the frame in work, then free the runtime. */
    fun close() {
        worker.execute(matting::close)
        worker.shutdown()
    }

    private fun work(image: Image, rotation: Int) {
        val frame = frame(image)
        val (convertMs, _) = clock.timed {
            packerFor(rotation).packYuv(frame, matting.guidance)
            copy(listOf(frame.y, frame.u, frame.v))
        }
        val stages = linkedMapOf("convert" to convertMs)
        val coefficients = nextMask()?.let { current ->
            pack(artifact.weakMask, current, artifact.weakMask.channels.single(), matting.weakMask)
            stages["inference"] = clock.timed(matting::run).first
            val (maskMs, matte) = clock.timed { matting.matte(artifact, ::picture) }
            stages["mask"] = maskMs
            mask = WeakMask.fromAlpha(matte.alpha, current)
            matte.coefficients
        }
        show(MattedFrame(image.width, image.height, rotation, textures[0], textures[1], textures[2], coefficients, stages))
    }

    /** What the network sees of the frame. */
    private fun picture(): List<Plane> = listOf("red", "green", "blue").map { unpack(artifact.guidance, matting.guidance, it) }

    private fun copy(planes: List<BytePlane>) {
        if (textures.map { it.capacity() } != planes.map { it.width * it.height }) {
            textures = planes.map { ByteBuffer.allocateDirect(it.width * it.height) }
        }
        for ((plane, texture) in planes.zip(textures)) plane.copyTo(texture)
    }

    /** The scribble after it changed, then what the last alpha gave. */
    private fun nextMask(): Plane? {
        if (restart) {
            restart = false
            mask = scribble
        }
        return mask
    }

    private fun packerFor(rotation: Int): GuidancePacker {
        packer?.let { (known, packer) -> if (known == rotation) return packer }
        return GuidancePacker(artifact.guidance, rotation).also { packer = rotation to it }
    }

    private fun frame(image: Image): YuvFrame {
        val (y, u, v) = image.planes.mapIndexed { index, plane ->
            val (width, height) = if (index == 0) image.width to image.height else (image.width + 1) / 2 to (image.height + 1) / 2
            BytePlane(plane.buffer, width, height, plane.rowStride, plane.pixelStride)
        }
        return YuvFrame(y, u, v)
    }
}
