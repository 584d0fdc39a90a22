"""Errors a user can act on: the command line prints their text in one line and exits with 2."""


class IgfError(Exception):
    """What is wrong, with the value, the file it came from and the choices there are."""


class DamagedFile(IgfError):
    """A file exists but does not hold what it should."""


class GateFailed(IgfError):
    """A measured error is past its limit; the command line exits with 1."""


class NotPossible(IgfError):
    """This machine lacks what it takes, a tool or a device; the command line exits with 3."""
