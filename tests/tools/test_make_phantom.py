"""The command that writes phantoms."""

from __future__ import annotations

from pathlib import Path

import fire
import pytest

from make_phantom import main


def run(line: str, output: Path) -> None:
    fire.Fire(main, command=[str(output), *line.split()])


def test_it_writes_the_modalities_and_regions_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "phantoms"
    run("--cases 2 --region thigh,head --modalities mr,lesion --shape 12,12,4", output)
    written = sorted(str(path.relative_to(output)) for path in output.rglob("*.nii.gz"))
    assert written == [f"phantom_00{case}/{name}.nii.gz" for case in (0, 1) for name in ("lesion", "mr")]
    assert "Wrote 2 phantoms" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--region foot", "--region: found foot; wanted one of thigh, trunk, head, brain, chest"),
        ("--modalities pet", "phantom modalities: found 'pet'"),
        ("--shape 32", r"phantom shape: found \[32\]; wanted three positive whole numbers"),
        ("--spacing 1,2", r"phantom spacing: found \[1, 2\]; wanted three positive numbers in mm"),
        ("--cases two", "phantom cases: found 'two'; wanted at least 1"),
    ],
)
def test_a_wrong_argument_is_told_without_a_traceback(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        run(line, tmp_path / "phantoms")
    assert not (tmp_path / "phantoms").exists()
