"""Running vendors' command-line tools: with a time limit, or line by line."""

import queue
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from igf_mobile.errors import IgfError


class DeviceFailed(IgfError):
    """The device or the app on it did not do what it was asked; what it had measured may be kept."""


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    output: str
    """Standard output and error."""


def run(command: Sequence[str], timeout_s: float) -> Finished:
    """Run a command to its end.

    Raises:
        DeviceFailed: it did not end in time.
        IgfError: it cannot be started.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeviceFailed(f"`{shown(command)}` did not end in {timeout_s:g} s") from None
    except OSError as error:
        raise IgfError(f"cannot run {command[0]}: {error.strerror or error}") from error
    return Finished(done.returncode, done.stdout.decode("utf-8", "replace").replace("\r\n", "\n"))


def shown(command: Sequence[str]) -> str:
    """A command for an error: its tool's name and what it was asked."""
    return " ".join([command[0].rsplit("/", 1)[-1], *command[1:]])


class Lines:
    """The lines of a running command, as they come; a context manager that ends the command."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it; standard error comes among the lines."""
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise IgfError(f"cannot run {command[0]}: {error.strerror or error}") from error
        self._queue: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def next(self, timeout_s: float) -> str | None:
        """The next line; None when none came in time.

        Raises:
            EOFError: the command ended and all its lines were read.
        """
        try:
            line = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if line is None:
            self._queue.put(None)
            raise EOFError
        return line

    def code(self) -> int:
        """Exit code, after `EOFError`."""
        return self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._queue.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        self._queue.put(None)
