package igf.app

import android.app.ActivityManager
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.os.SystemClock
import igf.core.Clock
import igf.core.DeviceFacts
import igf.core.Surroundings
import igf.core.ThermalReading
import igf.core.ThermalState

/** The monotonic clock that counts on while the device dozes. */
object DeviceClock : Clock {
    override fun nanos(): Long = SystemClock.elapsedRealtimeNanos()

    override fun sleep(ms: Long) = SystemClock.sleep(ms)
}

/** Heat and power of this phone. */
class DeviceSurroundings(private val context: Context) : Surroundings {
    private val power = context.getSystemService(Context.POWER_SERVICE) as PowerManager

    override fun thermal(): ThermalReading {
        val status = if (Build.VERSION.SDK_INT >= 29) power.currentThermalStatus else null
        val headroom = if (Build.VERSION.SDK_INT >= 30) power.getThermalHeadroom(0).toDouble() else Double.NaN
        val tenths = battery()?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Int.MIN_VALUE) ?: Int.MIN_VALUE
        return ThermalReading(
            ThermalState.ofStatus(status),
            headroom.takeIf { it in 0.0..10.0 },
            (tenths / 10.0).takeIf { tenths in -400..1500 },
        )
    }

    override fun power(): String = when (battery()?.getIntExtra(BatteryManager.EXTRA_PLUGGED, -1)) {
        null, -1 -> "unknown"
        0 -> "battery"
        else -> "charging"
    }

    override fun batteryLevel(): Double? {
        val intent = battery() ?: return null
        val level = intent.getIntExtra(BatteryManager.EXTRA_LEVEL, -1)
        val scale = intent.getIntExtra(BatteryManager.EXTRA_SCALE, -1)
        return if (level < 0 || scale <= 0) null else level.toDouble() / scale
    }

    override fun lowPowerMode(): Boolean = power.isPowerSaveMode

    private fun battery(): Intent? = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
}

/** What the report says of this phone. */
fun deviceFacts(context: Context): DeviceFacts {
    val memory = ActivityManager.MemoryInfo()
    (context.getSystemService(Context.ACTIVITY_SERVICE) as ActivityManager).getMemoryInfo(memory)
    return DeviceFacts(
        manufacturer = Build.MANUFACTURER,
        model = Build.MODEL,
        osVersion = "${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})",
        osBuild = Build.DISPLAY,
        cores = Runtime.getRuntime().availableProcessors(),
        memoryBytes = memory.totalMem,
    )
}
