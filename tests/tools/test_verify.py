"""Verifying bundles: a good one passes everything, the report reads well, the exit status tells of failure."""

from __future__ import annotations

from pathlib import Path

import pytest

import verify
from contract import STATIC, Bundle, Note, Skipped, run_checks
from tests.packaging.tiny import give_weights, tiny_bundle, write_cases

ROOT = Path(verify.__file__).parents[1]
BUNDLES = sorted(path.parent for path in ROOT.glob("bundles/*/configs"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path)


def test_a_good_bundle_with_weights_passes_everything(bundle: Path, tmp_path: Path, shared: Path) -> None:
    give_weights(bundle)
    data = write_cases(tmp_path / "data", "case_1")
    schema = shared / "schema" / "meta_schema_20240725.json"
    findings = verify.verify(Bundle(bundle, schema=schema, data=data))
    assert [finding for finding in findings if finding.status == "FAIL"] == []
    assert [each.check for each in findings if each.status == "skipped"] == ["large files", "scores have a record"]


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_every_bundle_of_this_checkout_keeps_its_static_promises(path: Path) -> None:
    assert [finding for finding in run_checks(Bundle(path), STATIC) if finding.status == "FAIL"] == []


def test_the_report_has_a_line_per_check_and_the_counts() -> None:
    def good(bundle: Bundle) -> list[str]:
        return [Note("scriptable")]

    def bad(bundle: Bundle) -> list[str]:
        return ["first", "second"]

    def absent(bundle: Bundle) -> list[str]:
        raise Skipped("no data")

    bundle = Bundle("/x/ct_mr_a_translation")
    assert verify.report(bundle, run_checks(bundle, [good, bad, absent])).splitlines() == [
        "ct_mr_a_translation (/x/ct_mr_a_translation)",
        "  ok      good: scriptable",
        "  FAIL    bad",
        "            first",
        "            second",
        "  skipped absent: no data",
        "  1 ok, 1 FAIL, 1 skipped",
    ]


def test_the_exit_status_tells_of_failure(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "LICENSE").unlink()
    with pytest.raises(SystemExit) as status:
        verify.main(str(bundle))
    assert status.value.code == 1
    assert "  FAIL    license file\n" in capsys.readouterr().out


def test_a_path_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"found no folder with configs/; wanted a bundle.\n"):
        verify.main(str(tmp_path))


def test_a_bundle_of_this_checkout_is_found_by_name() -> None:
    assert verify.find_bundles(*(path.name for path in BUNDLES)) == BUNDLES
