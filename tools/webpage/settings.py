"""How the server is set up."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from transmodal.errors import InputError

__all__ = ["NOTICE", "Settings", "is_loopback"]

NOTICE = "synthetic – not for diagnosis"
MEGABYTE = 1 << 20
LEAST_MEMORY = 4096 * MEGABYTE
"""That a job gets even where less is free; the libraries alone take a part of it."""
WANTED = {"--port": "a port from 0 to 65535", "--max-memory-mb": "a number above 0, or 0 for no limit"}
PAGE = Path(__file__).with_name("static")


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    Args:
        bundles: folders of bundles, or folders that hold several.
        host: address to listen on.
        port: 0 for any that is free.
        retention: seconds that uploads and results are kept after they were last used.
        max_upload: bytes of one upload, and of what is unpacked of its archives.
        max_files: in one upload.
        max_held: uploads, and jobs, that are kept at a time.
        preflight_seconds: after which a file that is being examined is given up.
        max_memory: bytes that one examination or job may take; 0 for no limit, None for three quarters of what is free.
        token: what a browser has to know; None where only this machine can ask.
        static: folder of the page.
        device: of the jobs; each bundle's own choice if None.
        classifier: weights of the network that tells CT from MR where nothing else does, if there are any.
    """

    bundles: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    retention: float = 3600.0
    max_upload: int = 1024 * MEGABYTE
    max_files: int = 5000
    max_held: int = 24
    preflight_seconds: float = 600.0
    max_memory: int | None = None
    token: str | None = field(default=None, repr=False)
    static: Path = PAGE
    device: str | None = None
    classifier: Path | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("--retention", self.retention, 1),
            ("--max-upload-mb", self.max_upload, 1),
            ("--port", self.port, 0),
            ("--max-memory-mb", self.max_memory or 0, 0),
        ):
            if value < least or (name == "--port" and value > 65535):
                raise InputError(
                    name,
                    found=f"{value:g}",
                    wanted=WANTED.get(name, "a number above 0"),
                    remedy=f"see --help, or leave {name} out",
                )
        if self.token is not None and len(self.token) < 16:
            raise InputError(
                "--token",
                found=f"{len(self.token)} characters",
                wanted="16 or more that nobody guesses",
                remedy="leave it out: one is drawn where one is needed",
            )
        if self.max_memory is None:
            object.__setattr__(self, "max_memory", _most_memory())
        if self.token is None and not is_loopback(self.host):
            object.__setattr__(self, "token", secrets.token_urlsafe(32))


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _most_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Three quarters of the memory that is free, in bytes; 0 where nothing tells."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return max(LEAST_MEMORY, int(found[1]) * 1024 * 3 // 4) if found else 0
