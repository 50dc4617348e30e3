"""A bundle's network as it is measured: built from its config, with weights that make every layer count."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from benchmarks.contestants import line_up
from benchmarks.setting import Setting, draw_weights
from tests.packaging.tiny import give_weights, tiny_bundle
from transmodal.errors import InputError
from transmodal.networks.nets import NCSNpp


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path)


@pytest.fixture
def syndiff(root: Path) -> Setting:
    bundle = root / "bundles/ct_mr_syndiff_translation"
    return Setting(str(bundle), resolution=(16, 24), overlays=(str(bundle / "configs/small.json"),))


def test_a_bundle_is_measured_whole_with_the_image_of_its_metadata(tiny: Path) -> None:
    network, inputs = Setting(str(tiny), resolution=(5, 7))(3)
    assert type(network).__name__ == "Translators"
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {"image": (3, 1, 5, 7)}


def test_a_volume_has_three_sizes(tiny: Path) -> None:
    assert Setting(str(tiny), resolution=(5, 7, 3))(1)[1]["image"].shape == (1, 1, 5, 7, 3)


def test_of_syndiff_one_generator_is_measured(syndiff: Setting) -> None:
    network, inputs = syndiff(2)
    assert isinstance(network, NCSNpp)
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        "image": (2, 2, 16, 24), "timesteps": (2,), "latent": (2, network.latent_mapping.layers[0].in_features),
    }  # fmt: skip
    assert not network.training


@torch.no_grad()
def test_the_first_samples_of_a_larger_batch_are_those_of_a_smaller_one(syndiff: Setting) -> None:
    network, two = syndiff(2)
    same, three = syndiff(3)
    for name, value in two.items():
        assert torch.equal(three[name][:2], value)
    assert_close(same(**three)[:2], network(**two), rtol=0, atol=1e-5)


@torch.no_grad()
def test_of_mu_diff_both_denoisers_are_measured(root: Path) -> None:
    bundle = root / "bundles/brain_mri_mudiff_synthesis"
    setting = Setting(str(bundle), resolution=(16, 24), overlays=(str(bundle / "configs/small.json"),))
    network, inputs = setting(2)
    assert type(network).__name__ == "MutualDenoisers"
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        "image": (2, 3, 16, 24), "noisy": (2, 1, 16, 24), "timesteps": (2,), "latent": (2, network.latent_dim),
    }  # fmt: skip
    assert network(**inputs).shape == (2, 1, 16, 24)
    reference, *_ = line_up(bundle.name, (1,))
    difference = reference.ready(network, inputs)() - network(**inputs)[:1]
    assert 0 < difference.abs().max() < 1e-5


@torch.no_grad()
def test_of_md_dga_no_more_than_the_slice_net_is_built(root: Path) -> None:
    bundle = root / "bundles/ct_mr_mddga_translation"
    setting = Setting(str(bundle), resolution=(13, 16), overlays=(str(bundle / "configs/small.json"),))
    network, inputs = setting(2)
    assert not {"autoencoder", "volume"} & {name for name, _ in network.named_children()}
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        "image": (2, 1, 13, 16), "noisy": (2, 1, 13, 16), "timesteps": (2,),
    }  # fmt: skip
    reference, *_ = line_up(bundle.name, (1,))
    difference = reference.ready(network, inputs)() - network(**inputs)[:1]
    assert 0 < difference.abs().max() < 1e-5


def test_slices_of_md_dga_are_numbered_by_the_first_axis(root: Path) -> None:
    setting = Setting(str(root / "bundles/ct_mr_mddga_translation"), resolution=(12, 16))
    assert setting.volume(8).shape == (1, 1, 8, 12, 16)


def test_overrides_stand_over_the_config_and_its_overlays(root: Path) -> None:
    bundle = root / "bundles/ct_mr_mddga_translation"
    overlays = (str(bundle / "configs/small.json"),)
    assert Setting(str(bundle), (8, 8), overlays=overlays).content("embedding_dim") == 4
    assert (
        Setting(str(bundle), (8, 8), overlays=overlays, overrides=(("embedding_dim", 3),)).content("embedding_dim") == 3
    )


def test_volumes_are_translated_by_the_bundles_own_inferer(tiny: Path) -> None:
    setting = Setting(str(tiny), resolution=(5, 7))
    network, inferer = setting.for_volumes()
    assert type(inferer).__name__ == "TargetInferer"
    assert setting.volume(3).shape == (1, 1, 5, 7, 3)
    assert inferer(setting.volume(3), network).shape == (1, 1, 5, 7, 3)


def test_samples_differ(syndiff: Setting) -> None:
    _, inputs = syndiff(2)
    assert not torch.equal(inputs["image"][0], inputs["image"][1])


def test_an_overlay_changes_the_network(tiny: Path) -> None:
    (tiny / "configs/other.json").write_text('{"network_def": {"_target_": "torch.nn.Identity"}}')
    network, _ = Setting(str(tiny), (4,), overlays=(str(tiny / "configs/other.json"),))(1)
    assert isinstance(network, nn.Identity)


def test_weights_come_from_a_checkpoint_where_one_is_given(tiny: Path) -> None:
    network, _ = Setting(str(tiny), (4, 4), ckpt_path=str(give_weights(tiny, ct=0.125)))(1)
    assert network.ct.value.item() == 0.125


def test_a_missing_checkpoint_is_an_error(tiny: Path) -> None:
    with pytest.raises(InputError, match=r"none.pt: found no such file"):
        Setting(str(tiny), (4, 4), ckpt_path=str(tiny / "none.pt"))(1)


def test_the_threads_are_set(tiny: Path) -> None:
    Setting(str(tiny), (4, 4), threads=2)(1)
    assert torch.get_num_threads() == 2


def test_drawn_weights_are_the_same_every_time(syndiff: Setting) -> None:
    (one, _), (other, _) = syndiff(1), syndiff(1)
    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


@torch.no_grad()
@pytest.mark.parametrize("last", ["conv2", "projection", "head"])
def test_with_drawn_weights_no_branch_is_silent(syndiff: Setting, last: str) -> None:
    """As published these layers start at 1e-5 of the others, and what lies before them would not be compared."""
    network, inputs = syndiff(1)
    before = network(**inputs)
    weights = [value for name, value in network.named_parameters() if name.endswith(f"{last}.weight")]
    assert weights
    for weight in weights:
        weight.mul_(1.5)
        assert (network(**inputs) - before).abs().max() > 0.01
        weight.div_(1.5)


def test_drawn_weights_keep_the_norms_near_where_they_started() -> None:
    network = nn.Sequential(nn.Conv2d(8, 64, 3), nn.GroupNorm(8, 64))
    draw_weights(network)
    assert float(network[0].weight.detach().std()) == pytest.approx(72**-0.5, rel=0.05)
    assert float((network[1].weight.detach() - 1).std()) == pytest.approx(0.1, rel=0.3)
