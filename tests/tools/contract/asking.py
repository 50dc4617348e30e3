"""Ask one check about a bundle, by the name it has in the report."""

from __future__ import annotations

from pathlib import Path

from contract import RUNNING, STATIC, Bundle, Finding, run_checks


def find(bundle: Path, check: str, **options: Path) -> Finding:
    """The answer of one check."""
    named = {each.__name__.replace("_", " "): each for each in (*STATIC, *RUNNING)}
    return run_checks(Bundle(bundle, **options), [named[check]])[0]


def reason(bundle: Path, check: str, **options: Path) -> str:
    """What a check says against a bundle."""
    finding = find(bundle, check, **options)
    assert finding.status == "FAIL", finding
    return "; ".join(finding.reasons)


def write(bundle: Path, name: str, text: str) -> None:
    """Write a file of the bundle, with its folders."""
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text(text, encoding="utf-8")
