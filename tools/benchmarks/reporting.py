"""Tables for the reader, and where they were measured."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import Result
from benchmarks.setting import Setting

HEADER = ("network", "resolution", "batch", "dtype", "ms", "{samples}/s", "GB", "ratio", "difference")


def rows_of(results: Sequence[Result], network: str, resolution: Sequence[int]) -> list[dict[str, Any]]:
    """Describe each result for JSON; ``ratio`` is its samples per second over those of the first."""
    return [
        {
            "network": f"{network}, {result.contestant.name}",
            "resolution": list(resolution),
            "batch": result.contestant.batch,
            "dtype": result.contestant.dtype,
            "ms": result.per_batch,
            "per_second": result.per_second,
            "gigabytes": result.gigabytes,
            "ratio": result.per_second / results[0].per_second,
            "difference": result.difference,
            "repetitions_ms": list(result.milliseconds),
        }
        for result in results
    ]


def speed_table(rows: Sequence[dict[str, Any]]) -> str:
    """Align the rows of :func:`rows_of`, the first column left, numbers right."""
    samples = "slices" if len(rows[0]["resolution"]) == 2 else "volumes"
    cells = [
        [
            row["network"],
            "×".join(map(str, row["resolution"])),
            str(row["batch"]),
            row["dtype"],
            f"{row['ms']:.1f}",
            f"{row['per_second']:.3g}",
            f"{row['gigabytes']:.2f}",
            f"{row['ratio']:.2f}",
            f"{row['difference']:.1e}",
        ]
        for row in rows
    ]
    return aligned([[name.format(samples=samples) for name in HEADER], *cells])


def gains(rows: Sequence[dict[str, Any]]) -> str:
    """How many times as fast as our own network, one sample at a time in float32, it runs at best by arithmetic."""
    ours = next(row for row in rows if row["network"].endswith(", ours") and row["dtype"] == "float32")
    best = {row["dtype"]: row for row in sorted(rows, key=lambda row: row["per_second"])}
    told = [
        f"{dtype} {row['per_second'] / ours['per_second']:.2f} times ({row['network'].partition(', ')[2]}, "
        f"batches of {row['batch']})"
        for dtype, row in sorted(best.items(), reverse=True)
    ]
    return f"at best, over ours in float32 in batches of {ours['batch']}: {'; '.join(told)}."


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, two spaces apart; the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *numbers]))
    return "\n".join(lines)


def circumstances(setting: Setting, command: str) -> dict[str, Any]:
    """Say what was measured where, and with what, for JSON."""
    return {
        "bundle": Path(setting.root).name,
        "machine": machine(setting.device),
        "device": setting.device,
        "threads": setting.threads,
        "torch": str(torch.__version__),
        "commit": commit(),
        "command": command,
    }


def machine(device: str) -> str:
    """Name the graphics card, or the processor and how many of it."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else f"{platform.processor() or platform.machine()}"


def commit() -> str:
    """Give the commit of this checkout, marked where files differ from it; "unknown" outside a checkout."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
