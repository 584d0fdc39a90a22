"""igf_mobile: put a matting network on phones. See README.md; `igf --help` is the way in."""

__version__ = "0.1.0"
