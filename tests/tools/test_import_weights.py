"""Importing published weights: the bundle then translates as the published network does, or nothing is written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import fire
import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn
from torch.testing import assert_close

from import_weights import import_weights, main
from tests.parity.fill import image
from tests.parity.test_cyclegan import colours, golden, published_state
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

GENERATOR = {
    "_target_": "transmodal.networks.nets.ResNetGenerator",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "channels": "@channels",
    "num_blocks": 9,
}
CONFIG = {
    "channels": 8,
    "generator_def": GENERATOR,
    "network_def": {"_target_": "cyclegan_bundle.networks.Translators", "ct": "%generator_def", "mr": "%generator_def"},
}


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> Path:
    """A small CycleGAN bundle with the package of the real one."""
    home = tmp_path / "ct_mr_cyclegan_translation"
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "inference.json").write_text(json.dumps(CONFIG))
    package = root / "bundles/ct_mr_cyclegan_translation/cyclegan_bundle"
    (home / "cyclegan_bundle").symlink_to(package, target_is_directory=True)
    return home


@pytest.fixture
def files(tmp_path: Path, shared: Path) -> dict[str, Path]:
    """Published files of the bundle's own architecture; the two generators differ."""
    ct = published_state(shared, "cyclegan_g_resnet9", width=8, channels=1)
    return {"ct": _saved(ct, tmp_path / "G_B.pth"), "mr": _saved(_halved(ct), tmp_path / "G_A.pth")}


def network_of(bundle: Path, *overlays: str | Path) -> nn.Module:
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs/inference.json"), *map(str, overlays)])
    return load_weights(parser.get_parsed_content("network_def"), bundle / "models/model.pt").eval()


@torch.no_grad()
def test_both_directions_translate_as_published(bundle: Path, files: dict[str, Path], shared: Path) -> None:
    import_weights(bundle, files)
    network, expected = network_of(bundle), golden(shared, "cyclegan_g_resnet9_gray")
    assert_close(network(expected["x"], target="ct"), expected["out"], rtol=0, atol=1e-5)
    assert (network(expected["x"], target="mr") - expected["out"]).abs().max() > 0.01


def test_weights_of_the_bundles_own_network_need_no_overlay(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files)
    assert [path.name for path in (bundle / "models").iterdir()] == ["model.pt"]
    assert "--config_file configs/inference.json --ckpt_path models/model.pt" in report


def test_the_weights_file_is_a_flat_dictionary_of_tensors(bundle: Path, files: dict[str, Path]) -> None:
    import_weights(bundle, files)
    state = torch.load(bundle / "models/model.pt", weights_only=True)
    assert len(state) == 2 * 48
    assert {type(value) for value in state.values()} == {Tensor}


@pytest.mark.parametrize("variant", ["resnet9", "resnet9_batchnorm", "resnet9_legacy_runningstats"])
@pytest.mark.parametrize("wrap", ["raw", "module", "state_dict"])
@torch.no_grad()
def test_every_variant_translates_as_published_through_its_overlay(
    bundle: Path, tmp_path: Path, shared: Path, variant: str, wrap: str
) -> None:
    expected = golden(shared, f"cyclegan_g_{variant}")
    state: dict[str, Any] = published_state(shared, f"cyclegan_g_{variant}", width=8)
    if wrap == "module":
        state = {f"module.module.{key}": value for key, value in state.items()}
    file = _saved({"state_dict": state} if wrap == "state_dict" else state, tmp_path / "net.pth")
    import_weights(bundle, {"ct": file, "mr": file})
    network = network_of(bundle, bundle / "models/model.json")
    assert_close(colours(network.ct)(expected["x"]), expected["out"], rtol=0, atol=1e-5)
    assert network(image(0, (1, 1, 16, 16)), target="mr").shape == (1, 1, 16, 16)


def test_an_overlay_changes_only_the_direction_that_differs(
    bundle: Path, files: dict[str, Path], tmp_path: Path, shared: Path
) -> None:
    six_blocks = published_state(shared, "cyclegan_g_resnet6", width=8, channels=1)
    import_weights(bundle, {**files, "mr": _saved(six_blocks, tmp_path / "six.pth")})
    overlay = json.loads((bundle / "models/model.json").read_text())
    assert overlay["network_def"]["ct"] == "%generator_def"
    assert overlay["network_def"]["mr"]["num_blocks"] == 6
    assert len(network_of(bundle, bundle / "models/model.json").mr.blocks) == 6


def test_dropout_alone_makes_an_overlay_although_the_tensors_fit(bundle: Path, tmp_path: Path, shared: Path) -> None:
    file = _saved(published_state(shared, "cyclegan_g_resnet9_dropout", width=8, channels=1), tmp_path / "net.pth")
    import_weights(bundle, {"ct": file, "mr": file})
    assert network_of(bundle, bundle / "models/model.json").ct.blocks[0].dropout.p == 0.5


def test_the_printed_command_names_the_configs_in_order(bundle: Path, tmp_path: Path, shared: Path) -> None:
    file = _saved(published_state(shared, "cyclegan_g_resnet9", width=8), tmp_path / "net.pth")
    report = import_weights(bundle, {"ct": file, "mr": file}, overlay=bundle / "configs/colour.json")
    command = next(line for line in report.splitlines() if "monai.bundle run" in line)
    assert shlex.split(command)[4:] == [
        "--config_file", "['configs/inference.json','configs/colour.json']", "--ckpt_path", "models/model.pt",
    ]  # fmt: skip


def test_the_report_accounts_for_dropped_tensors(bundle: Path, tmp_path: Path, shared: Path) -> None:
    state = published_state(shared, "cyclegan_g_resnet9_legacy_runningstats", width=8, channels=1)
    file = _saved(state, tmp_path / "net.pth")
    report = import_weights(bundle, {"ct": file, "mr": file})
    assert "ct: ResNet generator of 9 blocks, 8 wide, 1 → 1 channels, instance norm" in report
    assert "48 tensors" in report
    assert "69 dropped, because instance norm takes the statistics of each image itself" in report


def test_existing_weights_stay_unless_forced(bundle: Path, files: dict[str, Path]) -> None:
    (bundle / "models").mkdir()
    (bundle / "models/model.pt").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"model.pt: found a file; wanted a new one(.|\n)*--force"):
        import_weights(bundle, files)
    assert (bundle / "models/model.pt").read_bytes() == b"precious"
    import_weights(bundle, files, force=True)
    network_of(bundle)


def test_one_faulty_file_writes_nothing(bundle: Path, files: dict[str, Path]) -> None:
    state = torch.load(files["mr"], weights_only=True)
    _saved({**state, "model.4.weight": state["model.4.weight"][:3], "model.99.weight": torch.ones(1)}, files["mr"])
    with pytest.raises(InputError, match=r"G_A.pth: found 1 unknown \(model.99.weight\); 1 misshapen \(model.4.weight"):
        import_weights(bundle, files)
    assert not (bundle / "models").exists()


@pytest.mark.parametrize("name", [".", "ct_mr_cyclegan_translation", "../ct_mr_cyclegan_translation"])
def test_a_bundle_is_found_from_inside_its_folder(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(root / "bundles/ct_mr_cyclegan_translation")
    with pytest.raises(InputError, match="wanted one file for each of ct, mr"):
        import_weights(name, {})


def test_the_help_says_which_published_file_makes_which_modality(root: Path) -> None:
    said = main.__doc__ or ""
    assert "Published G_A makes domain B and G_B makes domain A; with A = CT and B = MR therefore" in said
    command = "import_weights.py ct_mr_cyclegan_translation ct=latest_net_G_B.pth mr=latest_net_G_A.pth"
    assert command in said
    assert command in (root / "bundles/ct_mr_cyclegan_translation/docs/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("roles", [["ct"], ["ct", "mr", "pet"], ["ct", "MR"], []])
def test_roles_other_than_those_of_the_bundle_are_refused(
    bundle: Path, files: dict[str, Path], roles: list[str]
) -> None:
    with pytest.raises(InputError, match=r"wanted one file for each of ct, mr(.|\n)*ct=FILE mr=FILE"):
        import_weights(bundle, dict.fromkeys(roles, files["ct"]))


def test_a_folder_that_is_no_importing_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    with pytest.raises(InputError, match="wanted the folder of a bundle that imports published checkpoints"):
        import_weights(tmp_path, {})


def test_the_command_line_imports(bundle: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    fire.Fire(main, [str(bundle), f"ct={files['ct']}", f"mr={files['mr']}", "--output", str(bundle / "other.pt")])
    assert f"wrote {bundle / 'other.pt'}" in capsys.readouterr().out
    assert (bundle / "other.pt").is_file()


def test_a_force_with_a_value_is_refused_on_the_command_line(bundle: Path, files: dict[str, Path]) -> None:
    with pytest.raises(SystemExit, match="--force: found 'false'; wanted the flag alone"):
        fire.Fire(main, [str(bundle), f"ct={files['ct']}", "--force", "false"])


def test_an_option_that_is_neither_the_tools_nor_an_id_is_refused(bundle: Path, files: dict[str, Path]) -> None:
    given = [f"ct={files['ct']}", f"mr={files['mr']}", "--forse", "True"]
    with pytest.raises(
        SystemExit, match=r"found --forse; wanted options of the tool, or ids of configs/inference.json"
    ):
        fire.Fire(main, [str(bundle), *given])
    assert not (bundle / "models").exists()


def test_an_overlay_that_is_not_there_is_refused(bundle: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"configs/none.json: found no such file; wanted the file of --config"):
        import_weights(bundle, files, config=["configs/none.json"])


def test_ids_beside_a_training_are_refused(bundle: Path) -> None:
    with pytest.raises(SystemExit, match="--training: found other files"):
        fire.Fire(main, [str(bundle), "--training", "content.pth", "--output", "out", "--channels", "8"])


def test_an_error_on_the_command_line_is_its_text_alone(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="What to do: give a bundle's folder, or the name of one"):
        fire.Fire(main, [str(tmp_path), "ct=a.pth"])


def _saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: 0.5 * value for key, value in state.items()}
