"""What the report shows of the inside of artifacts: where the crops are, what is kept, and what is not there."""

from pathlib import Path

import numpy as np
import pytest

from igf_mobile import composites, report_contents
from igf_mobile.composites import CompositeSample
from igf_mobile.contents.expected import Activation, Expected
from igf_mobile.contents.findings import SIDE, Place, places, read_findings, write_crops, write_findings
from igf_mobile.contents.halves import HalfRange
from igf_mobile.contents.layers import Grid, Layer
from igf_mobile.errors import DamagedFile
from igf_mobile.images import read_mask
from igf_mobile.report import environment


def sample() -> CompositeSample:
    """256 x 256: hair on the lower right, a plain grey wall on the upper left, a busy one beside it."""
    random = np.random.default_rng(0)
    guidance = random.random((256, 256, 3), np.float32)
    guidance[:SIDE, :SIDE] = 0.5
    alpha = np.zeros((256, 256), np.float32)
    alpha[SIDE:, SIDE:] = random.random((SIDE, SIDE), np.float32)
    alpha[SIDE:, :SIDE] = 1.0
    return CompositeSample("drawn", guidance, (alpha > 0.5).astype(np.float32), alpha)


def matched(source: Grid | None) -> list[tuple[Layer, Expected]]:
    values = np.linspace(-1.0, 3.0, 400)
    wanted = Expected("hourglass.a", np.ones((1, 1, 1, 1)), *[Activation(-1.0, 3.0, values)] * 2)
    return [(Layer("x", wanted.weights, "int8", source), wanted)]


def test_the_places() -> None:
    assert places([sample()]) == {"hair": Place(0, SIDE, SIDE), "flat background": Place(0, 0, 0)}


def test_samples_smaller_than_a_crop_have_none() -> None:
    small = sample()
    cut = CompositeSample("small", small.guidance[:64, :64], small.weak_mask[:64, :64], small.alpha[:64, :64])
    assert places([cut]) == {}


def test_findings_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_findings(tmp_path) is None
    halves = [HalfRange("a", 2.0, 0.5), HalfRange("b", float("inf"))]
    write_findings(tmp_path, halves, {"x-w8a8": matched(Grid(0.02, -128)), "x-fp32": matched(None)})
    found = read_findings(tmp_path)
    assert found is not None
    assert found["float16"][0] == {"name": "a", "largest": 2.0, "divisor": 0.5}
    assert found["float16"][1]["largest"] == "inf"
    (row,) = found["activations"].values()
    assert (row["minimum"], row["maximum"], sum(row["counts"])) == (-1.0, 3.0, 400)
    assert row["grids"] == {"x-w8a8": [pytest.approx(0.0), pytest.approx(5.1)]}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"float16": []}', "5"])
def test_damaged_findings(tmp_path: Path, text: str) -> None:
    (tmp_path / "contents.json").write_text(text)
    with pytest.raises(DamagedFile, match=r"contents\.json"):
        read_findings(tmp_path)


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = environment().get_template("contents.html")
    empty = template.render(report_contents.contents_page(tmp_path, ["x-w8a8"]))
    assert empty.count("not run: ") == 3

    samples = [sample()]
    monkeypatch.setattr(composites, "FOLDERS", {"proof": tmp_path})
    monkeypatch.setattr(report_contents, "load_composites", lambda folder: samples)
    alpha = samples[0].alpha[None, None]
    write_crops(tmp_path, "float", samples, [alpha])
    write_crops(tmp_path, "x-w8a8", samples, [np.clip(alpha + np.float32(0.1), 0.0, 1.0)])
    assert read_mask(tmp_path / "crops" / "float" / "hair.png").shape == (SIDE, SIDE)
    write_findings(tmp_path, [HalfRange("start.f:3 div", 2.0, 0.5)], {"x-w8a8": matched(Grid(0.02, -128))})
    page = report_contents.contents_page(tmp_path, ["x-w8a8", "x-w8"])
    text = template.render(page)
    assert "not run" not in text
    assert text.count("x-w8a8, max 0.10") == 2
    assert "x-w8," not in text.replace("x-w8a8,", "")
    assert "<code>start.f:3 div</code>" in text
    assert "32752" in text  # the headroom of 2
