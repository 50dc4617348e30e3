"""The published attention of the factorised U-Net, spelled out: against its definition, and in a whole net."""

from __future__ import annotations

import torch
from torch.testing import assert_close
from xray2ctpa_bundle.attention import Attention, RelativeBias, rotated
from xray2ctpa_bundle.unet3d import FactorisedUNet

from benchmarks.published_factorised import PublishedAttention, as_published, rotary
from benchmarks.radiographs import RadiographDenoiser, condition_and_noise
from benchmarks.setting import draw_weights


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network() -> RadiographDenoiser:
    made = FactorisedUNet(channels=3, dim=8, dim_mults=(1, 2), condition_dim=6, heads=2, head_dim=4, norm_groups=4)
    draw_weights(made)
    return RadiographDenoiser(made.eval())


def test_a_pair_of_numbers_turns_by_its_frequency_times_its_position() -> None:
    turned = rotary(torch.tensor([[1.0, 0.0, 1.0, 0.0]]).expand(3, 4))
    angles = torch.tensor([0.0, 1.0, 2.0])
    assert_close(turned[:, :2], torch.stack([angles.cos(), angles.sin()], dim=1))
    assert_close(turned[:, 2:], torch.stack([(angles / 100).cos(), (angles / 100).sin()], dim=1))
    assert_close(rotary(drawn(5, 8)), rotated(drawn(5, 8)))


@torch.no_grad()
def test_attention_answers_as_ours_does() -> None:
    ours, bias = Attention(channels=6, heads=2, head_dim=4, rotary=True), RelativeBias(2)(5)
    draw_weights(ours)
    tokens = drawn(2, 3, 5, 6)
    assert_close(PublishedAttention(ours)(tokens, bias), ours(tokens, bias), rtol=0, atol=1e-5)
    assert_close(PublishedAttention(ours)(tokens), ours(tokens), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_whole_network_answers_as_ours_does() -> None:
    ours = network()
    given = condition_and_noise(ours.denoiser, (5, 8, 4), torch.Generator().manual_seed(0))
    assert_close(as_published(ours)(**given), ours(**given), rtol=0, atol=1e-4)


def test_parameters_are_shared_and_none_of_our_attention_is_left() -> None:
    ours = network()
    published = as_published(ours)
    assert {id(parameter) for parameter in published.parameters()} == {id(each) for each in ours.parameters()}
    kinds = [type(module).__name__ for module in published.modules()]
    assert "Attention" not in kinds
    assert kinds.count("PublishedAttention") == [type(each).__name__ for each in ours.modules()].count("Attention") > 0
