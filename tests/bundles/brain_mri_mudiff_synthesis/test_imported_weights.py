"""Published denoisers of MU-Diff in the bundle: they synthesise as published, and carry what they are for."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import fire
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn
from torch.testing import assert_close

from import_weights import import_weights, main
from tests.parity.fill import fill_keys
from tests.parity.test_mudiff_networks import golden, inputs
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

WIDTHS = {
    "num_sources": "$len(@sources)",
    "channels": 16,
    "attention": [False, False, True],
    "latent_dim": "@latent_dim",
    "style_dim": 32,
}
CONFIG: dict[str, Any] = {
    "orders": {"t1ce": ["flair", "t2", "t1"], "t2": ["t1ce", "t1", "flair"]},
    "target": "t1ce",
    "sources": "$@orders[@target]",
    "latent_dim": 100,
    "num_timesteps": 4,
    "specific_def": {"_target_": "mudiff_bundle.networks.ContrastSpecificDenoiser", **WIDTHS},
    "aware_def": {"_target_": "mudiff_bundle.networks.ContrastAwareDenoiser", **WIDTHS},
    "network_def": {
        "_target_": "mudiff_bundle.networks.MutualDenoisers",
        "specific": "@specific_def",
        "aware": "@aware_def",
        "sources": "@sources",
        "target": "@target",
        "num_timesteps": "@num_timesteps",
        "latent_dim": "@latent_dim",
    },
}
ISLES = {"orders": {"flair": ["t1", "t2", "dwi"]}, "target": "flair"}


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> Path:
    """A small MU-Diff bundle with the package of the real one."""
    home = tmp_path / "brain_mri_mudiff_synthesis"
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "inference.json").write_text(json.dumps(CONFIG))
    (home / "configs" / "isles.json").write_text(json.dumps(ISLES))
    package = root / "bundles/brain_mri_mudiff_synthesis/mudiff_bundle"
    (home / "mudiff_bundle").symlink_to(package, target_is_directory=True)
    return home


def published_files(shared: Path, folder: Path, kind: str = "", prefix: str = "") -> dict[str, Path]:
    """``gen_diffusive_1.pth`` and ``gen_diffusive_2.pth`` of the bundle's own architecture."""
    files = {"specific": folder / "gen_diffusive_1.pth", "aware": folder / "gen_diffusive_2.pth"}
    for number, file in enumerate(files.values(), start=1):
        keys = json.loads((shared / f"goldens/mudiff/gen{number}{kind}_config.json").read_text())["keys"]
        torch.save({prefix + key: value for key, value in fill_keys(keys).items()}, file)
    return files


@pytest.fixture
def files(shared: Path, tmp_path: Path) -> dict[str, Path]:
    return published_files(shared, tmp_path)


def network_of(bundle: Path, *overlays: str) -> nn.Module:
    """The bundle's network with the imported weights."""
    parser = ConfigParser()
    parser.read_config([str(bundle / name) for name in ("configs/inference.json", *overlays)])
    return load_weights(parser.get_parsed_content("network_def"), bundle / "models/model.pt").eval()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(("role", "name"), [("specific", "gen1"), ("aware", "gen2")])
@torch.no_grad()
def test_both_denoisers_predict_as_published(
    bundle: Path, shared: Path, tmp_path: Path, role: str, name: str, prefix: str
) -> None:
    import_weights(bundle, published_files(shared, tmp_path, prefix=prefix))
    expected = golden(shared, name)
    predicted = network_of(bundle).get_submodule(role)(*inputs(expected))
    assert_close(predicted, expected["out"], rtol=0, atol=2e-6)


def test_the_weights_carry_the_task_of_the_bundle_and_the_report_says_which(
    bundle: Path, files: dict[str, Path]
) -> None:
    report = import_weights(bundle, files)
    assert "task: flair+t2+t1 to t1ce, T=4, as configured; the files do not tell" in report
    assert [path.name for path in (bundle / "models").iterdir()] == ["model.pt"]
    assert str(network_of(bundle).task) == "flair+t2+t1 to t1ce, T=4"
    with pytest.raises(InputError, match=r"found a network for flair\+t2\+t1 to t1ce, T=4; wanted one for t1\+t2\+dwi"):
        network_of(bundle, "configs/isles.json")


def test_another_task_is_given_by_ids_and_kept_in_the_overlay(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files, ids={"target": "t2", "num_timesteps": 2})
    assert "task: t1ce+t1+flair to t2, T=2" in report
    overlay = json.loads((bundle / "models/model.json").read_text())
    assert {key: overlay[key] for key in overlay if key != "_desc_"} == {"target": "t2", "num_timesteps": 2}
    assert str(network_of(bundle, "models/model.json").task) == "t1ce+t1+flair to t2, T=2"
    with pytest.raises(InputError, match="found a network for t1ce"):
        network_of(bundle)


def test_another_task_is_given_by_an_overlay_that_the_command_names(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files, config=["configs/isles.json"])
    assert "task: t1+t2+dwi to flair, T=4" in report
    command = next(line for line in report.splitlines() if "monai.bundle run" in line)
    assert shlex.split(command)[5] == "['configs/inference.json','configs/isles.json']"
    assert [path.name for path in (bundle / "models").iterdir()] == ["model.pt"]
    assert str(network_of(bundle, "configs/isles.json").task) == "t1+t2+dwi to flair, T=4"


def test_the_command_line_takes_ids_and_overlays_as_a_run_does(
    bundle: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"{role}={file}" for role, file in files.items()]
    fire.Fire(main, [str(bundle), *given, "--config", "configs/isles.json", "--num_timesteps", "8"])
    assert "task: t1+t2+dwi to flair, T=8" in capsys.readouterr().out
    assert json.loads((bundle / "models/model.json").read_text())["num_timesteps"] == 8


def test_ids_of_the_bundles_own_task_need_no_overlay(bundle: Path, files: dict[str, Path]) -> None:
    import_weights(bundle, files, ids={"target": "t1ce", "num_timesteps": 4})
    assert [path.name for path in (bundle / "models").iterdir()] == ["model.pt"]


def test_files_for_another_number_of_sources_are_refused_until_the_sources_are_given(
    bundle: Path, shared: Path, tmp_path: Path
) -> None:
    healthy = published_files(shared, tmp_path, kind="_healthy")
    with pytest.raises(InputError, match=r"found 3 sources, flair, t2, t1, and `specific` with stems for 2"):
        import_weights(bundle, healthy)
    assert not (bundle / "models").exists()
    import_weights(bundle, healthy, ids={"sources": ["t1", "t2"]})
    assert str(network_of(bundle, "models/model.json").task) == "t1+t2 to t1ce, T=4"


def test_files_that_are_swapped_are_told(bundle: Path, files: dict[str, Path]) -> None:
    swapped = {"specific": files["aware"], "aware": files["specific"]}
    with pytest.raises(InputError, match=r"gen_diffusive_2.pth: found the contrast-aware denoiser(.|\n)*aware=FILE"):
        import_weights(bundle, swapped)
    assert not (bundle / "models").exists()


def test_the_task_is_not_a_role(bundle: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="wanted one file for each of specific, aware"):
        import_weights(bundle, {**files, "task": files["aware"]})


def test_widths_of_the_files_that_the_bundle_has_not_are_written_into_the_overlay(
    bundle: Path, files: dict[str, Path]
) -> None:
    config = {**CONFIG, "aware_def": {**CONFIG["aware_def"], "style_dim": 8}, "latent_dim": 7}
    (bundle / "configs/inference.json").write_text(json.dumps(config))
    import_weights(bundle, files)
    overlay = json.loads((bundle / "models/model.json").read_text())
    assert overlay["latent_dim"] == 100
    assert overlay["aware_def"]["style_dim"] == 32
    assert "specific_def" not in overlay
    assert network_of(bundle, "models/model.json").latent_dim == 100


def test_an_id_that_the_files_contradict_is_refused(bundle: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"found latent_dim 100; wanted 7, as --latent_dim says"):
        import_weights(bundle, files, ids={"latent_dim": 7})


def test_ids_that_do_not_go_together_are_refused(bundle: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"--target pet.*: found a network that cannot be built"):
        import_weights(bundle, files, ids={"target": "pet"})
