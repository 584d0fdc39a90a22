package igf.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.Path
import android.view.MotionEvent
import android.view.View

/** Takes strokes of a finger over the picture; positions are in [0,1]. */
class ScribbleView(context: Context, private val onStrokes: (List<List<Pair<Float, Float>>>) -> Unit) : View(context) {
    private val strokes = ArrayList<ArrayList<Pair<Float, Float>>>()
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.YELLOW
        style = Paint.Style.STROKE
        strokeWidth = 3 * context.resources.displayMetrics.density
    }

    /** Forget all strokes. */
    fun clear() {
        strokes.clear()
        invalidate()
        onStrokes(emptyList())
    }

    @SuppressLint("ClickableViewAccessibility")
    override fun onTouchEvent(event: MotionEvent): Boolean {
        val point = event.x / width to event.y / height
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> strokes.add(arrayListOf(point))
            MotionEvent.ACTION_MOVE -> strokes.lastOrNull()?.add(point)
            MotionEvent.ACTION_UP -> onStrokes(strokes.map { it.toList() })
        }
        invalidate()
        return true
    }

    override fun onDraw(canvas: Canvas) {
        for (stroke in strokes) {
            val path = Path()
            stroke.forEachIndexed { index, (x, y) ->
                if (index == 0) path.moveTo(x * width, y * height) else path.lineTo(x * width, y * height)
            }
            canvas.drawPath(path, paint)
        }
    }
}
