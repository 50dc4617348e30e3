"""The command that exports a bundle, with the weights that came with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

import export

BUNDLE = "ct_mr_modality_classification"


def test_graph_program_and_script_are_written_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.main(BUNDLE, str(tmp_path), "onnx,pt2,torchscript")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert files == ["model.ts", "onnx/classifier.onnx", "pt2/classifier.pt2"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith(" from PyTorch") for line in lines] == [True, True, False]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"format": "tensorrt"}, r"--format: found tensorrt; wanted onnx, pt2, torchscript"),
        ({"format": ()}, r"--format: found nothing"),
        ({"ckpt_path": "nowhere.pt"}, r"nowhere.pt"),
        ({"config": "nowhere.json"}, r"nowhere.json"),
        ({"chanels": 3}, r"found --chanels"),
        ({"onnx_parts": ["pet"]}, r"the part 'pet': found a CalibratedClassifier without it"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, options: dict[str, object], told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        export.main(BUNDLE, str(tmp_path / "out"), **options)
    assert not (tmp_path / "out").exists()


def test_a_network_that_torchscript_cannot_take_is_told_in_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("Unsupported: a starred argument\nat line 3")

    monkeypatch.setattr(export, "write_script", refuse)
    with pytest.raises(
        SystemExit, match=r"TorchScript cannot take \(Unsupported: a starred argument\).*\n.*onnx and pt2"
    ):
        export.main(BUNDLE, str(tmp_path), "torchscript")
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_what_a_network_translates_may_be_given_where_it_depends_on_it() -> None:
    model = export._model("brain_mri_mudiff_synthesis", (export.OVERLAY,), None, {"target": "flair"})
    assert model.layers.parser.get_parsed_content("target") == "flair"
