"""A running server: its socket, its private folder, and what it prints."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from urllib.parse import quote

import uvicorn

from transmodal.errors import InputError
from webpage.server import create_app
from webpage.settings import Settings
from webpage.storage import private_folder

__all__ = ["serve"]

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for all of a machine's, to one that it can be opened at."""
GRACE = 2
"""Seconds that requests get to end when the server does."""


def serve(settings: Settings, open_browser: bool = False) -> None:
    """Serve until the process is interrupted or asked to end; nothing of what was uploaded stays.

    Raises:
        InputError: if the address cannot be listened on.
    """
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it again when it is done
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, _hang_up)
    with _listening(settings) as opened, private_folder() as folder:
        address = _address(settings, opened.getsockname()[1])
        config = uvicorn.Config(
            create_app(settings, folder),
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
        _Announced(config, address, settings.host in EVERYWHERE, open_browser).run(sockets=[opened])


def _address(settings: Settings, port: int) -> str:
    """What to open on this machine: it goes by another name than "all of its addresses"."""
    host = EVERYWHERE.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={quote(settings.token)}" if settings.token else "")


class _Announced(uvicorn.Server):
    """Tells its address when it answers there."""

    def __init__(self, config: uvicorn.Config, address: str, everywhere: bool, open_browser: bool) -> None:
        super().__init__(config)
        self.address, self.everywhere, self.open_browser = address, everywhere, open_browser

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        elsewhere = "\nFrom other machines: the same with the name of this one in it." if self.everywhere else ""
        print(f"Serving on {self.address}{elsewhere}\nCtrl-C ends it.", flush=True)
        if self.open_browser:
            threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((settings.host, settings.port))
        except OSError as error:
            raise InputError(
                f"--host {settings.host} --port {settings.port}",
                found=f"an address that cannot be listened on ({error.strerror or error})",
                wanted="one of this machine that is free",
                remedy="choose another --port, or 0 for any that is free",
            ) from error
        yield opened


def _hang_up(number: int, frame: FrameType | None) -> None:
    """A terminal that is closed ends the server as asking for it does."""
    signal.raise_signal(signal.SIGTERM)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
