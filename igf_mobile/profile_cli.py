"""`igf profile`: measure on a phone, or take the report that one made."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igf_mobile.errors import DamagedFile, GateFailed

if TYPE_CHECKING:
    from igf_mobile.profile.progress import Progress, Tell

app = typer.Typer(
    help="Measure on phones: `android` and `ios` drive one, `import` takes a report that an app shared.",
    no_args_is_help=True,
)

Build = Annotated[Path, typer.Option("--build", "-b", help="The build folder; its report gets the result.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Where the reports go; `devices` of the build by default."),
]
Sustained = Annotated[
    int, typer.Option(help="Minutes of a sustained run per artifact and unit; 0: none.", min=0, max=60)
]


@app.command()
def android(
    serial: Annotated[
        str | None, typer.Option("--serial", "-s", help="Of `adb devices`, when there are several.")
    ] = None,
    build: Build = Path("build"),
    apk: Annotated[Path | None, typer.Option(help="Install this app first (`make apk`).")] = None,
    output: Output = None,
    bundled: Annotated[
        bool, typer.Option("--bundled", help="Measure the artifacts inside the app; push nothing.")
    ] = False,
    sustained: Sustained = 0,
    fixed_performance: Annotated[
        bool,
        typer.Option(
            "--fixed-performance", help="Fixed clocks where the device has them; undone afterwards."
        ),
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds without progress before giving up.", min=1)] = 900,
) -> None:
    """Install the app, push the build, measure every artifact on every compute unit, fetch and check the report.

    Keep the phone plugged in, cool and unlocked. What was measured before a crash or a pulled cable is kept as
    `<model>-<date>-partial.json`.

    Examples: `igf profile android --apk build/android/igf-demo-0.1.0.apk` ·
    `igf profile android --serial R58M12ABCDE --sustained 10 --fixed-performance`
    """
    from igf_mobile.profile import adb
    from igf_mobile.profile.android import Session, measure

    session = Session(None if bundled else build, apk, 60 * sustained, fixed_performance, timeout)
    path = adb.find_adb()
    device = adb.choose(adb.attached(path), serial)
    phone = adb.Adb(path, device.serial)
    _measure(lambda local, tell: measure(phone, session, local, tell), f"{device.model}", build, output)


@app.command()
def ios(
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Identifier or name, when there are several.")
    ] = None,
    build: Build = Path("build"),
    project: Annotated[
        Path | None, typer.Option(help="The app's project; the one of `ios_demo/` by default.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="Identifier of the development team that signs.")] = None,
    output: Output = None,
    sustained: Sustained = 0,
    timeout: Annotated[float, typer.Option(help="Seconds without a line before giving up.", min=1)] = 1800,
) -> None:
    """Build, install and run the app's unattended test on an iPhone, fetch and check the report. Needs a Mac.

    Examples: `igf profile ios --team ABCDE12345` · `igf profile ios --device "My iPhone" --sustained 10`
    """
    from igf_mobile.profile import ios as tools

    tools.find_tools()
    phone = tools.choose(tools.devices(), device)
    session = tools.Session(project or tools.PROJECT, team=team, sustained_s=60 * sustained, hang_s=timeout)
    _measure(lambda local, tell: tools.measure(phone.udid, session, local, tell), phone.name, build, output)


@app.command(name="import")
def import_(
    reports: Annotated[list[Path], typer.Argument(help="`latency_report.json` files that an app shared.")],
    build: Build = Path("build"),
    output: Output = None,
) -> None:
    """Check reports against the schema, themselves and the build, store them and write the HTML report again.

    All of them are checked before one is stored.

    Example: `igf profile import ~/Downloads/latency_report.json --build build`
    """
    from igf_mobile.device import reader
    from igf_mobile.profile import store

    checked = [(path, store.checked(path, build)) for path in reports]
    folder = output or build / reader.FOLDER
    kept = [store.store(path, report, folder) for path, report in checked]
    for target, (_, report) in zip(kept, checked, strict=True):
        _say(f"{target}  {store.outcome(report)}")
    _merge(build, kept)


def _measure(run: "Callable[[Path, Tell], None]", name: str, build: Path, output: Path | None) -> None:
    """Run a measurement with a progress display, store what it gave, whole or not."""
    from igf_mobile.device import reader
    from igf_mobile.manifest import load_manifest
    from igf_mobile.profile import store
    from igf_mobile.profile.command import DeviceFailed

    load_manifest(build)  # a missing build is told before minutes of measuring
    folder = output or build / reader.FOLDER
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / "latency_report.json"
        try:
            with _bar(name) as tell:
                run(local, tell)
            report = store.checked(local, build)
        except (DeviceFailed, KeyboardInterrupt) as error:
            kept = _keep(local, build, folder)
            if isinstance(error, KeyboardInterrupt):
                _say(kept)
                raise
            raise DeviceFailed(f"{error}; {kept}") from error
        except DamagedFile as error:
            raise DamagedFile(f"the device's report is not valid: {error}") from error
        target = store.store(local, report, folder)
    _say(f"{target}  {store.outcome(report)}")
    _merge(build, [target])
    failed = [run.name for run in report.runs if run.parity and not run.parity.passed]
    if failed:
        raise GateFailed(f"parity failed on {report.device.model}: {', '.join(failed)}")


def _keep(local: Path, build: Path, folder: Path) -> str:
    """Store a partial report if it is a valid one; what became of it, for an error's end."""
    from igf_mobile.profile import store

    if not local.is_file():
        return "nothing was measured"
    try:
        report = store.checked(local, build)
    except DamagedFile as error:
        return f"what it had measured is not valid: {error}"
    target = store.store(local, report, folder, partial=True)
    _merge(build, [target])
    runs = len(report.runs)
    return f"{runs} {'run' if runs == 1 else 'runs'} kept in {target}"


def _merge(build: Path, kept: list[Path]) -> None:
    """Write the HTML report with every stored report, and those that were put elsewhere."""
    from igf_mobile.device import reader
    from igf_mobile.report import rewrite_report

    reports = reader.stored(build)
    reports += [path for path in kept if path.resolve() not in {known.resolve() for known in reports}]
    _say(str(rewrite_report(build, reports)))


def _say(text: str) -> None:
    from rich.console import Console

    Console().print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _bar(name: str) -> "Iterator[Tell]":
    """A spinner, the current step, the finished runs and the time; a line per step where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def tell(step: "Progress") -> None:
            bar.update(task, description=f"{name}: {step.what}")
            if step.total:
                bar.update(task, completed=step.done, total=step.total)
            if not console.is_terminal:
                runs = f"{step.done}/{step.total}  " if step.total else ""
                console.print(f"{runs}{step.what}", markup=False, highlight=False, soft_wrap=True)

        yield tell
