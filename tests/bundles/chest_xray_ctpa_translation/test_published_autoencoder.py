"""Published autoencoders are recognised, alone or within a checkpoint, and imported whole or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.published import read
from xray2ctpa_bundle.published_autoencoder import autoencoder_in, recognise_autoencoder
from xray2ctpa_bundle.published_slice_names import DIFFUSERS, LDM, Layout, slice_autoencoder_names
from xray2ctpa_bundle.published_vqgan_names import vqgan_names
from xray2ctpa_bundle.slice_autoencoder import SliceAutoencoder
from xray2ctpa_bundle.vqgan import VQGAN

from transmodal.checkpoints import match
from transmodal.errors import InputError


def under_published_names(network: torch.nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """The state dict of ours as the published code would have written it."""
    published = {ours: theirs for theirs, ours in names.items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, parameter = key.rpartition(".")
        name = f"{published[module]}.{parameter}" if module in published else published.get(key)
        if name is not None:
            state[name] = value
    return state


def slices(layout: Layout) -> tuple[SliceAutoencoder, dict[str, Tensor]]:
    network = SliceAutoencoder(channels=(32, 64), num_res_blocks=1, latent_channels=3)
    state = under_published_names(network, slice_autoencoder_names(layout, 2, 1))
    if layout is LDM:
        attention = ("q.weight", "k.weight", "v.weight", "proj_out.weight")
        state = {k: v[..., None, None] if "attn" in k and k.endswith(attention) else v for k, v in state.items()}
    return network, state


def imported(state: dict[str, Tensor]) -> torch.nn.Module:
    """Our network as the definition has it, with the weights of the checkpoint."""
    found = recognise_autoencoder(state, where="file")
    arguments: dict[str, Any] = dict(found.definition)
    kind = {"SliceAutoencoder": SliceAutoencoder, "VQGAN": VQGAN}[arguments.pop("_target_").rpartition(".")[2]]
    network = kind(**arguments)
    network.load_state_dict(match(state, network.state_dict(), found.key_map, where="file")[0])
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("layout", [DIFFUSERS, LDM], ids=lambda layout: layout.title)
def test_both_layouts_give_the_network_back(layout: Layout) -> None:
    network, state = slices(layout)
    volume = torch.rand(1, 1, 2, 8, 8) * 2 - 1
    again = imported(autoencoder_in(state))
    assert_close(again.encode(volume), network.eval().encode(volume))


def test_the_definition_has_all_that_the_weights_tell() -> None:
    published = recognise_autoencoder(autoencoder_in(slices(LDM)[1]), where="file")
    assert published.definition == {
        "_target_": "xray2ctpa_bundle.slice_autoencoder.SliceAutoencoder",
        "channels": [32, 64],
        "num_res_blocks": 1,
        "norm_groups": 32,
        "latent_channels": 3,
        "image_channels": 3,
        "scale": 0.18215,
        "grey": [0.114, 0.587, 0.299],
    }
    assert published.settings["autoencoder_channels"] == [32, 64]
    assert "layout of latent diffusion (LDM), 2 levels (32 64 wide) of 1 residual blocks" in published.title


@pytest.mark.parametrize("prefix", ["vae.", "first_stage_model."])
def test_it_is_found_within_a_checkpoint_of_the_whole(prefix: str) -> None:
    _, state = slices(DIFFUSERS)
    whole = {f"{prefix}{key}": value for key, value in state.items()} | {"denoise_fn.r": torch.zeros(1)}
    assert autoencoder_in(whole).keys() == state.keys()


def test_losses_and_averages_of_a_training_are_left_out() -> None:
    _, state = slices(LDM)
    state = autoencoder_in(state) | {"loss.logvar": torch.zeros(()), "model_ema.decay": torch.zeros(())}
    with torch.device("meta"):
        expected = SliceAutoencoder(channels=(32, 64), num_res_blocks=1, latent_channels=3).state_dict()
    _, report = match(state, expected, recognise_autoencoder(state, where="file").key_map, where="file")
    assert report.dropped.keys() == {"loss.logvar", "model_ema.decay"}


def test_attention_of_older_files_is_understood() -> None:
    network, state = slices(DIFFUSERS)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, before in old.items():
        state = {key.replace(f"attentions.0.{new}.", f"attentions.0.{before}."): v for key, v in state.items()}
    again = imported(autoencoder_in(state)).state_dict()
    assert all(torch.equal(again[key], value) for key, value in network.state_dict().items())


@torch.no_grad()
def test_a_vqgan_gives_the_network_back_with_its_codebook() -> None:
    network = VQGAN(channels=32, embedding_dim=3, num_codes=5)
    network.codebook.uses.copy_(torch.arange(5.0))
    state = under_published_names(network, vqgan_names())
    assert "codebook.embeddings" in state
    again = imported(autoencoder_in({f"vqgan.{key}": value for key, value in state.items()}))
    volume = torch.rand(1, 1, 4, 4, 4) * 2 - 1
    assert_close(again.decode(again.encode(volume)), network.eval().decode(network.encode(volume)))
    assert_close(again.codebook.uses, network.codebook.uses)
    assert not again.codebook.fresh


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_files_are_read_for_the_role_of_the_autoencoder(tmp_path: Path, suffix: str) -> None:
    _, state = slices(LDM)
    file = tmp_path / f"vae{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": state}, file)
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, file)
    tensors, where, published = read(file, "autoencoder")
    assert where == str(file)
    assert tensors["encoder.mid.attn_1.q.weight"].ndim == 2
    assert published.settings["latent_channels"] == 3


def test_another_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"file: found keys such as a, b; wanted an autoencoder of Stable Diffusion"):
        recognise_autoencoder({"a": torch.zeros(1), "b": torch.zeros(1)}, where="file")
