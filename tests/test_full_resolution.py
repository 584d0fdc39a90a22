"""The compiled kernel against PyTorch, for any sizes, both types of pixels and any number of threads."""

import hashlib
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from igf_mobile import byte_rows, fixed_point, float_rows, full_resolution, model
from igf_mobile.backends.base import FloatArray
from igf_mobile.full_resolution import apply_coefficients

SIDES = st.integers(1, 97)
SMALL = st.integers(1, 40)


def coefficients(rows: int, columns: int) -> FloatArray:
    values = np.random.default_rng(1).normal(0.0, 1.0, (rows, columns, 4)).astype(np.float32)
    values[..., 3] += 0.5
    return values


def pixels(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)


def oracle(small: FloatArray, guidance: FloatArray) -> FloatArray:
    planes = (torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None])) for x in (small, guidance))
    return model.apply_coefficients(*planes).clamp(0.0, 1.0)[0, 0].numpy()


def in_bytes(small: FloatArray, guidance: NDArray[np.uint8]) -> FloatArray:
    return 255.0 * oracle(small, guidance.astype(np.float32) / 255.0)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, rows=SMALL, columns=SMALL, threads=st.sampled_from([1, 2, None]))
def test_float_pixels_give_what_pytorch_gives(
    height: int, width: int, rows: int, columns: int, threads: int | None
) -> None:
    small, guidance = coefficients(rows, columns), pixels(height, width).astype(np.float32) / 255.0
    alpha = apply_coefficients(small, guidance, threads)
    assert alpha.dtype == np.float32
    # float32 rounding of the coordinates, times slopes of up to 6: 1.42e-5 was measured once
    np.testing.assert_allclose(alpha, oracle(small, guidance), atol=2e-5)


@settings(max_examples=60, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    rows=SMALL,
    columns=SMALL,
    steepness=st.sampled_from([0.01, 1.0]),
    threads=st.sampled_from([1, 2, None]),
)
def test_byte_pixels_give_a_byte_next_to_it(
    height: int, width: int, rows: int, columns: int, steepness: float, threads: int | None
) -> None:
    small, guidance = steepness * coefficients(rows, columns), pixels(height, width)
    alpha = apply_coefficients(small, guidance, threads)
    assert alpha.dtype == np.uint8
    assert np.abs(alpha - in_bytes(small, guidance)).max() < 1.1  # half a step, and 0.58 of 16 bits


def test_bytes_of_a_large_picture_are_the_nearest_but_for_a_few() -> None:
    small, guidance = coefficients(16, 16), pixels(600, 800)
    error = apply_coefficients(small, guidance) - in_bytes(small, guidance)
    assert np.mean(np.abs(error) > 0.51) < 0.03  # 0.012 measured
    assert abs(error[np.abs(error) > 0.0].mean()) < 0.06  # 0.02 measured; what products cut off would be 0.25


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, rows=SMALL, columns=SMALL)
def test_coefficients_too_steep_for_16_bits_give_the_nearest_byte(
    height: int, width: int, rows: int, columns: int
) -> None:
    small, guidance = coefficients(rows, columns), pixels(height, width)
    small += np.array([40.0, -40.0, 0.0, 0.0], np.float32)
    # float32 rounding of the coordinates, times slopes of 40 times 255
    assert np.abs(apply_coefficients(small, guidance) - in_bytes(small, guidance)).max() < 0.52


def test_one_steep_coefficient_does_not_spoil_the_other_rows() -> None:
    small, guidance = 0.01 * coefficients(16, 16), pixels(160, 160)
    steep = small.copy()
    steep[7, 7] += 100.0
    alpha, other = apply_coefficients(small, guidance), apply_coefficients(steep, guidance)
    assert np.array_equal(alpha[:60], other[:60]) and np.array_equal(alpha[90:], other[90:])
    assert np.abs(other - in_bytes(steep, guidance)).max() < 0.6


@pytest.mark.parametrize("guidance", [pixels(61, 40), pixels(61, 40).astype(np.float32) / 255.0])
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_share_the_rows(
    guidance: NDArray[Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = coefficients(16, 16)
    alone = apply_coefficients(small, guidance, 1)
    seen: list[int] = []
    monkeypatch.setattr(full_resolution, "_LEAST_PIXELS", 1)
    with ThreadPoolExecutor() as helpers:
        submit = helpers.submit
        monkeypatch.setattr(helpers, "submit", lambda work: seen.append(1) or submit(work))
        monkeypatch.setattr(full_resolution, "_helpers", lambda: helpers)
        np.testing.assert_array_equal(apply_coefficients(small, guidance, threads), alone)
    assert len(seen) == threads - 1


def test_a_forked_process_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_resolution, "_LEAST_PIXELS", 1)
    small, guidance = coefficients(16, 16), pixels(61, 40)
    alone = apply_coefficients(small, guidance, 2)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(apply_coefficients, (small, guidance, 2)).get(timeout=60)
    np.testing.assert_array_equal(found, alone)


def test_few_pixels_take_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    apply_coefficients(coefficients(16, 16), pixels(61, 40), 1)
    monkeypatch.setattr(full_resolution, "_helpers", None)
    apply_coefficients(coefficients(16, 16), pixels(61, 40), 8)
    with pytest.raises(ValueError, match="threads is 0, not at least 1"):
        apply_coefficients(coefficients(16, 16), pixels(61, 40), 0)


ELSEWHERE = """
import sys
import numpy as np
from igf_mobile.full_resolution import apply_coefficients
np.save(sys.argv[3], apply_coefficients(np.load(sys.argv[1]), np.load(sys.argv[2]), 1))
"""


def test_a_processor_without_these_vectors_gives_the_same_bytes(tmp_path: Path) -> None:
    """How colours are taken out of pixels depends on what numba compiles for; `generic` has nothing but the least."""
    small, guidance = 0.1 * coefficients(16, 16), pixels(60, 500)
    paths = [str(tmp_path / f"{name}.npy") for name in ("coefficients", "pixels", "alpha")]
    np.save(paths[0], small)
    np.save(paths[1], guidance)
    least = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
    }
    subprocess.run([sys.executable, "-c", ELSEWHERE, *paths], env=least, check=True)
    # A fused multiply-add may end in another last bit of 16.
    difference = np.abs(np.load(paths[2]).astype(int) - apply_coefficients(small, guidance, 1))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


def test_what_numba_kept_goes_when_what_is_compiled_in_changes() -> None:
    parts = [Path(module.__file__).read_bytes() for module in (fixed_point, float_rows)]
    assert hashlib.sha256(b"".join(parts)).hexdigest()[:12] == byte_rows.COMPILED_IN


HELD = """
import weakref
import numpy as np
from igf_mobile.full_resolution import apply_coefficients
class View(np.ndarray): pass
coefficients = np.zeros((4, 4, 4), np.float32).view(View)
seen = weakref.ref(coefficients)
apply_coefficients(coefficients, np.zeros((8, 8, 3), np.uint8), 1)
del coefficients
print("gone" if seen() is None else "held")
"""


def test_nothing_is_held_when_it_was_compiled(tmp_path: Path) -> None:
    """A view of a runtime's output, which does not run again while it is held."""
    fresh = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", HELD], env=fresh, capture_output=True, text=True, check=True)
    assert said.stdout == "gone\n"
    assert list(tmp_path.rglob("*.nbc"))  # it was


@pytest.mark.parametrize("mutant", ["channels", "rows", "shift"])
def test_the_limit_catches_a_wrong_order(mutant: str) -> None:
    small, guidance = coefficients(16, 16), pixels(64, 64).astype(np.float32) / 255.0
    wanted = oracle(small, guidance)
    spoilt = {"channels": small[..., [2, 1, 0, 3]], "rows": small[::-1], "shift": np.roll(small, 1, 1)}[
        mutant
    ]
    assert np.abs(apply_coefficients(spoilt, guidance) - wanted).max() > 0.1


@pytest.mark.parametrize(
    ("small", "guidance", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), np.zeros((8, 8, 3), np.float32), "coefficients have shape"),
        (np.zeros((4, 4, 4), np.float32), np.zeros((8, 8), np.float32), "guidance has shape"),
        (np.zeros((4, 4, 4), np.float32), np.zeros((8, 8, 3)), "guidance is float64"),
        (
            np.full((4, 4, 4), np.nan, np.float32),
            np.zeros((8, 8, 3), np.uint8),
            "64 coefficients are not fin",
        ),
    ],
)
def test_wrong_arrays_are_named(small: FloatArray, guidance: NDArray[np.uint8], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        apply_coefficients(small, guidance)
