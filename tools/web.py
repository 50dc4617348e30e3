"""A page to translate scans with, on this machine: upload, check, translate, look, download.

It listens on 127.0.0.1 alone unless told otherwise, and then asks for a token. Nothing that is uploaded leaves the
machine; it lies in a private folder that goes with the server, or after --retention minutes without use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import environment


def main() -> None:
    """Serve the page until it is interrupted; what is wrong with an option is told without a traceback."""
    options = _options()
    environment.enter()
    from transmodal.errors import InputError
    from webpage.serving import serve
    from webpage.settings import MEGABYTE, Settings

    try:
        settings = Settings(
            bundles=tuple(Path(path).absolute() for path in options.bundles),
            host=options.host,
            port=options.port,
            retention=60 * options.retention,
            max_upload=MEGABYTE * options.max_upload_mb,
            max_memory=None if options.max_memory_mb is None else MEGABYTE * options.max_memory_mb,
            token=options.token,
            device=options.device,
            classifier=_classifier(),
        )
        serve(settings, options.open_browser)
    except InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(0)


def _classifier() -> Path | None:
    """Weights of the bundle that tells CT from MR: its own, or those that came with the project."""
    from releasing.weights import released_beside

    bundle = environment.ROOT / "bundles" / "ct_mr_modality_classification"
    own, came = bundle / "models" / "model.pt", released_beside(bundle)
    return own if own.is_file() else came.checked() if came else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    add("--port", type=int, default=8080, help="port, 0 for any that is free (default: 8080)")
    add("--bundles", nargs="+", default=[environment.ROOT / "bundles"], help="bundles, or folders that hold some")
    add("--retention", type=float, default=60, help="minutes that unused uploads and results are kept (default: 60)")
    add("--max-upload-mb", type=int, default=1024, help="most of an upload, packed or unpacked (default: 1024)")
    add("--max-memory-mb", type=int, help="most memory of one job, 0 for no limit (default: 3/4 of what is free)")
    add("--token", help="what a browser has to know; one is drawn where --host is not this machine")
    add("--device", help="cpu, cuda or cuda:1; by default what the bundles choose")
    add("--open-browser", action="store_true", help="open the page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
