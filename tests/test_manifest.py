"""The manifest comes back as it was written, or the field that is wrong is named."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile.backends.base import tensor_specs
from igf_mobile.errors import DamagedFile
from igf_mobile.files import sha256_of
from igf_mobile.latency import Latency
from igf_mobile.manifest import (
    FILE_NAME,
    SCHEMA_VERSION,
    ArtifactRecord,
    FileRecord,
    Manifest,
    check_files,
    load_manifest,
    save_manifest,
)
from igf_mobile.metrics import AlphaMetrics
from igf_mobile.parity import Comparison, Parity

CONTENT = b"weights " * 40
INPUTS, OUTPUTS = tensor_specs((64, 96), "NHWC")
ARTIFACT = ArtifactRecord(
    file="igf-fake-w8.fake",
    sha256="37" * 32,
    bytes=len(CONTENT),
    backend="fake",
    scheme="w8",
    key="ab" * 32,
    inputs=INPUTS,
    outputs=OUTPUTS,
    delegated={"CONV_2D": 22},
    fallback={},
    quantized={"CONV_2D": 16},
    notes=("depthwise stay float", "ü"),
    ran_on="fake runtime",
    parity=Parity(
        "quantized",
        Comparison(40.0, 0.1, 0.01),
        Comparison(30.0, 0.5, 0.02),
        AlphaMetrics(mse=1.0, sad=2.0, grad=3.0, conn=4.0),
        AlphaMetrics(mse=1.0, sad=2.0, grad=3.0, conn=4.0),
    ),
    latency=Latency(1.0, 2.0, 3.0, 0.5, 9.0, 20.0, 5, 30, 1),
)
MANIFEST = Manifest(
    schema_version=SCHEMA_VERSION,
    name="igf",
    version="1.0",
    licence="Apache-2.0",
    checkpoint=FileRecord("c.safetensors", "12" * 32, 7),
    size=(64, 96),
    calibration=FileRecord("calibration", "34" * 32, 8),
    proof=FileRecord("proof", "56" * 32, 9),
    tools={"python": "3.11.0"},
    artifacts=(ARTIFACT, dataclasses.replace(ARTIFACT, scheme="fp32", parity=None, latency=None)),
)
DATA: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(MANIFEST)))


def load(folder: Path, data: object) -> Manifest:
    (folder / FILE_NAME).write_text(json.dumps(data))
    return load_manifest(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifest")


def test_round_trip(tmp_path: Path) -> None:
    path = save_manifest(MANIFEST, tmp_path)
    assert path.name == FILE_NAME
    assert load_manifest(tmp_path) == MANIFEST
    first = path.read_bytes()
    save_manifest(load_manifest(tmp_path), tmp_path)
    assert path.read_bytes() == first


def test_find() -> None:
    assert MANIFEST.find("fake", "w8") is ARTIFACT
    assert MANIFEST.find("fake", "w8a8") is None
    assert MANIFEST.find("litert", "w8") is None


def test_nan_is_not_written(tmp_path: Path) -> None:
    broken = dataclasses.replace(ARTIFACT, latency=Latency(float("nan"), 2.0, 3.0, 0.5, 9.0, 20.0, 5, 30, 1))
    with pytest.raises(ValueError, match="JSON"):
        save_manifest(dataclasses.replace(MANIFEST, artifacts=(broken,)), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(DATA) - {"ranges", "coefficients_only"}))
def test_a_top_level_field_that_is_absent_is_named(tmp_path: Path, name: str) -> None:
    """`artifacts` too: a manifest that lost them would otherwise pass every gate."""
    data = {key: value for key, value in DATA.items() if key != name}
    said = "schema version None" if name == "schema_version" else f"{FILE_NAME}: {name}: "
    with pytest.raises(DamagedFile) as raised:
        load(tmp_path, data)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", sorted(set(DATA["artifacts"][0]) - {"recipe"}))
def test_an_artifact_field_that_is_absent_is_named(tmp_path: Path, name: str) -> None:
    data = copy.deepcopy(DATA)
    del data["artifacts"][1][name]
    with pytest.raises(DamagedFile) as raised:
        load(tmp_path, data)
    assert f"{FILE_NAME}: artifacts.1.{name}: " in str(raised.value)


def _paths(value: object, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the document but the free-form tables, whose values are checked as `*.CONV_2D`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, child in items for path in _paths(child, (*prefix, key)))]


PLACES = [path for path in _paths(DATA) if path and path != ("schema_version",)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES), st.data())
def test_a_field_of_another_type_is_named(folder: Path, place: tuple[Any, ...], data: st.DataObject) -> None:
    document = copy.deepcopy(DATA)
    parent: Any = document
    for key in place[:-1]:
        parent = parent[key]
    old = parent[place[-1]]
    scalar = not isinstance(old, (dict, list))
    wrong = data.draw(st.sampled_from([["x"], {"x": {}}] if scalar else ["x", 7, True]))
    if old is None:  # an artifact that was not measured
        wrong = "x"
    parent[place[-1]] = wrong
    with pytest.raises(DamagedFile) as raised:
        load(folder, document)
    said = str(raised.value)
    assert f"{FILE_NAME}: {'.'.join(map(str, place))}" in said
    assert "\n" not in said


@pytest.mark.parametrize("version", [0, 2, "1", None, [1], 1.5])
def test_another_schema_version(tmp_path: Path, version: object) -> None:
    with pytest.raises(DamagedFile) as raised:
        load(tmp_path, {**DATA, "schema_version": version})
    assert str(raised.value).endswith(f"has schema version {version!r}; this program reads 1")


@pytest.mark.parametrize("document", [[], [DATA], 7, None, "manifest"])
def test_json_that_is_no_manifest(tmp_path: Path, document: object) -> None:
    with pytest.raises(DamagedFile, match="has schema version None"):
        load(tmp_path, document)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(json.dumps(DATA)) - 1))
def test_truncated(folder: Path, length: int) -> None:
    (folder / FILE_NAME).write_text(json.dumps(DATA)[:length])
    with pytest.raises(DamagedFile, match="is not readable JSON"):
        load_manifest(folder)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"[" * 100_000, b"\x00" * 9], ids=["binary", "deep", "zeros"]
)
def test_not_json_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DamagedFile, match="is not readable JSON"):
        load_manifest(tmp_path)


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=r"there is no .*manifest\.json; `igf export` writes it"):
        load_manifest(tmp_path)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(DamagedFile, match="is not readable JSON"):
        load_manifest(tmp_path)


@pytest.fixture
def build(tmp_path: Path) -> tuple[Manifest, Path]:
    path = tmp_path / ARTIFACT.file
    path.write_bytes(CONTENT)
    record = dataclasses.replace(ARTIFACT, sha256=sha256_of(path))
    return dataclasses.replace(MANIFEST, artifacts=(record,)), path


def test_files_as_described(build: tuple[Manifest, Path]) -> None:
    manifest, path = build
    assert check_files(manifest, path.parent) == []


@settings(max_examples=20, deadline=None)
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_any_changed_byte_is_seen(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    folder = tmp_path_factory.mktemp("build")
    path = folder / ARTIFACT.file
    path.write_bytes(CONTENT)
    record = dataclasses.replace(ARTIFACT, sha256=sha256_of(path))
    damaged = bytearray(CONTENT)
    damaged[position] ^= change
    path.write_bytes(damaged)
    assert check_files(dataclasses.replace(MANIFEST, artifacts=(record,)), folder) == [
        "igf-fake-w8.fake does not have the sha256 of the manifest; it was changed or damaged"
    ]


@pytest.mark.parametrize("length", [0, 1, len(CONTENT) - 1])
def test_truncated_file(build: tuple[Manifest, Path], length: int) -> None:
    manifest, path = build
    path.write_bytes(CONTENT[:length])
    assert check_files(manifest, path.parent) == [
        f"igf-fake-w8.fake has {length} bytes, the manifest says {len(CONTENT)}"
    ]


def test_absent_file(build: tuple[Manifest, Path]) -> None:
    manifest, path = build
    path.unlink()
    assert check_files(manifest, path.parent) == [
        f"igf-fake-w8.fake is in the manifest but not in {path.parent}"
    ]
