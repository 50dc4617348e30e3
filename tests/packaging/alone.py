"""A packed bundle run where nothing of this checkout is importable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Python with the editable core taken away: what is then imported as `transmodal` can only be the bundle's copy.
ALONE = """
import importlib.util, os, runpy, sys
sys.path[:] = [path for path in sys.path if not os.path.isdir(os.path.join(path or ".", "transmodal"))]
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
assert importlib.util.find_spec("transmodal") is None, "the core of this checkout is still importable"
sys.argv[0] = "monai.bundle"
runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
print("CORE", sys.modules["transmodal"].__file__)
"""


def run_alone(bundle: Path, *arguments: str) -> str:
    """``python -m monai.bundle run`` of the bundle's inference from ``/``, without the core of this checkout."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COV_CORE_SOURCE")}
    command = ["run", "--config_file", f"{bundle}/configs/inference.json", "--bundle_root", f"{bundle}", *arguments]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *command], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
