"""Where an artifact's time goes, operator by operator.

    python -m igf_mobile.bench.operators BUILD BACKEND-SCHEME THREADS PASSES     (one line of JSON)

LiteRT's Python package has no profiler, so the graph is cut after each operator and every cut is timed: the difference
of two neighbours is an operator's time. A cut writes out what nobody has read yet, and fuses nothing past its end, so
single values are rough and their sum is exact. ExecuTorch's package traces its events.
"""

import dataclasses
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from igf_mobile.contents.tflite import builtin, model_of
from igf_mobile.errors import IgfError, NotPossible

_NUMBER = re.compile(r" #[0-9]+$")
"""XNNPACK counts the operators of a kind."""
_CALLS = 7
"""Per cut and pass; the fastest counts."""


@dataclass(frozen=True)
class Operator:
    """One operator of a graph, in the order it runs."""

    kind: str
    output: str
    """Shape of its first output, as 1x128x128x16; empty where the runtime does not tell."""
    ms: float


@dataclass(frozen=True)
class Group:
    """Operators of one kind with one output shape."""

    kind: str
    output: str
    count: int
    ms: float


@dataclass(frozen=True)
class Profile:
    """An artifact's operators."""

    artifact: str
    threads: int
    how: str
    total_ms: float
    """Of the whole graph."""
    operators: tuple[Operator, ...]

    def groups(self) -> list[Group]:
        """By kind and output shape, the costliest first."""
        found: dict[tuple[str, str], list[float]] = {}
        for operator in self.operators:
            found.setdefault((operator.kind, operator.output), []).append(operator.ms)
        groups = [Group(kind, output, len(times), sum(times)) for (kind, output), times in found.items()]
        return sorted(groups, key=lambda group: -group.ms)


def profile_apart(build: Path, artifact: str, threads: int, passes: int) -> Profile:
    """Profile in a process of its own.

    Raises:
        NotPossible: the artifact's runtime has no such measurement here.
        IgfError: the profile broke; its last line is the reason.
    """
    from igf_mobile.bench.process import child_environment

    command = [sys.executable, "-m", __name__, str(build), artifact, str(threads), str(passes)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=child_environment(threads)
    )
    if result.returncode == 3:
        raise NotPossible(result.stderr.strip().splitlines()[-1])
    if result.returncode:
        raise IgfError(f"profiling {artifact} broke: {(result.stderr.strip().splitlines() or ['?'])[-1]}")
    found = json.loads(result.stdout.splitlines()[-1])
    return Profile(**{**found, "operators": tuple(Operator(**each) for each in found["operators"])})


def monotone(values: Sequence[float]) -> list[float]:
    """The nearest series (least squares) that never falls: neighbours that do are pooled to their mean.

    A longer graph cannot be faster; where noise says so, its operators share what their neighbours took.
    """
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (right, many), (left, few) = pools.pop(), pools.pop()
            pools.append(((left * few + right * many) / (few + many), few + many))
    return [mean for mean, count in pools for _ in range(count)]


def cut(content: bytes, count: int) -> bytes:
    """The .tflite of the first `count` operators; what they write and none of them reads is its output."""
    import flatbuffers

    tree = model_of(content)
    graph = tree.subgraphs[0]
    graph.operators = graph.operators[:count]
    read = {index for operator in graph.operators for index in operator.inputs}
    graph.outputs = [i for operator in graph.operators for i in operator.outputs if i not in read]
    tree.signatureDefs = []
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operators_of(content: bytes) -> list[tuple[str, str]]:
    """(kind, output shape) of each operator of a .tflite."""
    from ai_edge_litert import schema_py_generated as schema

    tree = model_of(content)
    graph = tree.subgraphs[0]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    found = []
    for operator in graph.operators:
        shape = graph.tensors[operator.outputs[0]].shape
        kind = names[builtin(tree, operator)]
        found.append((kind, "x".join(str(side) for side in shape)))
    return found


def litert_profile(path: Path, artifact: str, threads: int, passes: int, feed: dict[str, Any]) -> Profile:
    """Time every cut `passes` times, the cuts in turn, and take each one's fastest call."""
    content = path.read_bytes()
    kinds = operators_of(content)
    cuts = [cut(content, count) for count in range(1, len(kinds) + 1)]
    fastest = [float("inf")] * len(kinds)
    for _ in range(passes):
        for index, part in enumerate(cuts):
            fastest[index] = min(fastest[index], _fastest_call(part, threads, feed))
    ends = monotone(_filled(fastest))
    times = [after - before for before, after in pairwise([0.0, *ends])]
    return Profile(
        artifact=artifact,
        threads=threads,
        how=f"LiteRT, graph cut after each operator, fastest of {passes} x {_CALLS} calls",
        total_ms=ends[-1],
        operators=tuple(Operator(kind, shape, ms) for (kind, shape), ms in zip(kinds, times, strict=True)),
    )


def _filled(values: Sequence[float]) -> list[float]:
    """Infinite ones as the next that is not: that operator's time is then in the one after it.

    Raises:
        IgfError: the last one is infinite.
    """
    if not math.isfinite(values[-1]):
        raise IgfError("the whole graph does not run")
    filled = list(values)
    for index in reversed(range(len(filled) - 1)):
        if not math.isfinite(filled[index]):
            filled[index] = filled[index + 1]
    return filled


def _fastest_call(content: bytes, threads: int, feed: dict[str, Any]) -> float:
    """Milliseconds; infinite where XNNPACK refuses the cut, as it does some that end inside of int8."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], feed[details["name"]])
        interpreter.invoke()
    except RuntimeError:
        return float("inf")
    fastest = float("inf")
    for _ in range(_CALLS):
        start = time.perf_counter()
        interpreter.invoke()
        fastest = min(fastest, (time.perf_counter() - start) * 1e3)
    return fastest


def executorch_profile(
    path: Path, artifact: str, threads: int, passes: int, inputs: Sequence[Any]
) -> Profile:
    """What the runtime's event tracer saw of `passes * _CALLS` calls; medians.

    Raises:
        NotPossible: the package was built without tracing.
    """
    import torch
    from executorch.devtools import Inspector
    from executorch.extension.pybindings.portable_lib import _load_for_executorch, _unsafe_reset_threadpool

    _unsafe_reset_threadpool(threads)
    module = _load_for_executorch(str(path), enable_etdump=True)
    if not module.has_etdump():
        raise NotPossible("this ExecuTorch package was built without event tracing")
    tensors = [torch.from_numpy(values) for values in inputs]
    for _ in range(passes * _CALLS):
        module.run_method("forward", tensors)
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "trace.etdp"
        module.write_etdump_result_to_file(str(trace))
        events = [event for block in Inspector(etdump_path=str(trace)).event_blocks for event in block.events]
    return Profile(
        artifact=artifact,
        threads=threads,
        how=f"ExecuTorch's event trace, median of {passes * _CALLS} calls",
        total_ms=next(event.perf_data.p50 for event in events if event.name == "Method::execute"),
        operators=tuple(_traced(events)),
    )


def _traced(events: Sequence[Any]) -> Iterator[Operator]:
    """Operators inside delegates where these report them, otherwise each delegate as a whole."""
    inside = [event for event in events if event.is_delegated_op]
    outer = ("DELEGATE_CALL", "OPERATOR_CALL") if not inside else ("OPERATOR_CALL",)
    for event in events:
        if event.perf_data is None:
            continue
        if event.is_delegated_op or event.name in outer or event.name.startswith("native_call"):
            yield Operator(_NUMBER.sub("", event.name), "", float(event.perf_data.p50))


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    from igf_mobile.backends.base import INPUTS
    from igf_mobile.bench.calls import artifact_inputs

    build, artifact, threads, passes = Path(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])
    path, inputs = artifact_inputs(build, artifact)
    profilers: dict[str, Callable[[], Profile]] = {
        "litert": lambda: litert_profile(path, artifact, threads, passes, inputs),
        "executorch": lambda: executorch_profile(
            path, artifact, threads, passes, [inputs[name] for name in INPUTS]
        ),
    }
    backend = artifact.partition("-")[0]
    try:
        if backend not in profilers:
            raise NotPossible(f"{backend} has no operator profile here; {' and '.join(profilers)} have")
        print(json.dumps(dataclasses.asdict(profilers[backend]())))
    except NotPossible as reason:
        print(reason, file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
