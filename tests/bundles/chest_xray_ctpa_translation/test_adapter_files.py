"""Files of adapters: written and read back, published lists, and everything that does not fit refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from xray2ctpa_bundle.adapter_files import KIND, Adapters, fingerprint, read_adapters, write_adapters
from xray2ctpa_bundle.lora import linear_layers, with_adapters
from xray2ctpa_bundle.published_names import adapted_layers
from xray2ctpa_bundle.unet3d import FactorisedUNet

from tests.bundles.chest_xray_ctpa_translation.denoisers import FACTORISED, around, modern
from transmodal.errors import InputError


@pytest.fixture(scope="module")
def denoiser() -> nn.Module:
    return around().denoiser


@pytest.fixture(scope="module")
def layers(denoiser: nn.Module) -> dict[str, nn.Linear]:
    return linear_layers(denoiser)


@pytest.fixture
def adapters(layers: dict[str, nn.Linear]) -> Adapters:
    pairs = {
        name: (torch.randn(layer.out_features, 2), torch.randn(2, layer.in_features)) for name, layer in layers.items()
    }
    return Adapters(pairs, scale=0.5)


@pytest.fixture
def file(adapters: Adapters, denoiser: nn.Module, tmp_path: Path) -> Path:
    write_adapters(adapters, denoiser, tmp_path / "adapters.safetensors")
    return tmp_path / "adapters.safetensors"


def published(adapters: Adapters, prefix: str = "") -> list[Tensor]:
    """The list that the published code would write, two levels."""
    return [side for name in adapted_layers(2) for side in adapters.pairs[f"{prefix}{name}"]]


def read(path: Path, denoiser: nn.Module) -> Adapters:
    return read_adapters(path, denoiser, linear_layers(denoiser))


def same(found: Adapters, expected: Adapters) -> bool:
    return found.pairs.keys() == expected.pairs.keys() and all(
        torch.equal(mine, theirs)
        for name in expected.pairs
        for mine, theirs in zip(found.pairs[name], expected.pairs[name], strict=True)
    )


def test_what_is_written_is_read(adapters: Adapters, denoiser: nn.Module, file: Path) -> None:
    found = read(file, denoiser)
    assert same(found, adapters)
    assert (found.scale, found.rank) == (0.5, 2)


def test_the_metadata_say_what_the_adapters_are(denoiser: nn.Module, file: Path) -> None:
    with safe_open(file, framework="pt") as content:
        assert content.metadata() == {"kind": KIND, "rank": "2", "scale": "0.5", "of": fingerprint(denoiser)}


def test_the_file_holds_the_adapters_alone(layers: dict[str, nn.Linear], file: Path) -> None:
    assert set(load_file(file)) == {f"{name}.{side}" for name in layers for side in ("up", "down")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_published_lists_are_read(adapters: Adapters, denoiser: nn.Module, tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save([nn.Parameter(value.to(dtype)) for value in published(adapters)], tmp_path / "lora-3.pt")
    found = read(tmp_path / "lora-3.pt", denoiser)
    rounded = {name: (up.to(dtype).float(), down.to(dtype).float()) for name, (up, down) in adapters.pairs.items()}
    assert same(found, Adapters(rounded))
    assert found.scale == 1


def test_published_lists_fit_a_denoiser_inside_another_network(adapters: Adapters, tmp_path: Path) -> None:
    wrapped = nn.ModuleDict({"network": FactorisedUNet(**FACTORISED)})
    torch.save(published(adapters), tmp_path / "lora.pt")
    assert set(read(tmp_path / "lora.pt", wrapped).pairs) == {f"network.{name}" for name in adapters.pairs}


@pytest.mark.parametrize("kind", [nn.Linear, nn.Conv3d, nn.GroupNorm])
def test_adapters_of_other_weights_are_refused(denoiser: nn.Module, file: Path, kind: type[nn.Module]) -> None:
    """Whichever weights of the denoiser those are: a convolution has no adapter and counts all the same."""
    moved = copy.deepcopy(denoiser)
    layer = next(module for module in moved.modules() if isinstance(module, kind))
    with torch.no_grad():
        layer.weight.flatten()[0] += 1e-3
    with pytest.raises(InputError, match="found adapters of other weights than those of the denoiser"):
        read(file, moved)


def test_adapters_beside_the_weights_do_not_count(denoiser: nn.Module, file: Path, adapters: Adapters) -> None:
    adapted = with_adapters(copy.deepcopy(denoiser), rank=2)
    assert fingerprint(adapted, adapters.pairs) == fingerprint(denoiser)
    assert same(read(file, adapted), adapters)


def test_adapters_of_another_denoiser_are_refused(file: Path) -> None:
    with pytest.raises(InputError, match=r"found adapters of 24 layers that are not those .* wanted one for each of"):
        read(file, modern())


@pytest.mark.parametrize("num_levels", [0, 2])
def test_a_published_list_fits_the_published_denoiser_alone(tmp_path: Path, num_levels: int) -> None:
    pair = [torch.zeros(3, 2), torch.zeros(2, 3)]
    torch.save(pair * len(adapted_layers(num_levels)), tmp_path / "lora.pt")
    with pytest.raises(InputError, match="a published list fits the published denoiser"):
        read(tmp_path / "lora.pt", modern())


def test_a_published_list_of_other_levels_is_refused(
    adapters: Adapters, denoiser: nn.Module, layers: dict[str, nn.Linear], tmp_path: Path
) -> None:
    torch.save(published(adapters)[:-2], tmp_path / "lora.pt")
    with pytest.raises(InputError, match="found adapters of 23 layers"):
        read(tmp_path / "lora.pt", denoiser)


def test_a_published_list_of_other_widths_is_refused(adapters: Adapters, denoiser: nn.Module, tmp_path: Path) -> None:
    wrong = published(adapters)
    wrong[0] = wrong[0][:-1]
    torch.save(wrong, tmp_path / "lora.pt")
    with pytest.raises(InputError, match=r"found up \(95, 2\) and down \(2, 8\) for 'stem_attention.*wanted \(96, 2\)"):
        read(tmp_path / "lora.pt", denoiser)


def test_values_that_are_not_finite_are_refused(adapters: Adapters, denoiser: nn.Module, tmp_path: Path) -> None:
    wrong = published(adapters)
    wrong[3][0, 0] = torch.nan
    torch.save(wrong, tmp_path / "lora.pt")
    with pytest.raises(InputError, match="that are not finite"):
        read(tmp_path / "lora.pt", denoiser)


@pytest.mark.parametrize("content", [[], [torch.zeros(3)], {"a": torch.zeros(2, 2)}, [1, 2]])
def test_other_files_of_pytorch_are_refused(
    content: object, denoiser: nn.Module, layers: dict[str, nn.Linear], tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "lora.pt")
    with pytest.raises(InputError, match=r"found (no list of matrices|adapters of 0 layers)"):
        read(tmp_path / "lora.pt", denoiser)


def test_other_safetensors_are_refused(denoiser: nn.Module, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="found tensors such as weight; wanted adapters as"):
        read(tmp_path / "other.safetensors", denoiser)


def test_damaged_safetensors_are_refused(denoiser: nn.Module, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="found a file that safetensors cannot read"):
        read(file, denoiser)


@pytest.mark.parametrize("name", ["adapters.safetensors", "lora.pt"])
def test_a_missing_file_is_told(denoiser: nn.Module, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: found no such file"):
        read(tmp_path / name, denoiser)
