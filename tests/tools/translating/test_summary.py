"""The lines about cases, the list at the end and the exit status."""

from __future__ import annotations

import pytest

from translating.inputs import LeftOut
from translating.summary import Outcome, line_of, report, status_of

DONE = Outcome("a", "translated", "ct to mr, out/a/mr.nii.gz", ("mind the gap",), seconds=2.25)
BEFORE = Outcome("b", "finished before", "out/b")
BAD = Outcome("c", "failed", "c.nii: found nothing")
ALREADY = Outcome("d", "left out", "it already is MR")


def test_a_line_counts_and_names_the_case_and_its_warnings() -> None:
    expected = "[1/3] a: translated (2.2 s): ct to mr, out/a/mr.nii.gz\n  warning: mind the gap"
    assert line_of(DONE, 1, 3) == expected


def test_the_report_counts_and_lists_whatever_is_not_there() -> None:
    lines = report([DONE, BEFORE, BAD, ALREADY], [LeftOut("m.nii", "a mask")]).splitlines()
    assert lines == [
        "4 cases: 1 translated, 1 finished before, 1 left out, 1 failed; 1 with warnings",
        "left out:",
        "  d: it already is MR",
        "  m.nii: a mask",
        "failed:",
        "  c: c.nii: found nothing",
    ]


def test_a_note_is_told_and_makes_no_case_one_with_warnings() -> None:
    noted = Outcome("a", "translated", "done", notes=("Study ID shortened",))
    assert line_of(noted, 1, 1).endswith("done\n  note: Study ID shortened")
    assert "0 with warnings" in report([noted])


def test_the_file_of_a_traceback_is_named_wherever_the_failure_is_told() -> None:
    failed = Outcome("c", "failed", "KeyError: 'x'", traceback="out/c.error.txt")
    told = "c: KeyError: 'x'\n  Traceback: out/c.error.txt"
    assert line_of(failed, 1, 1).endswith(told.replace("c: ", "c: failed: ", 1))
    assert report([failed]).endswith(told)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [([DONE], 0), ([BEFORE], 0), ([DONE, ALREADY], 0), ([DONE, BAD], 1), ([ALREADY], 1), ([], 1)],
)
def test_the_exit_status_tells_failure_and_that_nothing_was_done(outcomes: list[Outcome], status: int) -> None:
    assert status_of(outcomes) == status
