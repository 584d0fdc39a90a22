"""The HTML report: whole, offline, the same bytes, and honest about what was not measured."""

import dataclasses
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from igf_mobile import report, report_pictures
from igf_mobile.backends.base import tensor_specs
from igf_mobile.errors import DamagedFile
from igf_mobile.images import resize, write_alpha
from igf_mobile.latency import Latency
from igf_mobile.manifest import ArtifactRecord, FileRecord, Manifest, load_manifest, save_manifest
from igf_mobile.metrics import AlphaMetrics
from igf_mobile.parity import EXPORTED, IDENTICAL_DB, QUANTIZED, Comparison, Parity
from igf_mobile.report import RATIO_BANDS, SQNR_BANDS, Row, band, write_report
from igf_mobile.report_pictures import HEAT_COLOURS, HEAT_STEPS, Strip, strips
from igf_mobile.report_plots import SQNR_TICKS, plots
from igf_mobile.samples import Sample, load_samples, names

BACKENDS = ("coreml", "executorch", "litert")
SCHEMES = ("fp32", "fp16", "w8", "w8a8")
RAN_ON = {
    "coreml": "reference evaluation of the MIL program (not Core ML), torch, 1 thread",
    "executorch": "ExecuTorch 1.5.1, XNNPACK",
    "litert": "LiteRT 2.3.0, XNNPACK, 1 thread",
}
SQNR = {"fp32": 120.0, "fp16": 61.0, "w8": 43.0, "w8a8": 31.0}
FLOAT = AlphaMetrics(mse=0.01, sad=2.0, grad=3.0, conn=1.5)
NOT_RUN = ("executorch", "fp16")
REASON = "no half precision kernels here"
NOTE = "<script>alert('note')</script>"
FAILURES = [
    "coreml w8a8: quantized alpha.sqnr_db is 27.9, below the limit 30.5 <b>",
    "litert-fp32 and litert-fp16 give the same bits: one of them is not what its name says",
]
VOID = {"meta", "img", "input", "br", "source", "link", "hr"}


def record(backend: str, scheme: str) -> ArtifactRecord:
    inputs, outputs = tensor_specs((512, 512), "NHWC" if backend == "litert" else "NCHW")
    runs = (backend, scheme) != NOT_RUN
    error = 1.0 if scheme != "w8a8" else 1.2
    parity = Parity(
        EXPORTED if scheme == "fp32" else QUANTIZED,
        Comparison(SQNR[scheme], 5.3e-7, 2.1e-8),
        Comparison(SQNR[scheme] - 5.0, 1e-5, 1e-6),
        AlphaMetrics(**{name: value * error for name, value in FLOAT.as_dict().items()}),
        FLOAT,
    )
    latency = Latency(12.34, 13.5, 15.75, 12.0, 30.0, 8.0, 5, 30, 1)
    return ArtifactRecord(
        file=f"igf-{backend}-{scheme}.bin",
        sha256="ab" * 32,
        bytes=123_456,
        backend=backend,
        scheme=scheme,
        key="k",
        inputs=inputs,
        outputs=outputs,
        delegated={} if backend == "coreml" else {"CONV_2D": 22, "ADD": 3},
        fallback={"SOFTPLUS": 2} if (backend, scheme) == ("coreml", "w8a8") else {},
        quantized={"conv": 22} if scheme.startswith("w8") else {},
        notes=(NOTE,),
        ran_on=RAN_ON[backend] if runs else f"not run: {REASON}",
        parity=parity if runs else None,
        latency=latency if runs and backend != "coreml" else None,
    )


def fake_manifest() -> Manifest:
    return Manifest(
        schema_version=1,
        name="igf-512",
        version="0.1.0",
        licence="Apache-2.0",
        checkpoint=FileRecord("igf-512.safetensors", "3f" * 32, 267_112),
        size=(512, 512),
        calibration=FileRecord("calibration", "c1" * 32, 1_204_556),
        proof=FileRecord("proof", "d2" * 32, 1_180_224),
        tools={"python": "3.11.2", "torch": "2.13.0"},
        artifacts=tuple(record(backend, scheme) for backend in BACKENDS for scheme in SCHEMES),
    )


def write_mattes(folder: Path, artifacts: list[str], samples: list[Sample]) -> None:
    """Discs; each scheme's is off by its own number of 8-bit steps."""
    for sample in samples:
        height, width = sample.weak_mask.shape
        y, x = np.mgrid[:height, :width]
        disc = np.clip((width / 3 - np.hypot(y - height / 2, x - width / 2)) / 20 + 0.5, 0, 1)
        disc = np.rint(disc.astype(np.float32) * 255) / np.float32(255)
        for name in ["float", *artifacts]:
            steps = {"float": 0, "fp32": 0, "fp16": 1, "w8": 4, "w8a8": 40}[name.split("-")[-1]]
            alpha = np.clip(disc + np.float32(steps / 255), 0, 1)
            write_alpha(folder / "mattes" / name / f"{sample.name}.png", alpha)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    manifest = fake_manifest()
    save_manifest(manifest, folder)
    write_mattes(folder, [f"{r.backend}-{r.scheme}" for r in manifest.artifacts if r.parity], load_samples())
    return folder


@pytest.fixture(scope="module")
def page(build: Path) -> str:
    path = write_report(build, failures=FAILURES)
    assert path == build / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture
def thumbnails(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """The samples at 96 x 64 and no plots, for tests that write many reports."""
    samples = [
        dataclasses.replace(s, guidance=resize(s.guidance, (64, 96)), weak_mask=resize(s.weak_mask, (64, 96)))
        for s in load_samples()
    ]
    monkeypatch.setattr(report_pictures, "load_samples", lambda: samples)
    monkeypatch.setattr(report, "plots", lambda records: [])
    return samples


@pytest.fixture
def small(tmp_path: Path, thumbnails: list[Sample]) -> Path:
    """A build of a single artifact, which takes little time to report."""
    save_manifest(dataclasses.replace(fake_manifest(), artifacts=(record("litert", "w8"),)), tmp_path)
    write_mattes(tmp_path, ["litert-w8"], thumbnails)
    return tmp_path


class Outline(HTMLParser):
    """Open tags, ids, links and text; fails on a tag that closes another."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute twice in {tag}"
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def text_of(page: str) -> str:
    return " ".join(" ".join(Outline(page).text).split())


def row_of(page: str, name: str) -> str:
    (row,) = re.findall(rf'<tr [^>]*id="{name}">.*?</tr>', page, re.DOTALL)
    return row


def test_tags_are_balanced_and_ids_unique(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)


def test_loads_nothing(page: str) -> None:
    outline = Outline(page)
    anchors = {link for link in outline.loads if link.startswith("#")}
    assert {anchor[1:] for anchor in anchors} <= set(outline.ids)
    others = [link for link in outline.loads if link not in anchors]
    assert len(others) > 3 * len(names())
    assert all(re.match(r"data:image/(png|webp|svg\+xml);base64,", link) for link in others)
    assert "url(" not in page and "@import" not in page and "http:" not in page and "https:" not in page
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    assert "default-src 'none'" in page


def test_size_is_moderate(build: Path, page: str) -> None:
    assert (build / "report.html").stat().st_size < 8_000_000
    assert not [path for path in build.iterdir() if path.name.startswith(".")]


def test_every_artifact_has_a_row_and_mattes(page: str) -> None:
    for backend in BACKENDS:
        for scheme in SCHEMES:
            assert scheme in row_of(page, f"{backend}-{scheme}")
            shown = page.count(f", alpha of {backend}-{scheme}")
            assert (shown == 0) == ((backend, scheme) == NOT_RUN)


def test_a_row_has_its_numbers(page: str) -> None:
    row = text_of(row_of(page, "litert-w8a8"))
    for value in ("123.5", "31.0", "fair", "5.3e-7", "2.1e-8", "2.400", "1.200", "worse", "12.00", "3.60"):
        assert value in row
    for value in ("12.34", "13.50", "15.75", "30 1 thread"):
        assert value in row
    assert '<abbr title="22 CONV_2D, 3 ADD">25</abbr>' in row_of(page, "litert-w8a8")
    assert "vs fp32" in row and "vs float model" in row_of(page, "litert-fp32")


def test_what_was_not_run_has_a_reason_and_no_numbers(page: str) -> None:
    row = row_of(page, "executorch-fp16")
    assert 'class="not-run"' in row and REASON in row
    # SQNR, max, mean, SAD, ratio, MSE, Grad, Conn, median, p90, p99, runs
    assert row.count(f'<abbr class="dash" title="{REASON}"') == 12
    assert page.count(f"not run: {REASON}") == len(names())
    assert f"Not run: executorch-fp16 – {REASON}" in text_of(page)


def test_a_reference_evaluation_is_no_runtime(page: str) -> None:
    assert "7 measured on their runtime, 4 by reference evaluation, 1 not run" in text_of(page)
    assert "not the runtime" in row_of(page, "coreml-fp32")
    assert "not the runtime" not in row_of(page, "litert-fp32")
    assert row_of(page, "coreml-fp32").count("says nothing of the runtime") == 2 * 4


def test_failures_are_on_top_and_at_their_artifacts(page: str) -> None:
    text = text_of(page)
    assert "✗ 2 failures" in text
    for sentence in FAILURES:
        assert 0 < text.index(sentence) < text.index("Artifacts")
    failed = {f"{b}-{s}" for b in BACKENDS for s in SCHEMES if "✗ failed" in row_of(page, f"{b}-{s}")}
    assert failed == {"coreml-w8a8", "litert-fp32", "litert-fp16"}  # and not coreml-w8


def test_gates_are_passed_only_where_somebody_checked(small: Path) -> None:
    unchecked = text_of(write_report(small).read_text(encoding="utf-8"))
    assert "Gates not checked" in unchecked and "passed" not in unchecked.split("Artifacts")[0]
    assert "✓ All gates passed" in text_of(write_report(small, failures=()).read_text(encoding="utf-8"))


def test_notes_are_escaped(page: str) -> None:
    assert "<script" not in page
    assert NOTE in text_of(page)


def test_same_bytes_for_the_same_build(small: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(small, elsewhere, dirs_exist_ok=True)
    assert write_report(small).read_bytes() == write_report(elsewhere).read_bytes()


def test_plots_are_the_same_bytes_whatever_the_users_matplotlibrc() -> None:
    import matplotlib

    records = [record("litert", "w8")]
    expected = plots(records)
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "none"}):
        assert plots(records) == expected
        assert matplotlib.rcParams["font.size"] == 20


def test_what_was_not_measured_is_not_plotted() -> None:
    assert plots([record(*NOT_RUN)]) == []
    broken = record("litert", "w8")
    assert broken.parity and broken.latency
    parity = dataclasses.replace(
        broken.parity,
        alpha=Comparison(math.nan, 0.0, 0.0),
        float_matte=AlphaMetrics(0.0, 0.0, 0.0, 0.0),
    )
    latency = dataclasses.replace(broken.latency, p99_ms=math.nan)
    assert plots([dataclasses.replace(broken, parity=parity, latency=latency)]) == []
    assert [plot.title for plot in plots([record("coreml", "fp32")])] == [
        "Size and matte error",
        "Distance of alpha, SQNR in dB",
    ]


@pytest.fixture(scope="module")
def strip(build: Path) -> Strip:
    return strips(build / "mattes", ["litert-fp32", "litert-fp16", "litert-w8", "litert-w8a8", "absent"])[0]


def test_differences_are_from_the_float_matte(strip: Strip) -> None:
    steps = {name: pictures and pictures.max_abs for name, pictures in strip.artifacts.items()}
    assert steps["litert-fp32"] == 0.0 and steps["absent"] is None
    for name, expected in (("litert-fp16", 1), ("litert-w8", 4), ("litert-w8a8", 40)):
        assert steps[name] == pytest.approx(expected / 255, abs=1e-6)


def test_heat_map_shows_steps_of_the_matte(strip: Strip) -> None:
    import base64
    import io

    from PIL import Image

    for name, step in (("litert-fp32", 0), ("litert-fp16", 1), ("litert-w8", 4), ("litert-w8a8", HEAT_STEPS)):
        pictures = strip.artifacts[name]
        assert pictures is not None and pictures.difference is not None
        image = Image.open(io.BytesIO(base64.b64decode(pictures.difference.split(",")[1]))).convert("RGB")
        assert image.size == strip.size[::-1]
        corner = "#{:02x}{:02x}{:02x}".format(*np.asarray(image)[0, 0])
        assert corner == HEAT_COLOURS[step]


def test_absent_mattes(small: Path) -> None:
    (small / "mattes" / "litert-w8" / "coffee.png").unlink()
    (small / "mattes" / "float" / "chelsea.png").unlink()
    text = text_of(write_report(small).read_text(encoding="utf-8"))
    assert text.count("not run: there is no matte of this photograph") == 1
    assert text.count("no matte of the float model") == 1


def test_a_stale_matte_of_what_was_not_run_is_not_shown(tmp_path: Path, thumbnails: list[Sample]) -> None:
    save_manifest(dataclasses.replace(fake_manifest(), artifacts=(record(*NOT_RUN),)), tmp_path)
    write_mattes(tmp_path, ["executorch-fp16"], thumbnails)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert ", alpha of executorch-fp16" not in page and page.count(f"not run: {REASON}") == len(names())


@pytest.mark.parametrize("damage", ["cut", "size"])
def test_damaged_matte_is_named(small: Path, damage: str) -> None:
    path = small / "mattes" / "litert-w8" / "chelsea.png"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        write_alpha(path, np.zeros((64, 64), np.float32))
    with pytest.raises(DamagedFile, match=r"litert-w8.chelsea\.png"):
        write_report(small)
    assert not (small / "report.html").exists()


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=r"there is no .*manifest\.json"):
        write_report(tmp_path)


def test_numbers_that_do_not_exist(small: Path) -> None:
    """A float model without error has no ratio; a NaN in the manifest is no number either."""
    artifact = load_manifest(small).artifacts[0]
    assert artifact.parity
    nothing = AlphaMetrics(0.0, 0.0, 0.0, 0.0)
    parity = dataclasses.replace(
        artifact.parity, float_matte=nothing, alpha=Comparison(IDENTICAL_DB, 0.0, 0.0)
    )
    artifact = dataclasses.replace(artifact, parity=parity)
    path = save_manifest(dataclasses.replace(load_manifest(small), artifacts=(artifact,)), small)
    path.write_text(path.read_text().replace('"median_ms": 12.34', '"median_ms": NaN'))
    page = write_report(small).read_text(encoding="utf-8")
    row = row_of(page, "litert-w8")
    assert "identical" in row and row.count('class="dash"') == 2
    assert "the float model&#39;s error is 0" in row
    assert not re.search(r"\bnan\b", text_of(page), re.IGNORECASE)


def test_bands() -> None:
    words = {
        value: SQNR_BANDS[band(value, SQNR_BANDS)].word for value in (70.0, 69.9, 50.0, 40.0, 30.0, 29.9)
    }
    assert list(words.values()) == ["as fp32", "as fp16", "as fp16", "good", "fair", "poor"]
    words = {value: RATIO_BANDS[band(value, RATIO_BANDS)].word for value in (0.9, 1.0, 1.01, 1.1)}
    assert list(words.values()) == ["as float", "as float", "close", "worse"]
    assert {b.least for b in SQNR_BANDS[:-1]} <= set(SQNR_TICKS)


def test_an_unknown_scheme_and_a_run_without_result() -> None:
    row = Row(dataclasses.replace(record("litert", "w8"), scheme="int3", parity=None), failed=False)
    assert row.scheme_description == "" and row.status == "not run"
    assert row.why_not == "it ran, but nothing was recorded"
