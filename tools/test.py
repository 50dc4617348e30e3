"""Set up and run the whole test suite: ``python3 tools/test.py [pytest arguments]``."""

from __future__ import annotations

import os
import subprocess
import sys

import environment


def main() -> int:
    environment.enter()
    # Default thread counts make tiny networks up to 100 times slower on a busy machine; children inherit this.
    threads = {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1",
        "MPLBACKEND": "Agg",
    }
    arguments = sys.argv[1:] or ["--durations=10", "--cov"]
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.call(command, cwd=environment.ROOT, env={**os.environ, **threads})


if __name__ == "__main__":
    sys.exit(main())
