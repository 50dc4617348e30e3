"""Published checkpoints of the denoiser: recognised by their tensors, with adapters merged, all else refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.published import denoiser_in, merged, read, recognise

from tests.parity.fill import fill_keys
from tests.parity.test_xray2ctpa_unet3d import condition, golden, published_keys
from transmodal.checkpoints import Published, match
from transmodal.errors import InputError

README: dict[str, Any] = {
    "_target_": "xray2ctpa_bundle.unet3d.FactorisedUNet",
    "channels": 4,
    "dim": 32,
    "dim_mults": [1, 2, 4, 8],
    "condition_dim": 512,
    "heads": 8,
    "head_dim": 32,
    "norm_groups": 8,
}
NETWORKS = {
    "unet3d_readme": README,
    "unet3d_small": {**README, "dim": 16, "dim_mults": [1, 2, 4], "condition_dim": 24},
}
FREQUENCIES = "init_temporal_attn.fn.fn.fn.rotary_emb.freqs"


def shapes(shared: Path, name: str) -> dict[str, Tensor]:
    """The published keys with tensors of no content."""
    return {key: torch.empty(shape, device="meta") for key, shape, _ in published_keys(shared, name)}


def filled(shared: Path, name: str) -> dict[str, Tensor]:
    """The published keys with the deterministic weights, and the angles that every published file has."""
    state = fill_keys(published_keys(shared, name))
    angles = golden(shared, "attention_units")["freqs"]
    return {key: angles if key.endswith("rotary_emb.freqs") else value for key, value in state.items()}


def training(state: dict[str, Tensor]) -> dict[str, Any]:
    """What the published code writes: every network at once, with moving averages."""
    averages = {f"denoise_fn.{key}": value for key, value in state.items()}
    averages |= {"betas": torch.zeros(1000), "xray_encoder.proj": torch.zeros(2, 2), "netD.0.weight": torch.zeros(3)}
    weights = {key: torch.full_like(value, 7.0) for key, value in averages.items()}
    return {"step": 81_000, "model": weights, "ema": averages, "scaler": {"scale": 65536.0, "_growth_tracker": 0}}


def built(published: Published, device: str = "meta") -> nn.Module:
    with torch.device(device):
        network: nn.Module = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    return network.eval()


def predicted(path: Path, given: dict[str, Tensor]) -> Tensor:
    """What our network predicts with the weights in a published file."""
    state, where, published = read(path, "denoiser")
    network = built(published)
    weights, _ = match(state, network.state_dict(), published.key_map, where)
    network.load_state_dict(weights, assign=True)
    with torch.no_grad():
        prediction: Tensor = network(condition(given["cond"]), given["x"], given["t"])
    return prediction


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_recognised_by_its_tensors(shared: Path, name: str) -> None:
    assert recognise(shapes(shared, name), where="model-81.pt").definition == NETWORKS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_recognised_network_has_exactly_the_published_tensors(shared: Path, name: str) -> None:
    state = shapes(shared, name)
    published = recognise(state, where=name)
    _, report = match(
        {key: torch.zeros(value.shape) for key, value in state.items()},
        built(published).state_dict(),
        published.key_map,
        name,
    )
    assert set(report.loaded.values()) == set(built(published).state_dict())


def test_the_title_and_the_ids_of_the_bundle_follow_from_the_tensors(shared: Path) -> None:
    published = recognise(shapes(shared, "unet3d_readme"), where="x")
    assert published.title == (
        "factorised 3D U-Net of 4 latent channels, 4 levels (1 2 4 8 times 32 wide), 8 heads of 32, "
        "told 512 numbers of a radiograph; predicts noise"
    )
    assert published.settings == {
        "latent_channels": 4,
        "denoiser_channels": 32,
        "channel_mult": [1, 2, 4, 8],
        "embedding_dim": 512,
    }


def test_the_denoiser_of_a_training_is_the_average_of_its_weights(shared: Path, tmp_path: Path) -> None:
    torch.save(training(filled(shared, "unet3d_small")), tmp_path / "model-81.pt")
    given = golden(shared, "unet3d_small")
    assert_close(predicted(tmp_path / "model-81.pt", given), given["y"], rtol=0, atol=1e-5)


def test_without_averages_the_weights_themselves_are_read(shared: Path, tmp_path: Path) -> None:
    content = training(filled(shared, "unet3d_small"))
    torch.save({"step": 1, "model": content["ema"]}, tmp_path / "model-0.pt")
    given = golden(shared, "unet3d_small")
    assert_close(predicted(tmp_path / "model-0.pt", given), given["y"], rtol=0, atol=1e-5)


def test_a_denoiser_alone_is_read(shared: Path, tmp_path: Path) -> None:
    torch.save(filled(shared, "unet3d_small"), tmp_path / "denoiser.pt")
    given = golden(shared, "unet3d_small")
    assert_close(predicted(tmp_path / "denoiser.pt", given), given["y"], rtol=0, atol=1e-5)


def test_adapters_in_a_file_are_merged_into_the_weights(shared: Path, tmp_path: Path) -> None:
    torch.save(training(filled(shared, "unet3d_small_lora")), tmp_path / "model-81.pt")
    given = golden(shared, "unet3d_small_lora")
    assert_close(predicted(tmp_path / "model-81.pt", given), given["y"], rtol=0, atol=2e-5)


def test_merging_keeps_the_biases_and_all_other_layers(shared: Path) -> None:
    state = filled(shared, "unet3d_small_lora")
    plain = merged(state)
    assert list(plain) == [key for key, _, _ in published_keys(shared, "unet3d_small")]
    assert torch.equal(plain["mid_block1.mlp.1.bias"], state["mid_block1.mlp.1.linear.bias"])
    assert plain["time_mlp.1.weight"] is state["time_mlp.1.weight"]


def test_half_an_adapter_is_not_dropped_in_silence(shared: Path) -> None:
    state = filled(shared, "unet3d_small_lora")
    del state["mid_block1.mlp.1.lora_down.weight"]
    assert {"mid_block1.mlp.1.linear.weight", "mid_block1.mlp.1.lora_up.weight"} <= set(merged(state))


def test_the_denoiser_alone_and_in_a_training_are_the_same(shared: Path) -> None:
    state = filled(shared, "unet3d_small")
    assert list(denoiser_in(training(state)["ema"])) == list(denoiser_in(state)) == list(state)


def test_other_angles_are_not_dropped_in_silence(shared: Path, tmp_path: Path) -> None:
    state = filled(shared, "unet3d_small")
    torch.save({**state, FREQUENCIES: state[FREQUENCIES] * 1.01}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="found rotary positions of its own, init_temporal_attn"):
        read(tmp_path / "model.pt", "denoiser")


def test_angles_in_half_precision_are_the_same(shared: Path, tmp_path: Path) -> None:
    state = {key: value.half() for key, value in filled(shared, "unet3d_small").items()}
    torch.save(state, tmp_path / "model.pt")
    given = golden(shared, "unet3d_small")
    assert_close(predicted(tmp_path / "model.pt", given), given["y"], rtol=0, atol=2e-2)


def test_the_plain_network_is_refused_by_name(shared: Path) -> None:
    with pytest.raises(InputError, match=r"found the plain UNet, which is not told .*wanted the 3D U-Net of the publ"):
        recognise(shapes(shared, "unet_plain_readme"), where="model-3.pt")


@pytest.mark.parametrize("name", ["pe_classifier", "vqgan_small", "vit_tiny"])
def test_other_networks_are_refused(shared: Path, name: str) -> None:
    with pytest.raises(
        InputError, match=r"found no .* dimensions, but .*wanted the 3D U-Net of the published X-ray2CT"
    ):
        recognise(shapes(shared, name), where="net.pt")


@pytest.mark.parametrize(
    ("key", "shape", "what"),
    [
        ("null_cond_emb", (24,), "no null_cond_emb of 2 dimensions"),
        (
            "downs.1.0.block1.proj.weight",
            (33, 16, 1, 3, 3),
            r"a denoiser of 4 channels whose levels are \[16, 33, 64\] wide, its stem 16",
        ),
        ("final_conv.1.weight", (3, 16, 1, 1, 1), "a denoiser of 4 channels whose levels"),
    ],
)
def test_tensors_that_do_not_go_together_are_refused(shared: Path, key: str, shape: tuple[int, ...], what: str) -> None:
    state = shapes(shared, "unet3d_small") | {key: torch.empty(shape, device="meta")}
    with pytest.raises(InputError, match=f"model.pt: found {what}"):
        recognise(state, where="model.pt")


def test_the_ids_are_those_of_every_config_that_builds_the_networks(shared: Path, root: Path) -> None:
    ids = set(recognise(shapes(shared, "unet3d_readme"), where="x").settings)
    for config in ("inference.json", "train.json"):
        written = json.loads((root / "bundles/chest_xray_ctpa_translation/configs" / config).read_text())
        assert ids <= set(written)
