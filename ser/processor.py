"""Which processor this is, for reports whose figures hang on it."""

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The maker's name, such as `Intel(R) Xeon(R) Processor`; what Python knows of it where Linux does not say."""
    found = re.search(r"model name\s*:\s*(.+)", CPUINFO.read_text(encoding="utf-8")) if CPUINFO.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()
