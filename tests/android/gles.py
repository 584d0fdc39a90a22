"""OpenGL ES 3 without a window, through EGL: just what the shader tests need. Mesa renders it on the CPU.

It draws in a process of its own: Mesa brings an LLVM, and so does Triton, which torch imports; the two in one
process end in a segmentation fault.
"""

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SURFACELESS = 0x31DD
_TEXTURE_2D, _FRAMEBUFFER, _COLOR = 0x0DE1, 0x8D40, 0x8CE0
_RGBA, _RED, _FLOAT, _BYTE = 0x1908, 0x1903, 0x1406, 0x1401
_RGBA32F, _RGBA8, _R8 = 0x8814, 0x8058, 0x8229
_NEAREST, _LINEAR, _CLAMP = 0x2600, 0x2601, 0x812F


class Missing(Exception):
    """This machine cannot draw; why."""


class Context:
    """A current OpenGL ES 3 context."""

    def __init__(self, gl: ctypes.CDLL) -> None:
        self.gl = gl
        self.renderer = self._string(0x1F01)

    def draw(
        self,
        vertex: str,
        fragment: str,
        textures: Mapping[str, NDArray],
        uniforms: Mapping[str, tuple[float, ...]],
        size: tuple[int, int],
        floats: bool,
        linear: frozenset[str] = frozenset(),
    ) -> NDArray:
        """Draw one triangle over (H, W) pixels and read them back, the top row first.

        Args:
            textures: (h,w) uint8, (h,w,4) uint8 or (h,w,4) float32 by sampler name.
            uniforms: 1 or 9 numbers by name.
            floats: read float32 RGBA, otherwise uint8.
            linear: samplers that filter.
        """
        gl, (height, width) = self.gl, size
        program = self._program(vertex, fragment)
        gl.glUseProgram(program)
        target = self._texture(np.zeros((height, width, 4), np.float32 if floats else np.uint8), 15, False)
        framebuffer = ctypes.c_uint()
        gl.glGenFramebuffers(1, ctypes.byref(framebuffer))
        gl.glBindFramebuffer(_FRAMEBUFFER, framebuffer)
        gl.glFramebufferTexture2D(_FRAMEBUFFER, _COLOR, _TEXTURE_2D, target, 0)
        if gl.glCheckFramebufferStatus(_FRAMEBUFFER) != 0x8CD5:
            raise Missing(f"{self.renderer} cannot draw to {'float32' if floats else 'uint8'} pixels")
        for unit, (name, values) in enumerate(textures.items()):
            self._texture(values, unit, name in linear)
            gl.glUniform1i(self._uniform(program, name), unit)
        for name, numbers in uniforms.items():
            array = (ctypes.c_float * len(numbers))(*numbers)
            if len(numbers) == 9:
                gl.glUniformMatrix3fv(self._uniform(program, name), 1, 0, array)
            else:
                gl.glUniform1fv(self._uniform(program, name), 1, array)
        gl.glViewport(0, 0, width, height)
        gl.glDrawArrays(4, 0, 3)
        pixels = np.empty((height, width, 4), np.float32 if floats else np.uint8)
        gl.glReadPixels(
            0, 0, width, height, _RGBA, _FLOAT if floats else _BYTE, pixels.ctypes.data_as(ctypes.c_void_p)
        )
        if error := gl.glGetError():
            raise AssertionError(f"OpenGL error 0x{error:x}")
        return pixels[::-1]

    def _program(self, vertex: str, fragment: str) -> int:
        program = self.gl.glCreateProgram()
        for kind, source in ((0x8B31, vertex), (0x8B30, fragment)):
            shader = self.gl.glCreateShader(kind)
            text = ctypes.c_char_p(source.encode())
            self.gl.glShaderSource(shader, 1, ctypes.byref(text), None)
            self.gl.glCompileShader(shader)
            self._require(shader, 0x8B81, self.gl.glGetShaderiv, self.gl.glGetShaderInfoLog)
            self.gl.glAttachShader(program, shader)
        self.gl.glLinkProgram(program)
        self._require(program, 0x8B82, self.gl.glGetProgramiv, self.gl.glGetProgramInfoLog)
        return int(program)

    def _require(
        self, name: int, status: int, get: Callable[..., object], log: Callable[..., object]
    ) -> None:
        done = ctypes.c_int()
        get(name, status, ctypes.byref(done))
        if not done.value:
            text = ctypes.create_string_buffer(4000)
            log(name, 4000, None, text)
            raise AssertionError(text.value.decode())

    def _uniform(self, program: int, name: str) -> int:
        place = int(self.gl.glGetUniformLocation(program, name.encode()))
        assert place >= 0, f"the shader has no uniform {name}"
        return place

    def _texture(self, values: NDArray, unit: int, linear: bool) -> int:
        gl, name = self.gl, ctypes.c_uint()
        gl.glGenTextures(1, ctypes.byref(name))
        gl.glActiveTexture(0x84C0 + unit)
        gl.glBindTexture(_TEXTURE_2D, name)
        gl.glPixelStorei(0x0CF5, 1)
        for key, value in ((0x2800, linear), (0x2801, linear)):
            gl.glTexParameteri(_TEXTURE_2D, key, _LINEAR if value else _NEAREST)
        for key in (0x2802, 0x2803):
            gl.glTexParameteri(_TEXTURE_2D, key, _CLAMP)
        if values.dtype == np.float32:
            internal, layout, kind = _RGBA32F, _RGBA, _FLOAT
        else:
            internal, layout, kind = (_RGBA8, _RGBA, _BYTE) if values.ndim == 3 else (_R8, _RED, _BYTE)
        data = np.ascontiguousarray(values).ctypes.data_as(ctypes.c_void_p)
        height, width = values.shape[:2]
        gl.glTexImage2D(_TEXTURE_2D, 0, internal, width, height, 0, layout, kind, data)
        return int(name.value)

    def _string(self, name: int) -> str:
        self.gl.glGetString.restype = ctypes.c_char_p
        return (self.gl.glGetString(name) or b"").decode()


class Artist:
    """A context in another process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.renderer: str = pool.apply(_open)

    def draw(self, *arguments: Any, **named: Any) -> NDArray:
        """As `Context.draw`."""
        return self._pool.apply(_draw, arguments, named)


@contextmanager
def context() -> Iterator[Artist]:
    """A context for the `with` block.

    Raises:
        Missing: as `_local_context`.
    """
    with get_context("spawn").Pool(1) as pool:
        yield Artist(pool)


_opened: list[tuple[Any, Context]] = []
"""In the drawing process: what keeps its context current, and the context."""


def _open() -> str:
    manager = _local_context()
    _opened.append((manager, manager.__enter__()))
    return _opened[0][1].renderer


def _draw(*arguments: Any, **named: Any) -> NDArray:
    return _opened[0][1].draw(*arguments, **named)


@contextmanager
def _local_context() -> Iterator[Context]:
    """A context in this process, for the `with` block.

    Raises:
        Missing: no EGL, no OpenGL ES, or no surfaceless rendering here.
    """
    try:
        egl, gl = ctypes.CDLL("libEGL.so.1"), ctypes.CDLL("libGLESv2.so.2")
    except OSError as error:
        raise Missing(
            f"{error}; Debian: apt-get install libegl1 libgles2 libegl-mesa0 libgl1-mesa-dri"
        ) from error
    for name in ("eglGetPlatformDisplay", "eglCreateContext"):
        getattr(egl, name).restype = ctypes.c_void_p
    display = ctypes.c_void_p(egl.eglGetPlatformDisplay(_SURFACELESS, None, None))
    if not display or not egl.eglInitialize(display, None, None):
        raise Missing("EGL has no surfaceless platform")
    config, count = ctypes.c_void_p(), ctypes.c_int()
    wanted = (ctypes.c_int * 5)(0x3033, 0, 0x3040, 0x40, 0x3038)  # any surface, OpenGL ES 3
    egl.eglChooseConfig(display, wanted, ctypes.byref(config), 1, ctypes.byref(count))
    egl.eglBindAPI(0x30A0)
    version = (ctypes.c_int * 3)(0x3098, 3, 0x3038)
    made = ctypes.c_void_p(egl.eglCreateContext(display, config, None, version)) if count.value else None
    if not made or not egl.eglMakeCurrent(display, None, None, made):
        raise Missing("EGL gives no OpenGL ES 3 context")
    try:
        yield Context(gl)
    finally:
        egl.eglMakeCurrent(display, None, None, None)
        egl.eglDestroyContext(display, made)
