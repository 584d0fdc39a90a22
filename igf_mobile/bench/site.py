"""OpenCV's contrib modules in a folder of their own, pinned: beside the environment's OpenCV they would clash."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from igf_mobile.errors import NotPossible
from igf_mobile.files import atomic_path

PACKAGE, VERSION = "opencv-contrib-python-headless", "5.0.0.93"
SHA256 = (
    "63ddadd47e36fbc903d5ac141d5c90bd305a8044188dd4936a73de80007c9e6c",  # Linux x86-64
)
"""Of the wheels that were looked at; pip refuses any other."""


def opencv_contrib(cache: Path, tell: Callable[[str], None]) -> Path:
    """The folder to put before the environment's packages; fetched once (70 MB, 172 MB unpacked).

    Raises:
        NotPossible: it cannot be had here; the text says why.
    """
    recipe = hashlib.sha256(repr((PACKAGE, VERSION, SHA256, sys.version_info[:2])).encode()).hexdigest()[:12]
    folder = cache / "site" / f"opencv-contrib-{recipe}"
    if folder.is_dir():
        return folder
    tell(f"fetching {PACKAGE} {VERSION} into {folder.parent}")
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        requirements = temporary / "requirements.txt"
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in SHA256)
        requirements.write_text(f"{PACKAGE}=={VERSION} {hashes}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes"]
        command += ["--target", str(temporary), "--requirement", str(requirements)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if line.strip()]
            errors = (
                [line for line in lines if "ERROR" in line]
                or lines
                or [f"pip ended with {result.returncode}"]
            )
            raise NotPossible(f"{PACKAGE} {VERSION} cannot be fetched: {errors[0].strip()}")
    return folder
