"""Serve packed bundles by MONAI Label: ``python3 tools/label.py --bundles DIR --studies DIR``."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import environment
from monailabel_app.lib.bundles import find_bundles

APP = environment.ROOT / "tools" / "monailabel_app"
FOLDER = ".venv-label"
STAND_INS = [APP / "stand_ins" / name for name in ("torchvision", "pydicom_seg")]
"""Folders to import from what MONAI Label imports and its environment has not; see the app's README."""
FORMATS = ["*.nii.gz", "*.nii", "*.mha", "*.nrrd", "*.png", "*.jpg"]
OLDEST, NEWEST = (3, 11), (3, 12)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make MONAI Label's environment where it is missing, and become its server."""
    options, others = parser().parse_known_args(arguments)
    if fault := _fault(options):
        sys.exit(fault)
    command = server_command(python(), options.bundles, options.studies, options.host, options.port, options.app)
    if options.models:
        command += ["--conf", "models", options.models]
    os.chdir(options.app)  # a .env file of the caller's folder is not for the server
    os.execve(command[0], [*command, *others], server_environment(os.environ))


def parser() -> argparse.ArgumentParser:
    """The options; what is not among them is handed on to ``monailabel start_server``."""
    parser = argparse.ArgumentParser(
        description="Serve packed bundles by MONAI Label, offline. Other options are those of monailabel start_server.",
        epilog="Nobody has to log in, and whoever reaches the server can read and change its studies and start "
        "trainings: other hosts than 127.0.0.1 are for closed networks. Synthetic images are not for diagnosis.",
    )
    parser.add_argument("--bundles", required=True, type=Path, help="folder of bundles, as folders or zips of pack.py")
    parser.add_argument("--studies", required=True, type=Path, help="folder of the images that clients ask for by name")
    parser.add_argument("--models", default="", help="serve only these bundles: names with commas between")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (%(default)s)")
    parser.add_argument("--port", default=8000, type=int, help="port to serve at (%(default)s); 0 takes a free one")
    parser.add_argument("--app", default=APP, type=Path, help="copy of tools/monailabel_app, which keeps logs and zips")
    return parser


def python() -> Path:
    """The interpreter of MONAI Label's environment, made where it is missing."""
    if not (environment.ROOT / FOLDER).is_dir():
        print(f"Making {FOLDER} for MONAI Label: about 3 GB, takes minutes; only the first start does so", flush=True)
    return environment.extra(FOLDER, APP / "requirements.txt", APP / "requirements-no-deps.txt")


def server_command(
    python: Path, bundles: Path, studies: Path, host: str = "127.0.0.1", port: int = 8000, app: Path = APP
) -> list[str]:
    """What starts the server: ``monailabel start_server``, without the shell script in front of it."""
    command = [str(python), "-m", "monailabel.main", "start_server", "--app", str(app.resolve())]
    command += ["--studies", str(studies.resolve()), "--host", host, "--port", str(port)]
    return [*command, "--conf", "bundles", str(bundles.resolve())]


def server_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The server's variables: those given, with the stand-ins importable and .mha among the formats of studies."""
    paths = [*map(str, STAND_INS), given.get("PYTHONPATH", "")]
    return {
        "MONAI_LABEL_DATASTORE_FILE_EXT": json.dumps(FORMATS),
        **given,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def _fault(options: argparse.Namespace) -> str | None:
    """Why the server cannot be started, if so."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:2]))
        return (
            f"Python {found} found; wanted 3.11 or 3.12, which MONAI Label 0.8.5 runs on: its numpy < 2 has no later."
        )
    for name in ("bundles", "studies", "app"):
        folder = getattr(options, name)
        if not folder.is_dir():
            return f"--{name} {folder}: found no such folder; wanted an existing one."
    try:
        find_bundles(options.bundles, options.app / "model", options.models)
    except ValueError as fault:
        return str(fault)
    return _fault_of_address(options.host, options.port)


def _fault_of_address(host: str, port: int) -> str | None:
    """Why nothing can be served there; the server itself would find out last, after it has loaded all bundles."""
    try:
        if not 0 <= port < 2**16:
            raise OverflowError("no number from 0 to 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            if os.name != "nt":  # as the server's own: one that has just ended is in nobody's way
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"--host {host} --port {port}: found {reason}; wanted a free one, such as --port 0 takes."
    return None


if __name__ == "__main__":
    main()
