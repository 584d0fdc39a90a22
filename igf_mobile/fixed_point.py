"""Pixels of alpha = A * I + B in 16-bit fixed point, as many at once as a vector holds.

A loop over single pixels in float32, vectorised by the compiler, takes twice as long: half as many numbers in a vector,
and bytes that have to become floats and bytes again. So this is written in vectors, LLVM's, for whatever processor
numba compiles for.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

CENTRE = 128
"""Subtracted from a byte, so that it fits a signed one: coefficients are those of I - 128."""
TRUNCATION = 0.5
"""What a product of 16-bit numbers loses on average, for its lower half is cut off."""

_AHEAD = 8192
"""Bytes. Pixels are asked for this long before they are used, half or twice as long does alike: 1.3 ms a frame of 4K,
not 1.8 (Zen 5). They are read once: so asked for, they leave in the caches what the network had there."""
_CACHE_LINE = 64
_FOR_READING, _ONCE, _DATA = 0, 0, 1

_BYTE, _INT16, _INT32, _INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def _pixels_of_segment(
    context: Any,
    lanes: Any,
    line: Any,
    j: Any,
    weight: Any,
    pixels: Any,
    i: Any,
    bits: Any,
    alpha: Any,
    o: Any,
) -> tuple[Any, Callable[..., Any]]:
    index = types.intp

    def body(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(position: int) -> Any:
            return context.make_array(signature.args[position])(context, builder, arguments[position])

        j, i, bits, o = (arguments[position] for position in (2, 5, 6, 8))
        picks_bytes = "+avx512vbmi" in context.codegen().magic_tuple()[2].split(",")
        vectors = _Vectors(builder, lanes.literal_value, picks_bytes)
        line, first = array(1).data, builder.mul(j, _INT64(8))
        place = vectors.load(array(3).data, i, _INT16)

        def between(number: int) -> Any:
            """The coefficient at each pixel."""
            middle, growth = (
                vectors.splat(line, builder.add(first, _INT64(k))) for k in (number, number + 4)
            )
            return builder.add(middle, vectors.product(growth, place))

        value = between(3)
        for channel, byte in enumerate(vectors.channels(array(4).data, builder.mul(i, _INT64(3)))):
            value = builder.add(value, vectors.product(between(channel), byte))
        vectors.store_bytes(array(7).data, o, builder.ashr(value, vectors.repeat(bits)))
        return context.get_dummy_value()

    return types.void(lanes, line, index, weight, pixels, index, types.int16, alpha, index), body


pixels_of_segment: Any = intrinsic(prefer_literal=True)(_pixels_of_segment)
"""`pixels_of_segment(lanes, line, j, weight, pixels, i, bits, alpha, o)`, in code that numba compiles.

Writes `lanes` pixels of a row as if they all lay between the same two coefficients, j and j + 1.

    lanes: a literal power of two.
    line: (8w,) int16, eight numbers for each j. First what lies in the middle between coefficients j and j + 1, in
        units of 2**-bits steps of a byte: 256 A for red, green, blue, and the offset; then what each grows by from j to
        j + 1.
    weight: (n,) int16, of each pixel (its place between j and j + 1, less a half) * 65536.
    pixels: (3n,) uint8, red, green, blue.
    i: the first pixel, of `weight` and `pixels`.
    bits: int16.
    alpha: uint8, 0..255; written from `o` to o + lanes.
"""


class _Vectors:
    """Instructions on n 16-bit numbers at once, for LLVM's builder."""

    def __init__(self, builder: Any, n: int, picks_bytes: bool) -> None:
        """`picks_bytes`: the processor takes any bytes of two vectors by one instruction."""
        self._builder, self._n, self._picks_bytes = builder, n, picks_bytes
        self._int16s, self._int32s, self._bytes = (ir.VectorType(kind, n) for kind in (_INT16, _INT32, _BYTE))

    def repeat(self, value: Any) -> Any:
        """One number n times."""
        first = self._builder.insert_element(ir.Constant(self._int16s, ir.Undefined), value, _INT32(0))
        return self._builder.shuffle_vector(first, first, self._constant(0, _INT32))

    def splat(self, array: Any, index: Any) -> Any:
        """array[index] n times."""
        return self.repeat(self._builder.load(self._address(array, index, _INT16)))

    def load(self, array: Any, index: Any, kind: Any, times: int = 1) -> Any:
        """array[index : index + times * n]."""
        value = self._builder.load(self._address(array, index, ir.VectorType(kind, times * self._n)))
        value.align = 1
        return value

    def product(self, a: Any, b: Any) -> Any:
        """a b / 65536, cut off: one instruction where processors have vectors."""
        both = self._builder.mul(self._builder.sext(a, self._int32s), self._builder.sext(b, self._int32s))
        return self._builder.trunc(self._builder.lshr(both, self._constant(16, _INT32)), self._int16s)

    def channels(self, array: Any, index: Any) -> list[Any]:
        """Red, green and blue of n pixels, less CENTRE, times 256; those that come later are asked for."""
        pixels = self.load(array, index, _BYTE, times=3)
        for ahead in range(_AHEAD, _AHEAD + 3 * self._n, _CACHE_LINE):
            self._prefetch(self._address(array, self._builder.add(index, _INT64(ahead)), _BYTE))
        return [self._centred(pixels, channel) for channel in range(3)]

    def store_bytes(self, array: Any, index: Any, value: Any) -> None:
        """Into array[index : index + n], at least 0 and at most 255."""
        for beyond, limit in (("<", self._constant(0, _INT16)), (">", self._constant(255, _INT16))):
            value = self._builder.select(self._builder.icmp_signed(beyond, value, limit), limit, value)
        stored = self._builder.store(
            self._builder.trunc(value, self._bytes), self._address(array, index, self._bytes)
        )
        stored.align = 1

    def _centred(self, pixels: Any, channel: int) -> Any:
        places = [3 * k + channel for k in range(self._n)]
        if self._picks_bytes:
            # Each above a zero. Other processors have better ways to every third byte, which LLVM knows.
            count = 3 * self._n
            kind = ir.VectorType(_BYTE, count)
            signed = self._builder.xor(pixels, ir.Constant(kind, [CENTRE] * count))
            above_zeros = [place for byte in places for place in (count, byte)]
            pairs = ir.Constant(ir.VectorType(_INT32, 2 * self._n), above_zeros)
            nothing = ir.Constant(kind, [0] * count)
            return self._builder.bitcast(self._builder.shuffle_vector(signed, nothing, pairs), self._int16s)
        byte = self._builder.shuffle_vector(pixels, pixels, ir.Constant(self._int32s, places))
        signed = self._builder.zext(self._builder.sub(byte, self._constant(CENTRE, _BYTE)), self._int16s)
        return self._builder.shl(signed, self._constant(8, _INT16))

    def _constant(self, value: int, kind: Any) -> Any:
        return ir.Constant(ir.VectorType(kind, self._n), [value] * self._n)

    def _address(self, array: Any, index: Any, kind: Any) -> Any:
        return self._builder.bitcast(self._builder.gep(array, [index]), kind.as_pointer())

    def _prefetch(self, address: Any) -> None:
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT32, _INT32, _INT32])
        name = "llvm.prefetch.p0"
        function: Any = cgutils.get_or_insert_function(self._builder.module, kind, name)  # type: ignore[no-untyped-call]
        self._builder.call(function, [address, *(_INT32(x) for x in (_FOR_READING, _ONCE, _DATA))])
