package igf.app

import android.content.Context
import android.widget.FrameLayout
import kotlin.math.min

/** As large as fits with the proportions of the upright camera frame, so that views in it share its coordinates. */
class AspectFrame(context: Context) : FrameLayout(context) {
    /** Width divided by height. */
    var aspect = 9f / 16f
        set(value) {
            if (field == value) return
            field = value
            requestLayout()
        }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val (width, height) = MeasureSpec.getSize(widthSpec) to MeasureSpec.getSize(heightSpec)
        val fitted = min(width.toFloat(), height * aspect)
        super.onMeasure(
            MeasureSpec.makeMeasureSpec(fitted.toInt(), MeasureSpec.EXACTLY),
            MeasureSpec.makeMeasureSpec((fitted / aspect).toInt(), MeasureSpec.EXACTLY),
        )
    }
}
