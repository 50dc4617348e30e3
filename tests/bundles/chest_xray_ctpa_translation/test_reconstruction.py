"""Validation of autoencoders: volumes through them and back, with their metadata."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from torch import nn
from torch.testing import assert_close
from xray2ctpa_bundle.reconstruction import Reconstruction
from xray2ctpa_bundle.slice_autoencoder import SliceAutoencoder

from transmodal.errors import InputError


@pytest.fixture
def autoencoder() -> SliceAutoencoder:
    return SliceAutoencoder(channels=(8, 16), num_res_blocks=1, norm_groups=4, image_channels=1).eval()


@torch.no_grad()
def test_volumes_are_encoded_and_decoded(autoencoder: SliceAutoencoder) -> None:
    volume = torch.rand(2, 1, 3, 8, 8) * 2 - 1
    made = Reconstruction()(volume, autoencoder)
    assert_close(made, autoencoder.decode(autoencoder.encode(volume)))


def test_the_autoencoder_of_a_whole_network_is_taken(autoencoder: SliceAutoencoder) -> None:
    volume, whole = torch.zeros(1, 1, 2, 8, 8), nn.Module()
    whole.autoencoder = autoencoder
    assert torch.equal(Reconstruction()(volume, whole), Reconstruction()(volume, autoencoder))


def test_the_metadata_stay(autoencoder: SliceAutoencoder) -> None:
    affine = torch.diag(torch.tensor([5.0, 1.5, 1.5, 1.0])).double()
    made = Reconstruction()(MetaTensor(torch.zeros(1, 1, 2, 8, 8), affine=affine), autoencoder)
    assert isinstance(made, MetaTensor)
    assert torch.equal(made.affine, affine)


def test_no_gradient_is_kept(autoencoder: SliceAutoencoder) -> None:
    assert not Reconstruction()(torch.zeros(1, 1, 2, 8, 8), autoencoder).requires_grad


def test_under_autocast_the_result_is_close_and_in_full_precision(autoencoder: SliceAutoencoder) -> None:
    volume = torch.rand(1, 1, 2, 8, 8)
    made = Reconstruction(amp=True)(volume, autoencoder)
    assert made.dtype == torch.float32
    assert_close(made, Reconstruction()(volume, autoencoder), rtol=0, atol=0.05)
    assert not torch.equal(made, Reconstruction()(volume, autoencoder))


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 3, 2, 8, 8)])
def test_what_is_no_volume_is_refused(autoencoder: SliceAutoencoder, shape: Any) -> None:
    with pytest.raises(InputError, match=r"Reconstruction: found an image of shape .*; wanted volumes"):
        Reconstruction()(torch.zeros(shape), autoencoder)


def test_a_flag_given_as_text_is_refused() -> None:
    with pytest.raises(InputError, match="Reconstruction, amp: found 'true'"):
        Reconstruction(amp="true")  # type: ignore[arg-type]
