"""The old runtime in an environment of its own: its wheels need Python 3.11 or older and NumPy 1.

IGF_OLDEST_CACHE is the folder; default ~/.cache/igf_mobile/oldest. An environment appears there once it is whole.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from igf_mobile.errors import NotPossible
from igf_mobile.files import atomic_path

REQUIREMENTS = ("tflite-runtime==2.14.0", "numpy==1.26.4")
"""The last release (2023) under that name."""
PYTHON = "3.11"
"""The newest that it has wheels for."""
_SECONDS = 600


def cache_folder() -> Path:
    """Where environments are kept."""
    if chosen := os.environ.get("IGF_OLDEST_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "igf_mobile" / "oldest"


def obtain(progress: Callable[[str], None]) -> Path:
    """The Python of the environment, made when it is first asked for.

    Raises:
        NotPossible: there is no such Python, or the wheels cannot be had; the text says which.
    """
    recipe = hashlib.sha256(repr((PYTHON, REQUIREMENTS)).encode()).hexdigest()[:16]
    folder = cache_folder() / recipe
    python = folder / "bin" / "python"
    if not python.is_file():
        progress(f"making an environment of {' and '.join(REQUIREMENTS)}")
        with atomic_path(folder) as temporary:
            _make(temporary)
    return python


def _make(folder: Path) -> None:
    python = folder / "bin" / "python"
    if uv := _uv():
        _run([uv, "venv", "--quiet", "--relocatable", "--python", PYTHON, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *REQUIREMENTS])
    elif found := shutil.which(f"python{PYTHON}"):
        _run([found, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS])
    else:
        raise NotPossible(
            f"{REQUIREMENTS[0]} needs Python {PYTHON}, and there is neither uv nor python{PYTHON} on the PATH"
        )


def _uv() -> str | None:
    own = Path(sys.executable).with_name("uv")
    return str(own) if own.is_file() else shutil.which("uv")


def _run(command: Sequence[str]) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotPossible(f"making the environment of {REQUIREMENTS[0]} failed: {error}") from None
    if result.returncode:
        lines = (result.stderr.strip() or result.stdout.strip() or "no message").splitlines()
        reason = next((line for line in lines if "error" in line.lower()), lines[-1]).strip()
        raise NotPossible(f"making the environment of {REQUIREMENTS[0]} failed: {reason}")
