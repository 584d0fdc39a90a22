"""The app's coefficient shader, drawn by a real OpenGL ES 3 implementation, against the golden matte."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import gles
import numpy as np
import pytest

from igf_mobile.full_resolution import apply_coefficients

ROOT = Path(__file__).parents[2]
SHADERS = ROOT / "android_demo/app/src/main/assets/shaders"
KOTLIN = ROOT / "android_demo/app/src/main/kotlin/igf/app"
VECTORS = ROOT / "shared_vectors"

ALPHA_TOLERANCE = 2e-6
"""float32 sums in another order; measured 9e-7."""
FRAME_TOLERANCE = 1e-5
"""Other roundings of the weights at odd factors; measured 3.1e-6."""

PROBE = """
uniform highp sampler2D coefficients;
uniform highp sampler2D guidance;
in vec2 position;
out vec4 colour;
void main() { colour = vec4(alphaAt(coefficients, position, texture(guidance, position).rgb)); }
"""


def source(name: str) -> str:
    return (SHADERS / name).read_text(encoding="utf-8")


def header() -> str:
    """What the app puts before its shaders, out of its own source."""
    found = re.search(r'HEADER = "(.*)"', (KOTLIN / "GlProgram.kt").read_text(encoding="utf-8"))
    assert found
    return found[1].replace("\\n", "\n")


@pytest.fixture(scope="module")
def context() -> Iterator[gles.Artist]:
    try:
        with gles.context() as current:
            yield current
    except gles.Missing as reason:
        pytest.skip(f"not run: {reason}")


def tensor(case: str, name: str) -> np.ndarray:
    shape = json.loads((VECTORS / case / "case.json").read_text())["shapes"][name]
    return np.fromfile(VECTORS / case / f"{name}.f32", "<f4").reshape(shape)[0].transpose(1, 2, 0)


def with_alpha(rgb: np.ndarray) -> np.ndarray:
    return np.dstack([rgb, np.ones(rgb.shape[:2], rgb.dtype)]).astype(rgb.dtype)


def alpha_of(
    context: gles.Artist,
    matte: str,
    coefficients: np.ndarray | None = None,
    guidance: np.ndarray | None = None,
) -> np.ndarray:
    """(H,W) at the size of `guidance`; the golden coefficients and picture where none are given."""
    given = tensor("matte", "coefficients") if coefficients is None else coefficients
    picture = tensor("matte", "guidance") if guidance is None else guidance
    textures = {"coefficients": given, "guidance": with_alpha(picture)}
    program = (header() + source("composite.vert"), header() + matte + PROBE)
    drawn = context.draw(*program, textures, {}, picture.shape[:2], True)
    return drawn[:, :, 0]


def error(alpha: np.ndarray) -> float:
    return float(np.abs(alpha - tensor("matte", "alpha")[:, :, 0]).max())


def test_the_shader_gives_the_golden_alpha(context: gles.Artist) -> None:
    alpha = alpha_of(context, source("matte.glsl"))
    assert error(alpha) <= ALPHA_TOLERANCE
    assert np.ptp(alpha) > 0.5


@pytest.mark.parametrize("size", [(150, 203), (480, 270)])
def test_the_shader_is_the_reference_at_a_larger_frame(context: gles.Artist, size: tuple[int, int]) -> None:
    """The golden coefficients are of a picture of 64 x 64; neither size is a multiple of it."""
    picture = np.random.default_rng(0).random((*size, 3), np.float32)
    reference = apply_coefficients(tensor("matte", "coefficients"), picture)
    alpha = alpha_of(context, source("matte.glsl"), guidance=picture)
    assert np.abs(alpha - reference).max() <= FRAME_TOLERANCE
    assert np.ptp(reference) > 0.5
    shifted = source("matte.glsl").replace("- 0.5, vec2(0.0)", ", vec2(0.0)")
    assert np.abs(alpha_of(context, shifted, guidance=picture) - reference).max() > 100 * FRAME_TOLERANCE


@pytest.mark.parametrize(
    "before, after",
    [
        ("- 0.5, vec2(0.0)", ", vec2(0.0)"),  # corners instead of half-pixel centres
        ("linear.rgb, rgb", "linear.bgr, rgb"),  # red and blue swapped
        ("+ linear.a", ""),  # B dropped
        ("fraction.y);", "0.0);"),  # no interpolation between rows
    ],
)
def test_a_wrong_shader_does_not(context: gles.Artist, before: str, after: str) -> None:
    assert source("matte.glsl").count(before) == 1
    assert error(alpha_of(context, source("matte.glsl").replace(before, after))) > 100 * ALPHA_TOLERANCE


def test_half_floats_would_be_too_coarse(context: gles.Artist) -> None:
    """Why the coefficients are a float32 texture."""
    halved = tensor("matte", "coefficients").astype(np.float16).astype(np.float32)
    assert error(alpha_of(context, source("matte.glsl"), halved)) > 100 * ALPHA_TOLERANCE


def composite(
    context: gles.Artist, turn: tuple[float, ...], matted: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The app's own program on the camera's golden frame, at the size of the frame as it lies."""
    frame = json.loads((VECTORS / "camera/case.json").read_text())["frame"]
    height, width, stride = frame["height"], frame["width"], frame["row_stride"]
    luma = np.fromfile(VECTORS / "camera/y.u8", np.uint8).reshape(-1, stride)[:height, :width]
    chroma = np.fromfile(VECTORS / "camera/uv.u8", np.uint8).reshape(-1, stride)[: height // 2, :width]
    textures = {
        "luma": luma,
        "chromaU": np.ascontiguousarray(chroma[:, 0::2]),
        "chromaV": np.ascontiguousarray(chroma[:, 1::2]),
        "coefficients": tensor("matte", "coefficients"),
        "background": np.full((1, 1, 4), (0, 255, 0, 255), np.uint8),
    }
    size = (height, width) if turn[0] else (width, height)
    program = header() + source("matte.glsl") + source("composite.frag")
    uniforms = {"turn": turn, "matted": (matted,)}
    linear = frozenset(textures) - {"coefficients"}
    drawn = context.draw(
        header() + source("composite.vert"), program, textures, uniforms, size, False, linear
    )
    return drawn[:, :, :3], textures


UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
QUARTER = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0)
"""`Turn.toFrame(90)`; its agreement with the packer is the Kotlin tests' matter."""


def camera_rgb(textures: dict[str, np.ndarray]) -> np.ndarray:
    """The frame in RGB, chroma as a texture filters it, in float64."""
    y = textures["luma"].astype(np.float64)
    height, width = y.shape

    def full(plane: np.ndarray) -> np.ndarray:
        rows, columns = ((np.arange(n) + 0.5) / 2 - 0.5 for n in (height, width))
        return bilinear(plane.astype(np.float64)[:, :, None], rows, columns)[:, :, 0]

    u, v = full(textures["chromaU"]) - 128.0, full(textures["chromaV"]) - 128.0
    rgb = np.dstack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u])
    return np.clip(rgb / 255.0, 0.0, 1.0)


def bilinear(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Samples at the given pixel positions, the edge repeated."""
    rows, columns = (np.clip(p, 0, n - 1) for p, n in zip((rows, columns), image.shape[:2], strict=True))
    top, left = (
        np.minimum(p.astype(int), n - 2) for p, n in zip((rows, columns), image.shape[:2], strict=True)
    )
    fy, fx = (rows - top)[:, None, None], (columns - left)[None, :, None]
    corners = [image[np.ix_(top + dy, left + dx)] for dy in (0, 1) for dx in (0, 1)]
    above, below = corners[0] * (1 - fx) + corners[1] * fx, corners[2] * (1 - fx) + corners[3] * fx
    return np.asarray(above * (1 - fy) + below * fy)


def expected_composite(textures: dict[str, np.ndarray]) -> np.ndarray:
    rgb = camera_rgb(textures)
    height, width = rgb.shape[:2]
    given = textures["coefficients"].astype(np.float64)
    rows = (np.arange(height) + 0.5) / height * given.shape[0] - 0.5
    columns = (np.arange(width) + 0.5) / width * given.shape[1] - 0.5
    linear = bilinear(given, rows, columns)
    alpha = np.clip((linear[:, :, :3] * rgb).sum(-1) + linear[:, :, 3], 0.0, 1.0)[:, :, None]
    return np.asarray(255.0 * (alpha * rgb + (1 - alpha) * np.array([0.0, 1.0, 0.0])))


def test_the_composite_is_the_references(context: gles.Artist) -> None:
    drawn, textures = composite(context, UPRIGHT, 1.0)
    difference = np.abs(drawn - expected_composite(textures))
    # Filtering weights of 8 bits in the chroma, times a slope of alpha; on average below one step (measured: 0.52).
    assert difference.mean() <= 0.8
    assert np.percentile(difference, 99) <= 4.0


def test_before_a_scribble_the_frame_is_shown(context: gles.Artist) -> None:
    drawn, textures = composite(context, UPRIGHT, 0.0)
    assert np.abs(drawn - 255.0 * camera_rgb(textures)).max() <= 3.0
    matted, _ = composite(context, UPRIGHT, 1.0)
    assert np.abs(drawn.astype(int) - matted).max() > 50


def test_a_turned_frame_is_drawn_upright(context: gles.Artist) -> None:
    lying, _ = composite(context, UPRIGHT, 0.0)
    turned, _ = composite(context, QUARTER, 0.0)
    assert np.abs(turned.astype(int) - np.rot90(lying, -1)).max() <= 1


@pytest.mark.parametrize("stage", ["vert", "frag"])
def test_glslang_accepts_the_shaders(stage: str, tmp_path: Path) -> None:
    """A second compiler, and the one that knows the specification best."""
    if shutil.which("glslangValidator") is None:
        pytest.skip("not run: glslangValidator is missing; Debian: apt-get install glslang-tools")
    text = header() + (source("matte.glsl") if stage == "frag" else "") + source(f"composite.{stage}")
    file = tmp_path / f"shader.{stage}"
    file.write_text(text)
    done = subprocess.run(["glslangValidator", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    file.write_text(text.replace("vec2 ", "vec5 ", 1))
    assert subprocess.run(["glslangValidator", str(file)], capture_output=True, check=False).returncode != 0
