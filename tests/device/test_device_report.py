"""The classes take what the schema takes, and each way a report can be broken is one line that names it."""

import copy
import dataclasses
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import igf_mobile
from igf_mobile.device.fixture import fixture_report
from igf_mobile.device.reader import load_report
from igf_mobile.device.report import (
    App,
    ArtifactId,
    Build,
    Conditions,
    Device,
    DeviceParity,
    DeviceReport,
    Run,
    Stage,
    Stages,
    Summary,
    Sustained,
    ThermalSample,
    ThermalState,
    summarise,
)
from igf_mobile.errors import DamagedFile
from igf_mobile.latency import percentile

SCHEMA = json.loads((Path(igf_mobile.__file__).parent / "latency_report.schema.json").read_text())
SHARED = Path(__file__).parents[2] / "shared_vectors"
CLASSES = {
    "App": App,
    "Build": Build,
    "Device": Device,
    "Run": Run,
    "Artifact": ArtifactId,
    "Conditions": Conditions,
    "Summary": Summary,
    "Sustained": Sustained,
    "ThermalSample": ThermalSample,
    "Parity": DeviceParity,
}
VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    "../x",
    "X" * 3000,
    -1,
    -0.5,
    0,
    7,
    10_000_000,
    [],
    [1.0],
    [-1.0],
    {},
)


@pytest.fixture
def data() -> dict[str, Any]:
    return typing.cast(dict[str, Any], json.loads((SHARED / "latency_report.json").read_text()))


def save(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "report.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document; of a long array only the ends."""
    yield at
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*at, key))
    if isinstance(value, list):
        for index in {0, len(value) - 1} if value and not isinstance(value[0], dict) else range(len(value)):
            yield from paths(value[index], (*at, index))


def holder(data: Any, at: tuple[Any, ...]) -> Any:
    for part in at[:-1]:
        data = data[part]
    return data


def mutants(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each place with another value, without it, with something more."""
    for at in paths(data):
        for value in VALUES if at else ():
            mutant = copy.deepcopy(data)
            holder(mutant, at)[at[-1]] = value
            yield f"{at} = {value!r:.20}", mutant
        if at and isinstance(holder(data, at), dict):
            mutant = copy.deepcopy(data)
            del holder(mutant, at)[at[-1]]
            yield f"{at} absent", mutant
            mutant = copy.deepcopy(data)
            holder(mutant, at)["extra"] = 1
            yield f"{at[:-1]}.extra", mutant


def short(data: dict[str, Any]) -> dict[str, Any]:
    """A valid and a broken-off run; no stage but inference, a short sustained run."""
    data["runs"] = [data["runs"][index] for index in (0, 4)]
    for run in data["runs"]:
        run["stages"] = {"inference": run["stages"]["inference"][:50]}
        run["summary"] = {key: value for key, value in run["summary"].items() if key == "inference"}
    sustained = data["runs"][0]["sustained"]
    sustained["thermal"], sustained["samples_ms"] = sustained["thermal"][:1], sustained["samples_ms"][:2]
    return data


def test_the_shared_fixture_is_what_the_program_writes() -> None:
    assert load_report(SHARED / "latency_report.json") == fixture_report()


def test_reports_older_than_coefficients_only_have_alpha(data: dict[str, Any], tmp_path: Path) -> None:
    assert data["build"].pop("coefficients_only") is False
    assert load_report(save(tmp_path, data)) == fixture_report()
    data["build"]["coefficients_only"] = True
    assert load_report(save(tmp_path, data)).build.coefficients_only


def test_the_fixture_s_summaries_by_the_shared_percentile() -> None:
    summaries = 0
    for run in json.loads((SHARED / "latency_report.json").read_text())["runs"]:
        for stage, summary in run["summary"].items():
            samples = run["stages"][stage]
            assert summary["iterations"] == len(samples) and summary["minimum_ms"] == min(samples)
            for field, percent in (("median_ms", 50), ("p90_ms", 90), ("p95_ms", 95), ("p99_ms", 99)):
                assert summary[field] == percentile(samples, percent)
            summaries += 1
    assert summaries == 16


def test_schema_is_a_schema_and_closed_everywhere() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def objects(node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            if node.get("type") == "object" and "properties" in node and node.get("properties") != {}:
                yield node
            for key, value in node.items():
                if key not in ("if", "then", "else"):
                    yield from objects(value)

    found = list(objects(SCHEMA))
    assert len(found) == len(CLASSES) + 3  # the report, stages and summary
    assert all(node["additionalProperties"] is False for node in found)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_fields_of_the_schema(name: str) -> None:
    fields = dataclasses.fields(CLASSES[name])
    assert [field.name for field in fields] == list(SCHEMA["$defs"][name]["properties"])
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    assert required == SCHEMA["$defs"][name]["required"]


def test_report_and_stages_have_the_fields_of_the_schema() -> None:
    assert [field.name for field in dataclasses.fields(DeviceReport)] == list(SCHEMA["properties"])
    stages = SCHEMA["$defs"]["Run"]["properties"]["stages"]["properties"]
    assert [field.name for field in dataclasses.fields(Stages)] == list(stages)
    assert typing.get_args(Stage) == tuple(stages)
    assert list(SCHEMA["$defs"]["Run"]["properties"]["summary"]["properties"]) == list(stages)
    assert list(typing.get_args(ThermalState)) == SCHEMA["$defs"]["ThermalState"]["enum"]


def test_schema_and_classes_refuse_the_same_documents(data: dict[str, Any], tmp_path: Path) -> None:
    """More than a thousand damaged reports; both sides must say the same of each."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    outcomes = {True: 0, False: 0}
    for what, mutant in mutants(short(data)):
        wanted = validator.is_valid(mutant)
        try:
            load_report(save(tmp_path, mutant))
            found = True
        except DamagedFile as error:
            assert "\n" not in str(error)
            found = False
        assert found == wanted, what
        outcomes[wanted] += 1
    assert outcomes[True] > 100 and outcomes[False] > 1000, outcomes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "has schema version 2; this program reads 1"),
        ({"schema_version": True}, "has schema version True"),
        ({"schema_version": None}, "has schema version None"),
        ({"kind": "phone"}, "kind is 'phone': input should be 'device' or 'fixture'"),
        ({"created_at": "2026-11-22 22:00"}, "created_at is '2026-11-22 22:00', not a time like"),
        ({"runs": []}, r"runs is \[\]"),
        ({"colour": 1}, "colour is not a field of the schema"),
    ],
)
def test_a_broken_report_is_named(data: Any, tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(DamagedFile, match=message):
        load_report(save(tmp_path, data | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": "2"}, r"runs\[0\]\.threads is '2'"),
        ({"load_ms": -3.0}, r"runs\[0\]\.load_ms is -3\.0: negative, so the clock ran backwards"),
        ({"stages": {"inference": [1.0, -2.5]}}, r"stages\.inference\[1\] is -2\.5: negative, so the clock"),
        ({"stages": {"inference": [1.0, True]}}, r"stages\.inference\[1\] is True"),
        ({"stages": {"inference": [1.0], "idle": []}}, r"stages\.idle is not a field"),
        ({"valid": False}, r"runs\[0\] \(litert-fp32 on cpu, 2 threads\) is not valid and gives no reason"),
        ({"error": "it fell"}, "says it is valid, but it broke off: it fell"),
        ({"duration_s": 59.9}, r"says it is valid, but it ran 59\.9 s, less than 60"),
        ({"first_ms": None}, "it has no load or first time"),
        ({"parity": None}, "its parity was not checked"),
        ({"identical_to_cpu": True}, "its output is bit-identical to the CPU's"),
        ({"invalid_reasons": ["why not"]}, "it gives the reason 'why not'"),
    ],
)
def test_a_broken_run_is_named(data: Any, tmp_path: Path, change: Any, message: str) -> None:
    data["runs"][0] |= change
    with pytest.raises(DamagedFile, match=message):
        load_report(save(tmp_path, data))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(tmp_path: Path, literal: str) -> None:
    text = (SHARED / "latency_report.json").read_text().replace('"load_ms": 54.0', f'"load_ms": {literal}')
    assert literal in text
    with pytest.raises(DamagedFile, match=r"load_ms is -?(nan|inf): not a finite number"):
        load_report(save(tmp_path, text))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_is_cut_off(tmp_path: Path, share: float) -> None:
    text = (SHARED / "latency_report.json").read_text()
    with pytest.raises(DamagedFile, match=r"not readable JSON: EOF .*it is cut off"):
        load_report(save(tmp_path, text[: int(share * len(text))]))


@pytest.mark.parametrize("text", ["[1]", "null", "7", "[" * 100_000, '{"a": 1} 2', "\x00", "{'a': 1}"])
def test_other_json_and_no_json(tmp_path: Path, text: str) -> None:
    with pytest.raises(DamagedFile, match=r"schema version None|not readable JSON"):
        load_report(save(tmp_path, text))


def test_a_file_of_100_megabytes_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(DamagedFile, match=r"has 100 MB; a report has at most 64"):
        load_report(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="there is no"):
        load_report(tmp_path / "report.json")
    with pytest.raises(DamagedFile, match="cannot read"):
        load_report(tmp_path)


def test_summarise_by_hand() -> None:
    found = summarise([float(value) for value in range(100, 0, -1)])
    assert dataclasses.astuple(found) == (50.0, 90.0, 95.0, 99.0, 1.0, 100)
