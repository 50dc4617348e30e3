"""Programs, graphs and scripts of small modules."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import onnx
import pytest
import torch
from torch import Tensor, nn

from exporting.checking import TOLERANCE, checked, difference
from exporting.examples import Example
from exporting.programs import Flat, flat, program_of, write_graph, write_program, write_script
from transmodal.errors import InputError
from transmodal.exported import KEYS, OnnxPart


class Pair(NamedTuple):
    """Two images."""

    image: Tensor
    other: Tensor


class Mixing(nn.Module):
    """A convolution of the sum of two images."""

    size_multiple = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, pair: Pair, timesteps: Tensor) -> Pair:
        mixed = self.mix(pair.image + pair.other)
        return Pair(mixed, mixed * timesteps[:, None, None, None])

    def mix(self, image: Tensor) -> Tensor:
        return self.conv(image)


class Network(nn.Module):
    """A network with one part."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing = Mixing()

    def forward(self, image: Tensor) -> Tensor:
        return self.mixing.mix(image)


def example(first: tuple[int, int] = (8, 6), second: tuple[int, int] = (4, 10)) -> Example:
    def args(batch: int, sizes: tuple[int, int]) -> tuple[Pair, Tensor]:
        return Pair(torch.rand(batch, 1, *sizes), torch.rand(batch, 1, *sizes)), torch.arange(batch)

    return Example(args(3, first), args(5, second), ("pair_image", "pair_other", "timesteps"))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture(scope="module")
def files(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    program = program_of(network, "mixing", example())
    write_program(program, folder / "mixing.pt2")
    write_graph(program, network, "mixing", example().names, folder / "mixing.onnx", "abc")
    return folder


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_a_file_computes_what_the_part_computes(network: Network, files: Path, suffix: str) -> None:
    assert difference(network, "mixing", example(), files / f"mixing.{suffix}").largest < 1e-6


def test_a_graph_has_the_names_of_arguments_and_axes(files: Path) -> None:
    part = OnnxPart(files / "mixing.onnx")
    assert list(part.inputs) == ["pair_image", "pair_other", "timesteps"]
    assert part.inputs["pair_image"] == ("tensor(float)", ["batch", 1, "height", "width"])


def test_a_graph_tells_its_part_its_weights_and_its_sizes(files: Path) -> None:
    told = {each.key: each.value for each in onnx.load(files / "mixing.onnx").metadata_props}
    assert {key: told[name] for key, name in KEYS.items()} == {"part": "mixing", "weights": "abc", "multiple": "2"}


def test_sizes_that_do_not_differ_are_fixed(network: Network, tmp_path: Path) -> None:
    shown = example((8, 6), (4, 6))
    write_graph(program_of(network, "mixing", shown), network, "mixing", shown.names, tmp_path / "a.onnx", "abc")
    assert OnnxPart(tmp_path / "a.onnx").inputs["pair_image"][1] == ["batch", 1, "height", 6]


def test_a_method_is_exported_as_a_module_is(network: Network, tmp_path: Path) -> None:
    shown = Example((torch.rand(3, 1, 8, 6),), (torch.rand(5, 1, 4, 10),), ("image",))
    write_program(program_of(network, "mixing.mix", shown), tmp_path / "a.pt2")
    assert difference(network, "mixing.mix", shown, tmp_path / "a.pt2").largest < 1e-6


def test_a_batch_that_comes_out_as_a_constant_is_an_error() -> None:
    class Stubborn(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.new_zeros(len(image), 1) + image[:, :1]

    network = nn.Sequential()
    network.part = Stubborn()
    shown = Example((torch.rand(3, 2),), (torch.rand(5, 2),), ("image",))
    with pytest.raises(InputError, match=r"the part 'part': found what torch.export cannot take"):
        program_of(network, "part", shown)


def test_a_file_of_other_weights_is_noticed_and_removed(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixing.onnx"
    path.write_bytes((files / "mixing.onnx").read_bytes())
    other = Network().eval()
    with torch.no_grad():
        other.mixing.conv.bias += 100 * TOLERANCE
    with pytest.raises(InputError, match="away from those of PyTorch"):
        checked(other, "mixing", example(), path)
    assert not path.exists()


def test_a_script_computes_what_the_network_computes(network: Network, tmp_path: Path) -> None:
    class Scriptable(nn.Module):
        def __init__(self, conv: nn.Conv2d) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, image: Tensor) -> Tensor:
            return self.conv(image)

    write_script(Scriptable(network.mixing.conv), tmp_path / "model.ts", {"version": "0.1.0"})
    told = {"metadata.json": ""}
    image = torch.rand(1, 1, 4, 4)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts", _extra_files=told)(image), network(image))
    assert b"0.1.0" in bytes(told["metadata.json"])


def test_the_flat_part_takes_and_returns_tensors_one_after_another(network: Network) -> None:
    shown = example()
    tensors = flat(shown.first)
    answer = Flat(network, "mixing", shown.first)(*tensors)
    assert isinstance(answer, tuple)
    torch.testing.assert_close(answer[0], network.mixing(*shown.first).image)
