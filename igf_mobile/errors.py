"""Errors a user can act on: the command line prints their text in one line and exits with 2."""

from collections.abc import Sequence


class IgfError(Exception):
    """What is wrong, with the value, the file it came from and the choices there are."""


class DamagedFile(IgfError):
    """A file exists but does not hold what it should."""


class GateFailed(IgfError):
    """A measured error is past its limit; the command line exits with 1."""

    @classmethod
    def of(cls, failures: Sequence[str]) -> "GateFailed":
        """All of several, a line each."""
        return cls(f"{len(failures)} gate(s) failed:\n" + "\n".join(f"  - {s}" for s in failures))


class NotPossible(IgfError):
    """This machine lacks what it takes, a tool or a device; the command line exits with 3."""
