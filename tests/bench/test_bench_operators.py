"""Cut graphs, smoothed times, groups."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from igf_mobile.bench import operators
from igf_mobile.bench.operators import Operator, Profile, monotone
from igf_mobile.errors import IgfError, NotPossible


def test_what_rises_stays_and_what_falls_is_pooled() -> None:
    assert monotone([1.0, 2.0, 3.0]) == [1.0, 2.0, 3.0]
    assert monotone([1.0, 3.0, 2.0, 4.0]) == [1.0, 2.5, 2.5, 4.0]
    assert monotone([5.0, 4.0, 3.0]) == [4.0, 4.0, 4.0]
    random = np.random.default_rng(0).random(50).cumsum() + np.random.default_rng(1).normal(0, 1, 50)
    smooth = monotone(list(random))
    assert (np.diff(smooth) >= 0).all() and sum(smooth) == pytest.approx(random.sum())


def test_a_cut_that_does_not_run_is_part_of_the_next() -> None:
    never = float("inf")
    assert operators._filled([never, 2.0, never, never, 5.0]) == [2.0, 2.0, 5.0, 5.0, 5.0]
    with pytest.raises(IgfError, match="the whole graph does not run"):
        operators._filled([1.0, never])


def test_groups_are_by_kind_and_shape_the_costliest_first() -> None:
    profile = Profile(
        "litert-fp32",
        1,
        "how",
        6.0,
        (
            Operator("CONV_2D", "a", 1.0),
            Operator("MUL", "a", 3.0),
            Operator("CONV_2D", "b", 1.0),
            Operator("CONV_2D", "a", 1.0),
        ),
    )
    assert [(g.kind, g.output, g.count, g.ms) for g in profile.groups()] == [
        ("MUL", "a", 1, 3.0),
        ("CONV_2D", "a", 2, 2.0),
        ("CONV_2D", "b", 1, 1.0),
    ]


def add_and_multiply() -> bytes:
    """A .tflite of two operators: s = a + b, then p = s * a; both are outputs of nobody else."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    import flatbuffers

    def tensor(name: str) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, 4], schema.TensorType.FLOAT32, 0
        return made

    def operator(code: int, inputs: list[int], output: int) -> object:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        return made

    def code(number: int) -> object:
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = number
        made.version = 1
        return made

    graph = schema.SubGraphT()
    graph.tensors = [tensor(name) for name in ("a", "b", "s", "p")]
    graph.inputs, graph.outputs = [0, 1], [3]
    graph.operators = [operator(0, [0, 1], 2), operator(1, [2, 0], 3)]
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes = [code(schema.BuiltinOperator.ADD), code(schema.BuiltinOperator.MUL)]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_cut_computes_what_the_graph_had_computed_there(tmp_path: Path) -> None:
    whole = add_and_multiply()
    from ai_edge_litert.interpreter import Interpreter

    assert operators.operators_of(whole) == [("ADD", "1x4"), ("MUL", "1x4")]
    feed = {name: np.array([[1, 2, 3, 4]], np.float32) * factor for name, factor in (("a", 1), ("b", 10))}
    for count, wanted in ((1, feed["a"] + feed["b"]), (2, (feed["a"] + feed["b"]) * feed["a"])):
        interpreter = Interpreter(model_content=operators.cut(whole, count))
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], feed[details["name"]])
        interpreter.invoke()
        (output,) = interpreter.get_output_details()
        np.testing.assert_array_equal(interpreter.get_tensor(output["index"]), wanted)

    path = tmp_path / "two.tflite"
    path.write_bytes(whole)
    profile = operators.litert_profile(path, "litert-fp32", 1, 2, feed)
    assert [operator.kind for operator in profile.operators] == ["ADD", "MUL"]
    assert sum(operator.ms for operator in profile.operators) == pytest.approx(profile.total_ms)
    assert all(operator.ms >= 0 for operator in profile.operators) and profile.total_ms > 0


def test_a_runtime_without_a_profile_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(code: int, error: str) -> None:
        answer = SimpleNamespace(returncode=code, stdout="", stderr=error)
        monkeypatch.setattr(subprocess, "run", lambda *a, **k: answer)

    ended(3, "warning\ncoreml has no operator profile here")
    with pytest.raises(NotPossible, match="coreml has no operator profile"):
        operators.profile_apart(Path("build"), "coreml-fp32", 1, 1)
    ended(1, "Traceback\nDamagedFile: there is no build")
    with pytest.raises(IgfError, match="profiling litert-fp32 broke: DamagedFile"):
        operators.profile_apart(Path("build"), "litert-fp32", 1, 1)


def event(name: str, delegated: bool = False, ms: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(name=name, is_delegated_op=delegated, perf_data=SimpleNamespace(p50=ms))


def test_a_delegate_is_one_operator_unless_it_tells_its_own() -> None:
    events = [
        event("Method::execute"),
        event("DELEGATE_CALL"),
        event("native_call_cat.out"),
        event("Program::load_method"),
    ]
    assert [o.kind for o in operators._traced(events)] == ["DELEGATE_CALL", "native_call_cat.out"]
    events.append(event("Convolution (NHWC, F32) #12", delegated=True))
    assert [o.kind for o in operators._traced(events)] == ["native_call_cat.out", "Convolution (NHWC, F32)"]
