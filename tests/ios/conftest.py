"""Makes the modules of ios_demo/tools importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "ios_demo" / "tools"))
