package igf.app

import android.app.Activity
import android.content.ContentProvider
import android.content.ContentValues
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/** Hands report files, and nothing else, to the app that the user picks in the share sheet. */
class ReportProvider : ContentProvider() {
    override fun onCreate() = true

    override fun getType(uri: Uri) = TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("reports are read-only")
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(uri: Uri, columns: Array<String>?, where: String?, values: Array<String>?, order: String?): Cursor {
        val file = file(uri)
        val known = mapOf(OpenableColumns.DISPLAY_NAME to file.name, OpenableColumns.SIZE to file.length())
        val wanted = columns ?: known.keys.toTypedArray()
        return MatrixCursor(wanted).apply { addRow(wanted.map { known[it] }) }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = throw UnsupportedOperationException("read-only")

    override fun update(uri: Uri, values: ContentValues?, where: String?, arguments: Array<String>?): Int =
        throw UnsupportedOperationException("read-only")

    override fun delete(uri: Uri, where: String?, arguments: Array<String>?): Int =
        throw UnsupportedOperationException("read-only")

    private fun file(uri: Uri): File {
        val name = uri.pathSegments.singleOrNull()?.takeIf { it.endsWith(".json") && '/' !in it }
            ?: throw FileNotFoundException("$uri is no report")
        return File(context?.getExternalFilesDir(null), name).takeIf(File::isFile) ?: throw FileNotFoundException("there is no $name")
    }

    companion object {
        private const val AUTHORITY = "igf.mobile.demo.reports"
        private const val TYPE = "application/json"

        /** Open the share sheet for a report. */
        fun share(activity: Activity, report: File) {
            val uri = Uri.Builder().scheme("content").authority(AUTHORITY).appendPath(report.name).build()
            val send = Intent(Intent.ACTION_SEND).setType(TYPE).putExtra(Intent.EXTRA_STREAM, uri)
                .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
            send.clipData = android.content.ClipData.newRawUri(report.name, uri)
            activity.startActivity(Intent.createChooser(send, report.name))
        }
    }
}
