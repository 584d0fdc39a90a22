"""Where the bytes of an artifact are."""

from pathlib import Path

from igf_mobile.errors import DamagedFile
from igf_mobile.files import size_of


def parts(path: Path) -> dict[str, int]:
    """Part -> bytes, by the file's suffix; together they are the file. Empty for a suffix that nothing here reads.

    Raises:
        DamagedFile: the file cannot be read as what its suffix says.
    """
    readers = {".tflite": _tflite, ".pte": _pte, ".mlpackage": _mlpackage}
    reader = readers.get(path.suffix)
    try:
        return reader(path) if reader else {}
    except (ValueError, KeyError, OSError) as error:
        raise DamagedFile(f"{path}: its parts cannot be read: {error}") from error


def _tflite(path: Path) -> dict[str, int]:
    from igf_mobile.contents.tflite import model_of

    content = path.read_bytes()
    tree = model_of(content)
    constants = sum(0 if buffer.data is None else len(buffer.data) for buffer in tree.buffers)
    operators = sum(len(graph.operators) for graph in tree.subgraphs)
    return {"constants": constants, f"graph of {operators} operators": len(content) - constants}


def _pte(path: Path) -> dict[str, int]:
    from igf_mobile.contents import pte

    content = path.read_bytes()
    program, segments = pte.program(content)
    inline = [entry["data"] for entry in program["backend_delegate_data"]]
    delegates = [
        segments[d["processed"]["index"]]
        if d["processed"]["location"] == "SEGMENT"
        else inline[d["processed"]["index"]]
        for d in program["execution_plan"][0]["delegates"]
    ]
    named = pte.named_data(content)
    constants = sum(len(data) for data in named.values())
    constants += sum(sum(map(len, set(pte.constants(d, {})))) for d in delegates)
    graphs = sum(map(len, delegates)) - constants + sum(map(len, named.values()))
    rest = pte.program_bytes(content) - sum(map(len, inline))
    return {
        "constants": constants,
        f"XNNPACK's graphs ({len(delegates)})": graphs,
        "program": rest,
        "padding": len(content) - constants - graphs - rest,
    }


def _mlpackage(path: Path) -> dict[str, int]:
    weights = sum(size_of(file) for file in path.glob("Data/*/weights/*"))
    model = sum(size_of(file) for file in path.glob("Data/*/*.mlmodel"))
    return {"weights": weights, "program": model, "manifest": size_of(path) - weights - model}
