"""The survey of a data set as text that a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from intake.survey import Found, Survey
from transmodal.data.layout import LABELS, SECTIONS, Case, case_files

HEADINGS = ("case", "modality", "size", "spacing mm", "values", "body")
LONGEST = 50


def report(sections: Mapping[str, Sequence[Case]], seen: Survey | None) -> str:
    """Table of cases, warnings, totals and the split; without a survey only the last two."""
    cases = sorted((case for section in SECTIONS for case in sections[section]), key=lambda case: case["case"])
    parts = []
    if seen is not None:
        parts.append(_table(cases[:LONGEST], seen))
        if len(cases) > LONGEST:
            parts.append(f"… and {len(cases) - LONGEST} more cases")
        if seen.warnings:
            parts.append("\n".join(["warnings", *(f"  {text}" for text in seen.warnings)]))
    return "\n\n".join([*parts, _totals(cases), _split(sections)])


def errors_text(errors: Sequence[str]) -> str:
    """All errors, numbered."""
    head = f"{len(errors)} error{'' if len(errors) == 1 else 's'}; nothing was written"
    lines = [f"{number:4}. {text}".replace("\n", "\n    ") for number, text in enumerate(errors, 1)]
    return "\n".join([head, *lines])


def _table(cases: Sequence[Case], seen: Survey) -> str:
    rows = [HEADINGS]
    for case in cases:
        name, body = case["case"], f"{seen.body[case['case']]:.0%}" if case["case"] in seen.body else ""
        for modality in sorted(case_files(case), key=lambda modality: (modality in LABELS, modality)):
            rows.append((name, modality, *_cells(seen.images[case["case"]].get(modality)), body))
            name = body = ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _cells(found: Found | None) -> tuple[str, str, str]:
    if found is None:
        return "error", "", ""
    size = "×".join(map(str, found.size)) + ("" if found.same_grid else " *")
    return size, "×".join(f"{each:.2f}" for each in found.spacing), f"{found.low:.4g} … {found.high:.4g}"


def _totals(cases: Sequence[Case]) -> str:
    patients = {case.get("patient", case["case"]) for case in cases}
    counts = Counter(modality for case in cases for modality in case_files(case))
    listed = ", ".join(f"{modality} {count}" for modality, count in sorted(counts.items()))
    return f"{len(cases)} cases of {len(patients)} patients: {listed}"


def _split(sections: Mapping[str, Sequence[Case]]) -> str:
    lines = []
    for section in SECTIONS:
        names = [case["case"] for case in sections[section]]
        shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
        lines.append(f"{section:<10} {len(names):>4}  {shown}".rstrip())
    return "\n".join(lines)
