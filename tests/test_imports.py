"""The package imports without any vendor's SDK, and from left to right only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import igf_mobile

PACKAGE = Path(igf_mobile.__file__).parent
VENDORS = (
    "ai_edge_litert",
    "ai_edge_quantizer",
    "coremltools",
    "executorch",
    "litert_torch",
    "tflite",
)

# Style guide, "Direction": a module imports from its own row and the rows above, never from those below.
ROWS = (
    {"errors", "schemes", "latency", "quiet", "recipes", "terminal", "matrix", "batches", "fixed_point"},
    {"files", "metrics", "primitives", "distributed", "full_resolution", "flatbuffer_sharing"},
    {"flatbuffer_tree"},
    {"ranges"},
    {"colour_regression", "refit"},
    {"start"},
    {"guided_filter", "hourglass", "images", "samples"},
    {"model", "discriminator", "parity", "composites"},
    {"losses", "checkpoint", "blocks", "data"},
    {"graph"},
    {"layers", "sites"},
    {"observers", "pt2e_ranges", "pt2e", "rounding"},
    {"calibration"},
    {"tflite_ranges", "xnnpack_quantizer", "xnnpack_graph", "coreml_quantizer", "coreml_palettes"},
    {"mil_census", "mil_operators", "mil_reference", "mlpackage"},
    {"contents"},
    {"pte_calls", "pte_pack", "tflite_layers", "tflite_pack"},
    {"backends", "manifest", "compare"},
    {"matting", "evaluate", "gates", "budget", "teacher"},
    {"report_pictures", "report_plots"},
    {"device", "inside"},
    {"training_state", "train", "pipeline", "doctor", "vectors", "profile"},
    {"report_contents", "quantize", "report"},
    {"profile_cli", "elsewhere"},
    {"proof", "arm", "oldest", "bench"},
    {"ablation"},
    {"commands"},
    {"cli"},
)
ROW_OF = {name: position for position, row in enumerate(ROWS) for name in row}


def module_name(path: Path) -> str:
    """`igf_mobile.backends.base`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[str]:
    return [module_name(path) for path in sorted(PACKAGE.rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(name: str) -> str | None:
    """ "igf_mobile.backends.base.Runner" -> "backends"."""
    parts = name.split(".")
    return parts[1] if parts[0] == "igf_mobile" and len(parts) > 1 else None


def run(program: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


_BLOCKER = """
import importlib, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {vendors!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
"""


def test_every_module_imports_with_the_vendors_blocked() -> None:
    names = [name for name in modules() if not name.endswith("__main__")]
    assert len(names) > 25
    program = _BLOCKER.format(vendors=VENDORS) + (
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
        "from igf_mobile import backends\n"
        "assert backends.names() == ['coreml', 'executorch', 'litert'], backends.names()\n"
        "for name in ('executorch', 'litert'):\n"
        "    print(name, backends.get(name).runs_here())\n"
    )
    executorch, litert = run(program).splitlines()
    assert executorch == "executorch executorch cannot be imported: executorch is blocked"
    assert litert.startswith("litert ai-edge-litert cannot be imported: ai_edge_litert")


def test_the_blocker_blocks() -> None:
    program = _BLOCKER.format(vendors=VENDORS) + (
        "try:\n    import coremltools\nexcept ImportError as error:\n    print(error)\n"
    )
    assert run(program) == "coremltools is blocked\n"


HEAVY = ("torch", "numpy", "cv2", "pydantic", "rich", "matplotlib", "scipy", "PIL", "skimage", *VENDORS)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["bench", "--help"], ["export", "--help"], ["verify", "--help"], ["sensitivity", "--help"]],
    ids=" ".join,
)
def test_help_needs_nothing_heavy(arguments: list[str]) -> None:
    """Each of these takes longer to import than `igf --help` may take, 0.3 s; Typer parses with pydantic."""
    heavy = [m for m in HEAVY if m != "pydantic" or len(arguments) == 1]
    program = (
        "import contextlib, io, sys\nfrom igf_mobile.cli import main\n"
        f"sys.argv = ['igf', *{arguments!r}]\n"
        "said = io.StringIO()\n"
        "with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):\n    main()\n"
        "assert 'Usage' in said.getvalue()\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    assert run(program) == "[]\n"


def test_what_is_heavy_would_be_seen() -> None:
    assert "numpy" in run(
        f"import sys, igf_mobile.latency, igf_mobile.compare\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    )


@pytest.mark.parametrize(
    "module",
    [
        "metrics",
        "parity",
        "latency",
        "manifest",
        "recipes",
        "gates",
        "budget",
        "device.comparison",
        "quantize.ranking",
    ],
)
def test_what_needs_no_torch_imports_none(module: str) -> None:
    heavy = ("torch", "matplotlib", *VENDORS)
    program = f"import sys, igf_mobile.{module}\nprint([m for m in {heavy!r} if m in sys.modules])"
    assert run(program) == "[]\n"


def imported_parts() -> dict[str, set[str]]:
    """Module or folder of the package -> those that it imports."""
    known = {name for name in map(part, modules()) if name}
    found: dict[str, set[str]] = {name: set() for name in known}
    for path in PACKAGE.rglob("*.py"):
        if own := part(module_name(path)):
            found[own] |= {other for name in imports(path) if (other := part(name)) in known} - {own}
    return found


def test_the_rows_name_modules_that_exist() -> None:
    assert set(ROW_OF) <= {part(name) for name in modules()}


def test_imports_go_from_left_to_right() -> None:
    backwards = [
        f"{own} imports {other}"
        for own, others in sorted(imported_parts().items())
        for other in sorted(others)
        if own in ROW_OF and other in ROW_OF and ROW_OF[other] > ROW_OF[own]
    ]
    assert backwards == []


def test_no_circle_of_imports() -> None:
    """Also between modules that the rows do not name."""
    rest = imported_parts()
    while free := {name for name, others in rest.items() if not others & set(rest)}:
        rest = {name: others for name, others in rest.items() if name not in free}
    assert rest == {}


def test_nothing_imports_the_tests() -> None:
    names = {path.stem for path in Path(__file__).parent.rglob("*.py")} | {"tests"}
    for path in PACKAGE.rglob("*.py"):
        assert not names & {name.split(".")[0] for name in imports(path)}, path.name


def test_vendors_are_imported_inside_functions() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not {name.split(".")[0] for name in names} & set(VENDORS), path.name
