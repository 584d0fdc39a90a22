"""What a program of ExecuTorch does around its one delegate: less of it.

ExecuTorch hands the numbers of arithmetic to XNNPACK as inputs, a tensor of the program and one of the graph for each
time that one is used; here equal ones are one. They cannot be constants of the graph: XNNPACK packs weights, but reads
the operands of arithmetic where they lie, and ExecuTorch has freed the graph by then (1.5.1: NaN and worse).

It casts to float16 and back with portable kernels, an element at a time and into tensors of its own; XNNPACK converts
as well, and the frame takes half of its time (igf-512 on one core: 5.8 ms for 10.4).
"""

from typing import Any

from igf_mobile.contents import pte
from igf_mobile.xnnpack_graph.nodes import NOT_THERE

_TYPES = {"FLOAT": "xnn_datatype_fp32", "HALF": "xnn_datatype_fp16"}
_BYTES = {"FLOAT": 4, "HALF": 2, "INT": 4, "LONG": 8, "BOOL": 1, "BYTE": 1, "CHAR": 1}
_CAST = "dim_order_ops::_to_dim_order_copy"
_ALIGNMENT = 16
_INPUT, _OUTPUT = 1, 2
"""Flags of XNNPACK's values."""


def only_call(program: Any) -> Any:
    """The call of the one delegate of the program's first method; None where there are more, or jumps."""
    from executorch.exir.schema import DelegateCall, KernelCall

    plan = program.execution_plan[0]
    steps = [step.instr_args for chain in plan.chains for step in chain.instructions]
    calls = [step for step in steps if isinstance(step, DelegateCall)]
    simple = all(isinstance(step, DelegateCall | KernelCall) for step in steps)
    return calls[0] if simple and len(calls) == len(plan.delegates) == len(plan.chains) == 1 else None


def share_constants(program: Any, call: Any, graph: dict[str, Any]) -> None:
    """Let a call take each constant of the program once, and the called graph have one input for it; all in place."""
    values, outside = program.execution_plan[0].values, _externals(graph)
    kept: list[tuple[int, dict[str, Any]]] = []
    known: dict[Any, int] = {}
    stands_for: dict[int, int] = {}
    for place, index in enumerate(call.args):
        tensor = outside[place]
        if tensor["flags"] == _INPUT and _is_constant(values[index].val):
            # Shapes too: the graph has one number as [1] where the program has it as [].
            key = repr((values[index], {**tensor, "id_out": 0, "external_id": 0}))
            first = known.setdefault(key, tensor["id_out"])
            if first != tensor["id_out"]:
                stands_for[tensor["id_out"]] = first
                continue
        kept.append((index, tensor))
    call.args = [index for index, _ in kept]
    for place, (_, tensor) in enumerate(kept):
        tensor["external_id"] = place
    graph["num_externs"] = len(kept)
    graph["input_ids"] = [index for index in graph["input_ids"] if index not in stands_for]
    graph["xvalues"] = [value for value in graph["xvalues"] if _number(value) not in stands_for]
    pte.rename(graph, stands_for)


def take_casts(program: Any, call: Any, graph: dict[str, Any]) -> None:
    """Casts between float32 and float16 before and after a call become nodes of the called graph; all in place.

    All of them, where the program has no other kernel, or none: then every tensor lives as long as the call, and is
    given memory of its own. Otherwise what is read or written now might share it with something.
    """
    plan = program.execution_plan[0]
    (chain,) = plan.chains
    used = [*plan.inputs, *plan.outputs]
    for step in chain.instructions:
        used += dict.fromkeys(step.instr_args.args)  # an output of a kernel is named twice
    used += [index for value in plan.values for index in _items(value.val)]
    taken: dict[int, int] = {}
    for cast in (step.instr_args for step in chain.instructions if step.instr_args is not call):
        source, result = cast.args[0], cast.args[-1]
        inner, outer = (result, source) if result in call.args else (source, result)
        if plan.operators[cast.op_index].name != _CAST or not _is_plain(plan, source, result):
            return
        if call.args.count(inner) != 1 or used.count(inner) != 2:
            return
        taken[call.args.index(inner)] = outer
    if not taken:
        return
    for place, outer in taken.items():
        call.args[place] = outer
        _convert(graph, place, _TYPES[plan.values[outer].val.scalar_type.name])
    chain.instructions = [step for step in chain.instructions if step.instr_args is call]
    _lay_out(plan, {*call.args, *plan.inputs, *plan.outputs})


def drop_unused(program: Any) -> None:
    """Take out values, operators and constants that no step of the first method needs, in place.

    Args:
        program: with an `only_call`.

    Raises:
        ValueError: the constants are of several methods.
    """
    plan = program.execution_plan[0]
    steps = [step.instr_args for chain in plan.chains for step in chain.instructions]
    needed = {*plan.inputs, *plan.outputs, *(index for step in steps for index in step.args)}
    needed |= {item for index in needed for item in _items(plan.values[index].val)}
    order = {old: new for new, old in enumerate(sorted(needed))}
    for step in steps:
        step.args = [order[index] for index in step.args]
    plan.inputs, plan.outputs = ([order[i] for i in indices] for indices in (plan.inputs, plan.outputs))
    plan.values = [plan.values[index] for index in order]
    for value in plan.values:
        if _items(value.val):
            value.val.items = [order.get(index, index) for index in value.val.items]
    called = sorted({step.op_index for step in steps if hasattr(step, "op_index")})
    for step in steps:
        if hasattr(step, "op_index"):
            step.op_index = called.index(step.op_index)
    plan.operators = [plan.operators[index] for index in called]
    if any(_is_constant(value.val) for other in program.execution_plan[1:] for value in other.values):
        raise ValueError("a second method of the program has constants")
    constants = [value.val for value in plan.values if _is_constant(value.val)]
    held = [0, *sorted({tensor.data_buffer_idx for tensor in constants})]
    for tensor in constants:
        tensor.data_buffer_idx = held.index(tensor.data_buffer_idx)
    program.constant_buffer = [program.constant_buffer[index] for index in held]


def _externals(graph: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Place in the call -> tensor."""
    tensors = map(pte.tensor_of, graph["xvalues"])
    return {tensor["external_id"]: tensor for tensor in tensors if tensor["flags"]}


def _is_constant(value: Any) -> bool:
    return bool(getattr(value, "data_buffer_idx", 0)) and value.allocation_info is None


def _items(value: Any) -> list[int]:
    """Values that a list names; one that is not there has the number -1."""
    from executorch.exir.schema import IntList, OptionalTensorList, TensorList

    is_list = isinstance(value, IntList | OptionalTensorList | TensorList)
    return [index for index in value.items if index >= 0] if is_list else []


def _is_plain(plan: Any, source: int, result: int) -> bool:
    """Whether two tensors differ in nothing but between float32 and float16."""
    first, second = plan.values[source].val, plan.values[result].val
    kinds = {first.scalar_type.name, second.scalar_type.name}
    return (
        kinds == set(_TYPES)
        and first.sizes == second.sizes
        and first.dim_order == second.dim_order == sorted(first.dim_order)
    )


def _convert(graph: dict[str, Any], place: int, datatype: str) -> None:
    """Let the graph take or give an external tensor in another type."""
    inside = _externals(graph)[place]
    outside = {**inside, "datatype": datatype, "id_out": 1 + max(map(_number, graph["xvalues"]))}
    ids = graph["input_ids" if inside["flags"] == _INPUT else "output_ids"]
    ids[ids.index(inside["id_out"])] = outside["id_out"]
    operands = (outside, inside) if inside["flags"] == _INPUT else (inside, outside)
    union = dict(zip(("input_id", "output_id"), (tensor["id_out"] for tensor in operands), strict=True))
    node = {"xnode_union_type": "XNNConvert", "xnode_union": union | {"flags": 0}}
    graph["xnodes"].insert(0 if inside["flags"] == _INPUT else len(graph["xnodes"]), node)
    graph["xvalues"].append({"xvalue_union_type": "XNNTensorValue", "xvalue_union": outside})
    inside |= {"flags": 0, "external_id": NOT_THERE}


def _number(value: dict[str, Any]) -> int:
    number: int = pte.tensor_of(value)["id_out"]
    return number


def _lay_out(plan: Any, live: set[int]) -> None:
    """Memory of its own for each of these values, one after the other."""
    end = 0
    for index in sorted(live):
        tensor = plan.values[index].val
        place = getattr(tensor, "allocation_info", None)
        if place is None:
            continue
        place.memory_id, place.memory_offset_low, place.memory_offset_high = 1, end, 0
        size = _BYTES[tensor.scalar_type.name]
        for side in tensor.sizes:
            size *= side
        end += size + -size % _ALIGNMENT
    plan.non_const_buffer_sizes = [0, end]
