"""Imported by every Python that finds it first on its path: refuses and notes whatever would leave this machine."""

from __future__ import annotations

import os
import sys
from typing import Any

LOCAL = {None, "", "127.0.0.1", "localhost", "::1", "0.0.0.0"}
RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname")


def _stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # others are sockets in the file system
    elif event in RESOLVING:
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL:
        with open(os.environ["LEFT_THE_MACHINE"], "a", encoding="utf-8") as file:
            file.write(f"{event} {host}\n")
        raise OSError(f"no network in this test: {event} {host}")


sys.addaudithook(_stay_here)
