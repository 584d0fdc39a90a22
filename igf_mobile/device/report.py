"""`latency_report.json`: what one device measured, as `latency_report.schema.json` says.

The classes here and `reader.load_report` take exactly what the schema takes; `tests/device/test_device_report.py` holds
the two to each other. Whether the numbers can be true is the business of `checks`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Len, Predicate

from igf_mobile.latency import percentile

SCHEMA_VERSION = 1

ThermalState = Literal["nominal", "light", "moderate", "severe", "critical", "unknown"]
Stage = Literal["inference", "convert", "apply", "composite"]


def is_utc(text: str) -> bool:
    """2026-11-22T22:00:00Z."""
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text) is not None


def is_sha256(text: str) -> bool:
    """64 hexadecimal digits, lower case."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def is_file_name(text: str) -> bool:
    """A name, no path."""
    return re.fullmatch(r"[^/\\]+", text) is not None and len(text) <= 255


def is_word(text: str) -> bool:
    """A backend's or a scheme's name: lower case."""
    return re.fullmatch(r"[a-z][a-z0-9_]*", text) is not None and len(text) <= 64


_Text = Annotated[str, Len(1, 2000)]
_Utc = Annotated[str, Predicate(is_utc)]
_Sha256 = Annotated[str, Predicate(is_sha256)]
_Word = Annotated[str, Predicate(is_word)]
_Ms = Annotated[float, Ge(0)]
_Share = Annotated[float, Ge(0), Le(1)]
_Samples = Annotated[tuple[_Ms, ...], Len(0, 4_000_000)]
_Count = Annotated[int, Ge(1), Le(1024)]


class _Strict:
    """Nothing is converted ("3" is no number), no field is ignored, NaN is no number."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
    }


@dataclass(frozen=True)
class App(_Strict):
    """What wrote the report."""

    name: _Text
    version: _Text
    platform: Literal["android", "ios", "desktop"]


@dataclass(frozen=True)
class Build(_Strict):
    """The build that the artifacts come from."""

    name: _Text
    version: _Text
    manifest_sha256: _Sha256
    coefficients_only: bool = False
    """Its artifacts end at the coefficients: inference leaves alpha out."""


@dataclass(frozen=True)
class Device(_Strict):
    """What it ran on."""

    manufacturer: _Text
    model: _Text
    os: _Text
    os_version: _Text
    os_build: _Text | None
    cores: _Count | None
    memory_bytes: Annotated[int, Ge(1)] | None


@dataclass(frozen=True)
class ArtifactId(_Strict):
    """An artifact as the manifest has it."""

    file: Annotated[str, Predicate(is_file_name)]
    sha256: _Sha256
    backend: _Word
    scheme: _Word
    bytes: Annotated[int, Ge(1)]


@dataclass(frozen=True)
class Conditions(_Strict):
    """Power and heat around a run."""

    power: Literal["battery", "charging", "unknown"]
    battery_level: _Share | None
    low_power_mode: bool | None
    thermal_start: ThermalState
    thermal_end: ThermalState


@dataclass(frozen=True)
class Stages(_Strict):
    """Raw samples in ms, in the order measured; empty: not measured."""

    inference: _Samples
    convert: _Samples = ()
    apply: _Samples = ()
    composite: _Samples = ()


@dataclass(frozen=True)
class Summary(_Strict):
    """Nearest-rank percentiles of one stage, in ms."""

    median_ms: _Ms
    p90_ms: _Ms
    p95_ms: _Ms
    p99_ms: _Ms
    minimum_ms: _Ms
    iterations: Annotated[int, Ge(1)]


@dataclass(frozen=True)
class ThermalSample(_Strict):
    """The device's heat at one moment of a sustained run."""

    at_s: Annotated[float, Ge(0)]
    state: ThermalState
    headroom: Annotated[float, Ge(0), Le(10)] | None
    battery_celsius: Annotated[float, Ge(-40), Le(150)] | None = None


@dataclass(frozen=True)
class Sustained(_Strict):
    """Inference back to back for minutes."""

    duration_s: Annotated[float, Ge(0)]
    samples_ms: Annotated[tuple[_Ms, ...], Len(1, 4_000_000)]
    share_within_16_7_ms: _Share
    share_within_33_3_ms: _Share
    thermal: Annotated[tuple[ThermalSample, ...], Len(0, 100_000)]


@dataclass(frozen=True)
class DeviceParity(_Strict):
    """Alpha on the device against the golden alpha of a case."""

    case: _Text
    alpha_max_abs: Annotated[float, Ge(0)] | None
    alpha_mean_abs: Annotated[float, Ge(0)] | None
    limit_max_abs: Annotated[float, Ge(0)]
    limit_mean_abs: Annotated[float, Ge(0)]
    finite: bool
    constant: bool
    passed: bool


@dataclass(frozen=True)
class Run(_Strict):
    """One artifact on one compute unit."""

    artifact: ArtifactId
    compute_unit_requested: Literal["cpu", "gpu", "npu", "all"]
    compute_unit_used: Literal["cpu", "gpu", "npu", "all", "mixed", "unknown"]
    compute_unit_evidence: _Text
    threads: _Count | None
    conditions: Conditions
    load_ms: _Ms | None
    first_ms: _Ms | None
    warm_up: Annotated[int, Ge(0)]
    duration_s: Annotated[float, Ge(0)] | None
    stages: Stages
    summary: dict[Stage, Summary]
    sustained: Sustained | None
    parity: DeviceParity | None
    identical_to_cpu: bool | None
    valid: bool
    invalid_reasons: Annotated[tuple[_Text, ...], Len(0, 20)]
    error: _Text | None

    @property
    def name(self) -> str:
        """`litert-w8 on gpu`, with the threads where they are set."""
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        return f"{self.artifact.backend}-{self.artifact.scheme} on {self.compute_unit_requested}{threads}"


@dataclass(frozen=True)
class DeviceReport(_Strict):
    """What one device measured of one build's artifacts."""

    schema_version: Literal[1]
    kind: Literal["device", "fixture"]
    created_at: _Utc
    app: App
    build: Build
    device: Device
    runs: Annotated[tuple[Run, ...], Len(1, 1000)]


def summarise(samples: Sequence[float]) -> Summary:
    """The summary of a stage's samples in ms.

    Raises:
        ValueError: no samples, or a NaN.
    """
    median, p90, p95, p99 = (percentile(samples, percent) for percent in (50, 90, 95, 99))
    return Summary(median, p90, p95, p99, min(samples), len(samples))
