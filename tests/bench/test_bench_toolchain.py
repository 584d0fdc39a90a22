"""Steps read from progress, growth with the picture's size."""

from collections.abc import Sequence

import pytest

from igf_mobile.bench.scaling import points
from igf_mobile.bench.toolchain import Step, measure_toolchain, steps
from igf_mobile.errors import IgfError

SAID = """   0.1 s  1/24  coreml-fp32: exporting
warning: something else, 3 s
  10.6 s  2/24  coreml-fp32: measuring
  12.0 s  3/24  litert-w8a8: exporting
"""


def test_a_step_lasts_until_the_next_one() -> None:
    assert [(s.what, round(s.seconds, 3)) for s in steps("export", SAID, 20.0)] == [
        ("coreml-fp32: exporting", 10.5),
        ("coreml-fp32: measuring", 1.4),
        ("litert-w8a8: exporting", 8.0),
    ]
    assert steps("export", "nothing here", 1.0) == []


def test_every_command_is_run_as_a_user_would_and_help_at_its_best() -> None:
    commands: list[list[str]] = []
    starts = iter([0.5, 0.3, 0.2, 0.4, 0.5, 0.6, 0.7])

    def igf(arguments: Sequence[str]) -> tuple[int, str, float]:
        commands.append(list(arguments))
        if arguments[0] == "--help":
            return 0, "", next(starts)
        return (1 if arguments[0] == "verify" else 0), SAID, 20.0  # a gate that fails takes its time too

    found = measure_toolchain(None, lambda text: None, igf)
    assert commands[0][0] == "export" and commands[1] == ["verify", *commands[0][1:]]
    assert [c[1:3] for c in commands[2:5]] == [["--size", size] for size in ("256", "1024", "2048")]
    assert len({c[c.index("--build") + 1] for c in commands[:5]}) == 4  # nothing is there already
    assert [s for s in found if s.what == "all"] == [
        Step("export", "all", 20.0),
        Step("verify", "all", 20.0),
        *(Step(f"export --size {size}", "all", 20.0) for size in (256, 1024, 2048)),
        Step("--help", "all", 0.2),
    ]


def test_a_command_that_breaks_is_no_measurement() -> None:
    with pytest.raises(IgfError, match="igf export ended with 2: igf: no such checkpoint"):
        measure_toolchain(None, lambda text: None, lambda arguments: (2, "igf: no such checkpoint\n", 0.1))


def test_growth_is_per_pixel_and_within_a_side() -> None:
    sides = [("b", 512, 1), ("a", 512, 1), ("a", 256, 1), ("a", 1024, 1), ("a", 2048, 1)]
    sides += [("c", 512, 2), ("c", 512, 1)]
    found = points(sides, [3.0, 8.0, 2.0, 64.0, None, 9.0, 3.0], ["x"] * 4 + ["not run: memory"] + ["x"] * 2)
    assert [(p.name, p.side_px, p.batch, p.growth, p.superlinear) for p in found] == [
        ("a", 256, 1, None, False),
        ("a", 512, 1, 1.0, False),
        ("a", 1024, 1, 2.0, True),
        ("a", 2048, 1, None, False),
        ("b", 512, 1, None, False),
        ("c", 512, 1, None, False),
        ("c", 512, 2, 1.5, True),
    ]
