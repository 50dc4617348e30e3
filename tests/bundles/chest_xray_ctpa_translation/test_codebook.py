"""The codebook: nearest codes, moving averages, restarts, and what survives a resumed training."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle import codebook as module
from xray2ctpa_bundle.codebook import Codebook

from transmodal.errors import InputError
from transmodal.networks.blocks.straight_through import straight_through


def codebook(codes: list[list[float]], decay: float = 0.9, restart: float = 0.0) -> Codebook:
    """A trained one, each code used once."""
    made = Codebook(len(codes), len(codes[0]), decay, restart)
    made.codes.copy_(torch.tensor(codes))
    made.sums.copy_(made.codes)
    made.uses.fill_(1)
    made.fresh.fill_(False)
    return made


def latents(rows: list[list[float]]) -> Tensor:
    """(1, E, N) of N rows."""
    return torch.tensor(rows, dtype=torch.float32).t()[None]


def test_each_latent_gets_the_nearest_code() -> None:
    codes, numbers = codebook([[0, 0], [10, 0], [0, 10]]).eval()(latents([[9, 1], [1, 1], [-3, 8]]))
    assert numbers.tolist() == [[1, 0, 2]]
    assert codes.tolist() == [[[10, 0, 0], [0, 0, 10]]]


def test_the_search_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made, z = Codebook(7, 3), torch.randn(2, 3, 4, 5)
    whole = made.nearest(z)
    monkeypatch.setattr(module, "DISTANCES", 14)
    assert torch.equal(made.nearest(z), whole)
    assert torch.equal(whole, torch.cdist(z.movedim(1, -1).flatten(0, -2), made.codes).argmin(1).view(2, 4, 5))


def test_codes_follow_by_moving_averages() -> None:
    """By hand: decay 0.9, code 0 gets (1, 0) and (3, 2), code 1 nothing."""
    made = codebook([[0, 0], [10, 10]]).train()
    made(latents([[1, 0], [3, 2]]))
    assert_close(made.uses, torch.tensor([0.9 + 0.2, 0.9]))
    assert_close(made.sums, torch.tensor([[0.4, 0.2], [9.0, 9.0]]))
    assert_close(made.codes, torch.tensor([[0.4 / 1.1, 0.2 / 1.1], [10.0, 10.0]]))


def test_what_is_returned_are_the_codes_before_they_follow() -> None:
    codes, _ = codebook([[0, 0], [10, 10]]).train()(latents([[1, 1]]))
    assert codes.flatten().tolist() == [0, 0]


def test_in_evaluation_nothing_follows() -> None:
    for made in (codebook([[0, 0], [10, 10]], restart=5.0).eval(), Codebook(2, 2).eval()):
        before = copy.deepcopy(made.state_dict())
        made(latents([[1, 0]]))
        assert all(torch.equal(before[key], value) for key, value in made.state_dict().items())


def test_no_gradient_comes_back_but_straight_through() -> None:
    z = latents([[1, 2]]).requires_grad_()
    codes, _ = codebook([[0, 0], [10, 10]])(z)
    assert not codes.requires_grad
    quantised = straight_through(z, codes)
    (3 * quantised).sum().backward()
    assert_close(quantised, codes)
    assert z.grad.flatten().tolist() == [3, 3]


def test_the_first_batch_of_a_training_gives_the_codes() -> None:
    made, z = Codebook(4, 2).train(), torch.randn(1, 2, 4) + 50
    codes, _ = made(z)
    assert_close(codes, z)  # 4 latents and 4 codes
    assert not made.fresh


def test_fewer_latents_than_codes_are_repeated_with_little_noise() -> None:
    made, z = Codebook(64, 2, restart=0.0).train(), latents([[5, 5], [-5, 5]])
    made(z)
    distances = torch.cdist(made.codes, z[0].t())
    assert distances.min(dim=1).values.max() < 0.1
    assert len(made.codes.unique(dim=0)) == 64


def test_a_resumed_training_keeps_its_codes() -> None:
    made, z = Codebook(4, 2, restart=0.0).train(), torch.randn(1, 2, 8)
    made(z)
    resumed = Codebook(4, 2, restart=0.0).train()
    resumed.load_state_dict(made.state_dict())
    for each in (made, resumed):
        torch.manual_seed(1)
        each(2 * z)
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in made.state_dict().items())


def test_a_code_that_nothing_is_near_becomes_a_latent() -> None:
    made = codebook([[0, 0], [100, 100]], restart=0.95).train()
    made(latents([[1, 0], [0, 1]]))
    assert made.codes[1].tolist() in ([1, 0], [0, 1])
    assert made.uses[1] == 1
    assert_close(made.sums[1], made.codes[1])


def test_the_next_step_leaves_a_restarted_code_where_it_is() -> None:
    """With the averages of the old code it would go most of the way back to (100, 100)."""
    made = codebook([[0, 0], [100, 100]], restart=0.95).train()
    made(latents([[5, 5], [5, 5]]))
    made.restart = 0.0
    made(latents([[0, 0]]))
    assert_close(made.codes[1], torch.tensor([5.0, 5.0]))


def test_a_code_in_use_is_not_restarted() -> None:
    made = codebook([[0, 0], [100, 100]], restart=0.95).train()
    made(latents([[1, 0], [99, 100]]))
    assert_close(made.codes, torch.tensor([[0.1, 0], [99.9, 100.0]]))


def test_under_autocast_codes_are_found_in_full_precision() -> None:
    made, z = Codebook(512, 4), torch.randn(1, 4, 200)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes, numbers = made.eval()(z)
    assert codes.dtype == torch.float32
    assert torch.equal(numbers, made(z)[1])


@pytest.mark.parametrize(
    "wrong",
    [{"num_codes": 0}, {"embedding_dim": 1.5}, {"decay": 1.0}, {"decay": "0.9"}, {"restart": -1}, {"restart": True}],
)
def test_arguments_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Codebook: found num_codes .*; wanted positive numbers"):
        Codebook(**{"num_codes": 4, "embedding_dim": 2, **wrong})


class OtherProcess:
    """Stands for ``torch.distributed`` with one more process, which has latents of its own; this one is the first."""

    def __init__(self, uses: Tensor, sums: Tensor) -> None:
        self.shares = [uses, sums]
        self.sent: list[Tensor] = []

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def get_world_size(self) -> int:
        return 2

    def all_reduce(self, own: Tensor) -> None:
        own += self.shares.pop(0)

    def broadcast(self, chosen: Tensor, source: int) -> None:
        assert source == 0
        self.sent.append(chosen)


def test_processes_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one process that has the latents of both."""
    own, others = [[1.0, 0.0], [9.0, 9.0]], [[3.0, 2.0], [8.0, 10.0]]
    alone = codebook([[0, 0], [10, 10]]).train()
    alone(latents(own + others))
    together = codebook([[0, 0], [10, 10]], restart=0.0).train()
    share = torch.tensor(others)
    monkeypatch.setattr(module, "dist", OtherProcess(torch.ones(2), share))
    together(latents(own))
    assert_close(together.state_dict(), alone.state_dict())


def test_processes_restart_the_same_codes_from_the_latents_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    group = OtherProcess(torch.zeros(2), torch.zeros(2, 2))
    monkeypatch.setattr(module, "dist", group)
    made = codebook([[0, 0], [100, 100]], restart=0.95).train()
    made(latents([[1, 0], [1, 0]]))
    (chosen,) = group.sent
    assert_close(made.codes[1], chosen[1])
