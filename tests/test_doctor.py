"""What the doctor says of this machine, and of one that lacks something."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from igf_mobile import backends, doctor


def findings() -> dict[str, doctor.Finding]:
    return {finding.what: finding for finding in doctor.examine()}


@pytest.fixture
def shipped(fake: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`fake` alone, and its checkpoint as the shipped one."""
    monkeypatch.setattr(backends, "names", lambda: ["fake"])
    monkeypatch.setattr(doctor, "DEFAULT_CHECKPOINT", fake.checkpoint)
    return fake


def test_everything_has_a_detail(shipped: Any) -> None:
    found = findings()
    assert {"Python 3.10 to 3.12", "shipped checkpoint", "export fake", "run fake", "disk"} <= set(found)
    assert all(finding.detail and "\n" not in finding.detail for finding in found.values())
    assert found["Python 3.10 to 3.12"].available


def test_a_missing_package_is_named(shipped: Any) -> None:
    finding = findings()["export fake"]
    assert not finding.available
    assert finding.detail == "missing: no-such-distribution"


def test_installed_packages_are_listed_with_versions(shipped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    whole = dataclasses.replace(shipped.module.BACKEND, packages=("safetensors", "numpy"))
    monkeypatch.setattr(shipped.module, "BACKEND", whole)
    finding = findings()["export fake"]
    assert finding.available
    assert finding.detail == f"safetensors {version('safetensors')}, numpy {version('numpy')}"


def test_a_runtime_that_cannot_run_says_why(shipped: Any) -> None:
    assert findings()["run fake"].available
    shipped.module.unavailable = "it wants a phone"
    finding = findings()["run fake"]
    assert (finding.available, finding.detail) == (False, "it wants a phone")


def test_the_checkpoint(shipped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = findings()["shipped checkpoint"]
    assert (finding.available, finding.detail) == (True, "igf-test 1.2, 0 steps, Apache-2.0")
    for content, said in ((None, "no checkpoint at"), (b"x" * 50, "is not a whole safetensors file")):
        path = tmp_path / "broken.safetensors"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(doctor, "DEFAULT_CHECKPOINT", path)
        finding = findings()["shipped checkpoint"]
        assert not finding.available
        assert said in finding.detail


def test_every_backend_is_examined() -> None:
    found = findings()
    for name in ("coreml", "executorch", "litert"):
        assert found[f"export {name}"].available
        assert found[f"run {name}"].detail
