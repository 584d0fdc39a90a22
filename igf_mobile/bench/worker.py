"""The process of one side: a line of JSON in, a line of JSON out.

    python -m igf_mobile.bench.worker LOG

Whatever the runtimes print goes to LOG. The first line is a `Spec`; then {"do": "load"}, {"do": "time", "calls": N},
{"do": "peak", "calls": N}, ...: a method of `Server` and its arguments.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from igf_mobile.backends.base import INPUTS, FloatArray
from igf_mobile.bench import golden
from igf_mobile.bench.calls import Call, Prepared, artifact_record, as_stored, photograph, prepare
from igf_mobile.bench.memory import peak_memory
from igf_mobile.bench.sides import Spec
from igf_mobile.errors import IgfError, NotPossible
from igf_mobile.latency import time_calls

_REPEATED = 1e-3
"""Threads may add up in another order; inputs that were overwritten show far more."""


class Server:
    """One side: prepared, loaded, called."""

    def __init__(
        self,
        spec: Spec,
        prepare_side: Callable[[Spec], Prepared] = prepare,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Imports what the side needs. Raises as `calls.prepare`."""
        self._spec, self._clock = spec, clock
        self._prepared = prepare_side(spec)
        self._call: Call | None = None

    def load(self) -> dict[str, Any]:
        """Load and call once; refuses outputs that are not finite, are constant or differ from call to call."""
        start = self._clock()
        call = self._prepared.load()
        load_ms = (self._clock() - start) * 1e3
        (first_ms,) = time_calls(call, 1, self._clock)
        outputs, again = ([np.array(values) for values in call()] for _ in range(2))
        for values, repeated in zip(outputs, again, strict=True):
            if not np.isfinite(values).all():
                raise IgfError("its output has NaN or infinite values")
            if not np.allclose(values, repeated, atol=_REPEATED):
                raise IgfError("the same inputs give other outputs the second time")
        if np.ptp(outputs[0]) == 0:
            raise IgfError("its output is constant")
        self._call = call
        prepared = self._prepared
        return {
            "ran_on": prepared.ran_on,
            "pixels": prepared.pixels,
            "load_ms": load_ms,
            "first_ms": first_ms,
        }

    def time(self, calls: int) -> list[float]:
        """Milliseconds of each of `calls` calls, after one that is not counted: another side had the caches."""
        call = self._loaded()
        call()
        return time_calls(call, calls, self._clock)

    def sustain(self, seconds: float) -> dict[str, Any]:
        """Calls back to back until `seconds` have passed."""
        call, samples = self._loaded(), []
        start = self._clock()
        while self._clock() - start < seconds:
            samples += time_calls(call, 1, self._clock)
        return {"duration_s": self._clock() - start, "samples_ms": samples}

    def frames(self, pixels: Any, size: Sequence[int], count: int) -> Any:
        """Whole frames; see `frame.time_frames`."""
        from igf_mobile.bench.frame import time_frames

        record, network = artifact_record(Path(self._spec.build), self._spec.what)
        tensor = next(tensor for tensor in record.inputs if tensor.name == INPUTS[0])
        picture = photograph(network).guidance
        frame = (size[0], size[1])

        def store(small: FloatArray) -> object:
            return as_stored(small.transpose(2, 0, 1)[None], tensor)

        return time_frames(self._loaded(), picture, store, pixels, frame, count, self._clock)

    def parity(self) -> dict[str, Any] | None:
        """The alpha of the sample that is in place, against the golden one."""
        build = Path(self._spec.build)
        record, _ = artifact_record(build, self._spec.what)
        names = [tensor.name for tensor in record.outputs]
        outputs = dict(zip(names, self._loaded()(), strict=True))
        found = golden.check(outputs, build, record.backend, record.scheme)
        return dataclasses.asdict(found) if found else None

    def peak(self, calls: int) -> dict[str, int]:
        """Peak memory from before loading to after `calls` calls."""
        return dataclasses.asdict(peak_memory(self._prepared.load, calls))

    def _loaded(self) -> Call:
        if self._call is None:
            raise ValueError("the side is not loaded")
        return self._call

    def handle(self, request: dict[str, Any]) -> Any:
        """Do what a request asks for."""
        arguments = {name: value for name, value in request.items() if name != "do"}
        return getattr(self, request["do"])(**arguments)


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer until the requests end. A refusal is an answer: {"error": text, "unavailable": bool}."""
    server: Server | None = None
    for line in requests:
        try:
            request = json.loads(line)
            if server is None:
                server = Server(Spec.from_json(request))
                answer: Any = {"ready": True}
            else:
                answer = server.handle(request)
        except NotPossible as reason:
            answer = {"error": str(reason), "unavailable": True}
        except Exception as error:  # the controller says what broke; a traceback would end in the log
            answer = {"error": f"{type(error).__name__}: {error}", "unavailable": False}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Keep standard output for answers and send what vendors print there to the log."""
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
