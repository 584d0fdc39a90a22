"""Build steps that run again only when something they read has changed."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path


def step(output: Path, inputs: Iterable[Path], settings: str, make: Callable[[Path], None]) -> bool:
    """Let `make` write `output` unless it is up to date; whether it was made.

    Args:
        output: a file or a folder. `<output>.key` beside it remembers what it was made of.
        inputs: files and folders that `make` reads; their contents count.
        settings: whatever else decides the output: flags, the step's own version.
        make: writes to the temporary path that it is given.
    """
    key_file = output.with_name(output.name + ".key")
    key = _key(inputs, settings)
    if output.exists() and key_file.is_file() and key_file.read_text(encoding="utf-8") == key:
        return False
    key_file.unlink(missing_ok=True)
    remove(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".making-{output.name}")
    remove(temporary)
    make(temporary)
    temporary.replace(output)
    key_file.write_text(key, encoding="utf-8")
    return True


def remove(path: Path) -> None:
    """Delete a file or a folder of files, where it is."""
    if path.is_dir():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _key(inputs: Iterable[Path], settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for path in inputs:
        members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in members:
            name = file.relative_to(path.parent).as_posix()
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
