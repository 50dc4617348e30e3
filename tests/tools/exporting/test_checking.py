"""How far a file is from the module it was made of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from exporting.checking import Difference, checked_script, difference
from exporting.examples import Example
from exporting.programs import program_of, write_program
from transmodal.errors import InputError

EXAMPLE = Example((torch.rand(3, 1, 4, 4),), (torch.rand(5, 1, 6, 6),), ("image",))


class Scaling(nn.Module):
    """A multiple of its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, image: Tensor) -> Tensor:
        return self.factor * image


def network(factor: float) -> nn.Sequential:
    whole = nn.Sequential()
    whole.part = Scaling(factor)
    return whole.eval()


def apart(wanted: float, found: float, folder: Path) -> Difference:
    write_program(program_of(network(found), "part", EXAMPLE), folder / "part.pt2")
    return difference(network(wanted), "part", EXAMPLE, folder / "part.pt2")


def script(factor: float, folder: Path) -> Path:
    torch.jit.save(torch.jit.script(Scaling(factor)), folder / "model.ts")
    return folder / "model.ts"


def test_the_same_is_no_difference(tmp_path: Path) -> None:
    assert apart(0.5, 0.5, tmp_path) == (0, False)


@pytest.mark.parametrize(("wanted", "found"), [(1.0, float("nan")), (float("nan"), float("nan")), (1.0, float("inf"))])
def test_values_that_are_not_finite_are_infinitely_far(wanted: float, found: float, tmp_path: Path) -> None:
    assert apart(wanted, found, tmp_path).largest == float("inf")


def test_an_answer_of_one_value_is_told(tmp_path: Path) -> None:
    assert apart(0.0, 0.0, tmp_path).constant


def test_a_script_that_computes_the_same_stays(tmp_path: Path) -> None:
    path = script(0.5, tmp_path)
    assert checked_script(Scaling(0.5), torch.rand(1, 1, 4, 4), path) == (0, False)
    assert path.exists()


def test_a_script_that_computes_something_else_is_removed(tmp_path: Path) -> None:
    path = script(0.6, tmp_path)
    with pytest.raises(InputError, match="away from those of PyTorch"):
        checked_script(Scaling(0.5), torch.rand(1, 1, 4, 4), path)
    assert not path.exists()
