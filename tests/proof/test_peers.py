"""Peers: what they are given, and what they say where they cannot run. Their packages are optional."""

from pathlib import Path

import numpy as np
import pytest

from igf_mobile import evaluate
from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.evaluate import EvalCase
from igf_mobile.proof import peers
from igf_mobile.proof.peers import Method

Suite = list[EvalCase]


def test_the_narrow_trimap_is_unknown_where_errors_count(suite: Suite) -> None:
    trimap = peers.weak_trimap(suite[0].weak_mask, evaluate.BAND_PX)
    assert set(np.unique(trimap)) == {0.0, 0.5, 1.0}
    np.testing.assert_array_equal(trimap == 0.5, suite[0].region)
    known = trimap != 0.5
    np.testing.assert_array_equal(trimap[known], suite[0].weak_mask[known])


def test_the_wide_trimap_knows_less(suite: Suite) -> None:
    narrow, wide = (peers.weak_trimap(suite[0].weak_mask, width) for width in peers.TRIMAP_PX)
    assert (wide == 0.5).sum() > 1.5 * (narrow == 0.5).sum()


def test_refined_gives_the_first_mask_to_the_second(suite: Suite) -> None:
    case = suite[0]
    first = Method("first", "1", lambda: lambda guidance, mask: np.full_like(mask, 0.6))
    echo = Method("echo", "2", lambda: evaluate.weak_mask_matte)
    both = peers.refined(first, echo)
    np.testing.assert_array_equal(both.load()(case.guidance, case.weak_mask), 1.0)
    assert "1" in both.version and "2" in both.version and both.version not in (first.version, echo.version)


def test_an_absent_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymatting", None)
    monkeypatch.setitem(__import__("sys").modules, "numba", None)
    with pytest.raises(BackendUnavailable, match=r"numba cannot be imported: .*igf-mobile\[peers\]"):
        peers.trimap_peers()[0].load()


def test_an_absent_client_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BackendUnavailable, match="needs npm"):
        peers.segmentation_peers(tmp_path)[0].load()


def test_closed_form_finds_the_disc(suite: Suite) -> None:
    pytest.importorskip("pymatting", reason="optional: pip install 'igf-mobile[peers]'")
    case = suite[0]
    closed_form = peers.trimap_peers()[0]
    assert closed_form.name == "closed-form matting, trimap 20 px"
    sad = {
        name: evaluate.evaluate([case], matte).mean.sad
        for name, matte in (("mask", evaluate.weak_mask_matte), ("closed form", closed_form.load()))
    }
    assert sad["closed form"] < 0.5 * sad["mask"]
