"""How the server is set up."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from transmodal.errors import InputError

__all__ = ["NOTICE", "Settings", "is_loopback"]

NOTICE = "synthetic – not for diagnosis"
MEGABYTE = 1 << 20
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
    preflight_seconds: float = 180.0
    token: str | None = field(default=None, repr=False)
    static: Path = PAGE
    device: str | None = None
    classifier: Path | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("--retention", self.retention, 1),
            ("--max-upload-mb", self.max_upload, 1),
            ("--port", self.port, 0),
        ):
            if value < least or (name == "--port" and value > 65535):
                raise InputError(
                    name,
                    found=f"{value:g}",
                    wanted="a port from 0 to 65535" if name == "--port" else "a number above 0",
                    remedy=f"see --help, or leave {name} out",
                )
        if self.token is not None and len(self.token) < 16:
            raise InputError(
                "--token",
                found=f"{len(self.token)} characters",
                wanted="16 or more that nobody guesses",
                remedy="leave it out: one is drawn where one is needed",
            )
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
