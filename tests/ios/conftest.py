"""Makes the modules of ios_demo/tools importable, behind those of android_demo/tools: both have a `toolchain`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent / "ios_demo" / "tools"))
