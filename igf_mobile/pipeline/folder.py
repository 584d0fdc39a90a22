"""What a build folder holds beside the artifacts and `manifest.json`."""

from collections.abc import Callable

FLOAT = "float"
MATTES = "mattes"
RECIPES = "recipes"
RANGES = "ranges.json"
ROUNDED = "int8-weights.safetensors"
LOG = "export.log"

Progress = Callable[[str], None]
"""Is told a line per step."""
