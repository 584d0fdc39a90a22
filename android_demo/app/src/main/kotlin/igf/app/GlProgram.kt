package igf.app

import android.opengl.GLES30
import java.nio.Buffer

/** A compiled and linked program. Of the thread with the OpenGL context. */
class GlProgram(vertex: String, fragment: String) {
    private val id = GLES30.glCreateProgram()

    init {
        for ((type, source) in listOf(GLES30.GL_VERTEX_SHADER to vertex, GLES30.GL_FRAGMENT_SHADER to fragment)) {
            GLES30.glAttachShader(id, compiled(type, source))
        }
        GLES30.glLinkProgram(id)
        val linked = IntArray(1)
        GLES30.glGetProgramiv(id, GLES30.GL_LINK_STATUS, linked, 0)
        check(linked[0] != 0) { "shaders do not link: ${GLES30.glGetProgramInfoLog(id)}" }
    }

    fun use() = GLES30.glUseProgram(id)

    fun uniform(name: String): Int = GLES30.glGetUniformLocation(id, name)

    private fun compiled(type: Int, source: String): Int {
        val shader = GLES30.glCreateShader(type)
        GLES30.glShaderSource(shader, source)
        GLES30.glCompileShader(shader)
        val done = IntArray(1)
        GLES30.glGetShaderiv(shader, GLES30.GL_COMPILE_STATUS, done, 0)
        check(done[0] != 0) { "a shader does not compile: ${GLES30.glGetShaderInfoLog(shader)}" }
        return shader
    }

    companion object {
        /** What stands before every shader of the app. */
        const val HEADER = "#version 300 es\nprecision highp float;\nprecision highp int;\n"
    }
}

/** A texture without mipmaps, clamped to its edge. */
class GlTexture(private val unit: Int, filter: Int) {
    private val id = IntArray(1).also { GLES30.glGenTextures(1, it, 0) }[0]

    init {
        bind()
        for (key in intArrayOf(GLES30.GL_TEXTURE_MIN_FILTER, GLES30.GL_TEXTURE_MAG_FILTER)) {
            GLES30.glTexParameteri(GLES30.GL_TEXTURE_2D, key, filter)
        }
        for (key in intArrayOf(GLES30.GL_TEXTURE_WRAP_S, GLES30.GL_TEXTURE_WRAP_T)) {
            GLES30.glTexParameteri(GLES30.GL_TEXTURE_2D, key, GLES30.GL_CLAMP_TO_EDGE)
        }
    }

    fun bind() {
        GLES30.glActiveTexture(GLES30.GL_TEXTURE0 + unit)
        GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, id)
    }

    fun bytes(width: Int, height: Int, data: Buffer) =
        upload(GLES30.GL_R8, width, height, GLES30.GL_RED, GLES30.GL_UNSIGNED_BYTE, data)

    fun rgba(width: Int, height: Int, data: Buffer) =
        upload(GLES30.GL_RGBA8, width, height, GLES30.GL_RGBA, GLES30.GL_UNSIGNED_BYTE, data)

    fun floats(width: Int, height: Int, data: Buffer) =
        upload(GLES30.GL_RGBA32F, width, height, GLES30.GL_RGBA, GLES30.GL_FLOAT, data)

    private fun upload(internal: Int, width: Int, height: Int, format: Int, type: Int, data: Buffer) {
        bind()
        GLES30.glPixelStorei(GLES30.GL_UNPACK_ALIGNMENT, 1)
        GLES30.glTexImage2D(GLES30.GL_TEXTURE_2D, 0, internal, width, height, 0, format, type, data)
    }
}
