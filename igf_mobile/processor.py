"""Which processor this is, for records of time."""

import contextlib
import platform
from pathlib import Path


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Its name as the system gives it, with family and model where they are known.

    Virtual machines call a Zen 4 and a Zen 5 "AMD EPYC", and what one takes says nothing of the other.
    """
    fields: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            field, _, value = line.partition(":")
            fields.setdefault(field.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine() or "unknown processor"
    if "cpu family" in fields and "model" in fields:
        return f"{name} (family {fields['cpu family']}, model {fields['model']})"
    return name
