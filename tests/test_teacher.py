"""Learning from an artifact's mattes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from igf_mobile import backends
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.errors import IgfError
from igf_mobile.teacher import load_teacher, taught
from igf_mobile.train import train
from igf_mobile.training_state import load_state, preset_config

SIZE = 64


def batch_of(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(step)
    guidance, mask, alpha = (random.random((2, channels, SIZE, SIZE), np.float32) for channels in (3, 1, 1))
    return guidance, mask.round(), alpha


def batches(start: int) -> Any:
    return (batch_of(step) for step in range(start, 40))


class Inverting:
    """A runner whose matte is what its mask is not."""

    description = "inverts its mask"

    def __call__(self, guidance: np.ndarray, weak_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 1.0 - weak_mask, np.zeros((1, 4, SIZE // 4, SIZE // 4), np.float32)


def test_the_target_is_the_teachers_matte_to_a_share() -> None:
    for share in (0.0, 0.25, 1.0):
        found = list(taught(batches, Inverting(), share)(3))
        assert len(found) == 37
        for step, tensors in enumerate(found, 3):
            guidance, mask, alpha = (torch.from_numpy(x) for x in batch_of(step))
            assert torch.equal(tensors[0], guidance) and torch.equal(tensors[1], mask)
            torch.testing.assert_close(tensors[2], (1.0 - share) * alpha + share * (1.0 - mask))


@pytest.fixture(scope="module")
def artifact(fake_backend: Any, trained_like: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("teacher") / "a.fake"
    backends.get("fake").export(trained_like, "fp32", [], path, {"scheme": "fp32"}, (SIZE, SIZE))
    return path


def test_a_run_comes_nearer_to_its_teacher(artifact: Path, trained_like: Any, tmp_path: Path) -> None:
    config = preset_config(
        "fast",
        "no data",
        tmp_path,
        steps=40,
        batch_size=2,
        crop=SIZE,
        validate_every=0,
        warmup_steps=0,
        teacher=str(artifact),
    )
    path = train(config, batches, [])
    model, info = load_checkpoint(path)
    assert '"teacher": "a.fake"' in info.recipe and '"teacher_share": 1.0' in info.recipe
    fresh = train(replace(config, run_dir=str(tmp_path / "b"), teacher_share=0.0), batches, [])
    guidance, mask, _ = (torch.from_numpy(x) for x in batch_of(0))
    with torch.no_grad():
        wanted = trained_like(guidance, mask).alpha
        near, far = (
            (m(guidance, mask).alpha - wanted).abs().mean() for m in (model, load_checkpoint(fresh)[0])
        )
    assert near < 0.95 * far  # measured: 0.91


def test_a_run_goes_on_with_the_same_teacher_alone(artifact: Path, tmp_path: Path) -> None:
    config = preset_config(
        "fast", "no data", tmp_path, steps=2, batch_size=2, crop=SIZE, validate_every=0, teacher=str(artifact)
    )
    train(config, batches, [])
    assert load_state(tmp_path / "state.safetensors", config).step == 2
    for change in ({"teacher": ""}, {"teacher_share": 0.5}):
        with pytest.raises(IgfError, match=f"was trained with {next(iter(change))}="):
            load_state(tmp_path / "state.safetensors", replace(config, **change))


def test_what_is_no_teacher_is_refused(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        IgfError, match=r"the teacher .*a\.txt is none of \.fake, \.mlpackage, \.pte, \.tflite"
    ):
        load_teacher(tmp_path / "a.txt", SIZE)
    with pytest.raises(IgfError, match=r"the teacher .*b\.fake is not there"):
        load_teacher(tmp_path / "b.fake", SIZE)
    fake = backends.get("fake")

    def other_size(*_: Any) -> Any:
        raise ValueError("Dimension mismatch")

    monkeypatch.setattr(backends, "get", lambda name: replace(fake, load=lambda path: other_size))
    with pytest.raises(IgfError, match=r"takes no crops of 64; export it with --size 64"):
        load_teacher(artifact, SIZE)
    with pytest.raises(IgfError, match=r"teacher_share=1\.5 is not in \[0, 1\]"):
        preset_config("fast", "x", tmp_path, teacher_share=1.5)
