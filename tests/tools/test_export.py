"""The command that exports a bundle, with the weights that came with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

import export
from contract import Bundle
from contract.files import weights_folder
from tests.packaging.tiny import tiny_bundle

BUNDLE = "ct_mr_modality_classification"


def test_graph_program_and_script_are_written_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.main(BUNDLE, str(tmp_path), "onnx,pt2,torchscript")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert files == ["onnx/classifier.onnx", "pt2/classifier.pt2", "torchscript/model.ts"]
    *lines, command = capsys.readouterr().out.splitlines()
    assert [line.endswith(" from PyTorch") for line in lines] == [True, True, True]
    assert "python -m monai.bundle run --config_file" in command


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


def test_a_bundle_with_exports_in_its_models_is_sound_and_packed_without_them(tmp_path: Path) -> None:
    root = tiny_bundle(tmp_path)
    exports = ("onnx/part.onnx", "pt2/part.pt2", export.SCRIPT)
    for name in exports:
        (root / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "models" / name).touch()
    assert list(weights_folder(Bundle(root))) == []
    assert not {root / "models" / name for name in exports} & {*Bundle(root).files()}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(SystemExit, match=r"out: found a file; wanted a folder for --output"):
        export.main(BUNDLE, str(tmp_path / "out" / "deeper"))


@pytest.mark.parametrize(
    ("bundle", "config"),
    [
        ("chest_xray_ctpa_translation", "configs/inference_lora.json"),
        ("ct_mr_mddga_translation", "configs/inference_slices.json"),
    ],
)
def test_a_config_of_other_weights_than_those_exported_is_refused(tmp_path: Path, bundle: str, config: str) -> None:
    (tmp_path / "model.pt").touch()
    with pytest.raises(SystemExit, match=rf"{config}: found a config that runs other weights"):
        export.main(bundle, str(tmp_path), config=config, ckpt_path=str(tmp_path / "model.pt"))


def test_the_command_runs_the_configs_ids_and_weights_that_were_exported(tmp_path: Path) -> None:
    name = "ct_mr_cyclegan_translation"
    model = export._model(name, (export.OVERLAY,), None, {})
    if model.weights == model.bundle.weights:
        pytest.skip("this checkout has weights of its own")
    options = '--pixdim "[3.0,3.0,-1.0]" --ckpt_path ../../weights/ct_mr_cyclegan_translation/model.pt'
    configs = "\"['configs/inference.json','configs/small.json','configs/inference_onnx.json']\""
    command = export.command_of(model, model.bundle.root / "models")
    assert command.endswith(f"python -m monai.bundle run --config_file {configs} {options} --dataset_dir SCANS")
    assert f"--onnx_path {tmp_path / 'onnx'} " in export.command_of(model, tmp_path)


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
