"""Set up and run the whole test suite: ``python3 tools/test.py [pytest arguments]``.

Without arguments the tests are shared among as many processes as there are cores, up to eight; tests/sharing.py says
which of them stay together. With arguments pytest gets these alone.
"""

from __future__ import annotations

import os
import subprocess
import sys

import environment

MOST = 8
"""Processes at once; each imports the libraries for itself, which takes about a gigabyte."""

MEASURED = ["--cov", "--cov-report=", "-p", "tests.measuring"]
"""Coverage of the core by its own tests, in one line; ``.venv/bin/coverage report`` tells more."""


def main() -> int:
    environment.enter()
    # Default thread counts make tiny networks up to 100 times slower on a busy machine; children inherit this.
    threads = {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1",
        "MPLBACKEND": "Agg",
    }
    processes = min(os.cpu_count() or 1, MOST)
    arguments = sys.argv[1:] or [*MEASURED, "--durations=10", "-n", str(processes), "--dist", "loadscope"]
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.call(command, cwd=environment.ROOT, env={**os.environ, **threads})


if __name__ == "__main__":
    sys.exit(main())
