"""Latents written to files: by whose weights, in what form, where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.latent_files import Encoding, SaveLatentd, with_autoencoder

from transmodal.checkpoints import save_weights
from transmodal.data import read_latent
from transmodal.errors import InputError


class Autoencoder(nn.Module):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 2, (1, 2, 2), stride=(1, 2, 2))

    def encode(self, volume: Tensor) -> Tensor:
        assert type(volume) is Tensor
        encoded: Tensor = self.conv(volume)
        return encoded


class Network(nn.Module):
    """An autoencoder and a denoiser."""

    def __init__(self) -> None:
        super().__init__()
        self.autoencoder, self.denoiser = Autoencoder(), nn.Linear(1, 1)


@pytest.mark.parametrize("whole", [True, False])
def test_the_autoencoder_is_read_from_the_whole_or_alone(tmp_path: Path, whole: bool) -> None:
    source, network = Network(), Network()
    save_weights((source if whole else source.autoencoder).state_dict(), tmp_path / "model.pt")
    assert with_autoencoder(network, tmp_path / "model.pt") is network
    assert_close(network.autoencoder.state_dict(), source.autoencoder.state_dict(), rtol=0, atol=0)


def test_weights_without_an_autoencoder_are_refused(tmp_path: Path) -> None:
    save_weights(Network().denoiser.state_dict(), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: found 2 unknown .*2 missing"):
        with_autoencoder(Network(), tmp_path / "model.pt")


def test_a_missing_file_says_how_to_train_the_autoencoder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.pt: found no such file(.|\n)*train_autoencoder\.json"):
        with_autoencoder(Network(), tmp_path / "model.pt")


def test_volumes_are_encoded_without_gradient_and_without_metadata() -> None:
    network, volume = Network(), torch.randn(2, 1, 3, 4, 6)
    latents = Encoding()(MetaTensor(volume), network)
    assert type(latents) is Tensor
    assert not latents.requires_grad
    assert_close(latents, network.autoencoder.encode(volume))


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 2, 3, 4, 4)])
def test_pictures_are_not_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="wanted volumes of one channel"):
        Encoding()(torch.zeros(shape), Network())


def test_latents_are_written_as_they_are_read(tmp_path: Path) -> None:
    latents = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    SaveLatentd("pred", tmp_path)({"pred": latents, "case": "patient_7"})
    (written,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert written == tmp_path / "patient_7" / "latent.npy"
    assert np.load(written).dtype == np.float32
    assert np.array_equal(read_latent(written), latents.float().numpy())


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = SaveLatentd("pred", tmp_path)
    save({"pred": torch.ones(2, 3, 4, 5), "case": "a"})

    def broken(path: Path, values: np.ndarray) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        save({"pred": torch.zeros(2, 3, 4, 5), "case": "a"})
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["latent.npy"]
    assert np.load(tmp_path / "a" / "latent.npy").min() == 1
