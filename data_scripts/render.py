"""Render objects with fine alpha (fur, hair, feathers, foliage, nets, glass) in Blender, for training.

    python -m venv bpy-env && bpy-env/bin/pip install bpy==4.5.15        # Python 3.11, an environment of its own
    nice bpy-env/bin/python data_scripts/render.py --out data_cache/raw/rendered --count 60

Writes `<class>-<seed>.png`, 512x512, 8-bit RGBA, alpha straight, on a transparent film, and a line for each in
`renders.jsonl`. The same seed gives the same object on one version of Blender. What is there already stays; a killed
run goes on. One thread.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    """Render what is missing, the classes in turn."""
    # TBB counts processors when it loads; with one in sight it starts no worker that would spin as long as we render
    everything = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if everything:
        os.sched_setaffinity(0, {max(everything)})
    import bpy
    import studio
    from objects import CLASSES

    if everything:
        os.sched_setaffinity(0, everything)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--count", type=int, default=60, help="pictures of each class")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--classes", nargs="+", choices=list(CLASSES), default=list(CLASSES))
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    for seed in range(wanted.first, wanted.first + wanted.count):
        for name in wanted.classes:
            path = wanted.out / f"{name}-{seed}.png"
            if path.exists():
                continue
            start = time.monotonic()
            rng = np.random.default_rng([seed, list(CLASSES).index(name)])
            scene = studio.empty_scene()
            scene.cycles.seed = seed
            points, things = CLASSES[name](rng)
            said = studio.light(scene, rng) | studio.film(scene, rng, points, things)
            studio.render(scene, path, opaque=not studio.has_clear_surfaces())
            line = {
                "file": path.name,
                "class": name,
                "seed": seed,
                "licence": "own",
                "tool": f"bpy {bpy.app.version_string}",
            }
            line |= said | {"seconds": round(time.monotonic() - start, 1)}
            with (wanted.out / "renders.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(f"{path.name}  {line['seconds']} s", file=sys.stderr)


if __name__ == "__main__":
    main()
