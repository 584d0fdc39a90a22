"""Runtimes. A backend is one file of this folder with a `BACKEND`; adding one is adding a file."""

import importlib
import importlib.util
import pkgutil
from pathlib import Path

from igf_mobile.backends.base import Backend


def names() -> list[str]:
    """The backends there are, by file name; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def get(name: str) -> Backend:
    """Import one backend.

    Raises:
        ValueError: no such backend; the message lists those there are.
    """
    if name not in names():
        raise ValueError(f"unknown backend {name!r}; available: {', '.join(names())}")
    backend: Backend = importlib.import_module(f"{__name__}.{name}").BACKEND
    return backend


def source(name: str) -> Path:
    """The file that is the backend, wherever it was registered from.

    Raises:
        ValueError: no such backend.
    """
    get(name)
    spec = importlib.util.find_spec(f"{__name__}.{name}")
    if spec is None or spec.origin is None:
        raise ValueError(f"backend {name!r} does not come from a file")
    return Path(spec.origin)
