"""The radiograph encoder that is trained with the denoiser: what each part of a condition holds, and what it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.encoders import PairedEncoder, Pyramid, RadiographEncoder, positions, with_plane

from transmodal.errors import InputError

SMALL = {"channels": (4, 8, 8), "norm_groups": 4, "regions": 2}


def encoder(embedding_dim: int = 6, token_dim: int = 8, plane_channels: int = 3) -> RadiographEncoder:
    return RadiographEncoder(
        embedding_dim=embedding_dim, token_dim=token_dim, plane_channels=plane_channels, **SMALL
    ).eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).tanh()


@torch.no_grad()
def test_the_parts_have_the_sizes_that_the_encoder_names() -> None:
    network = encoder()
    condition = network(noise(2, 1, 32, 32))
    assert isinstance(condition, Condition)
    assert condition.embedding.shape == (2, network.embedding_dim) == (2, 6)
    assert condition.tokens.shape == (2, 16, network.token_dim) == (2, 16, 8)
    assert condition.plane.shape == (2, network.plane_channels, 8, 8) == (2, 3, 8, 8)


@pytest.mark.parametrize("side", [8, 30, 33])
@torch.no_grad()
def test_radiographs_of_any_size_are_encoded(side: int) -> None:
    condition = encoder()(noise(1, 1, side, side))
    assert condition.embedding.shape == (1, 6)
    assert condition.tokens.shape[1] == (-(-side // 8)) ** 2


@pytest.mark.parametrize(
    ("part", "size"), [("embedding", "embedding_dim"), ("tokens", "token_dim"), ("plane", "plane_channels")]
)
@torch.no_grad()
def test_a_part_of_size_0_is_empty_and_changes_no_other(part: str, size: str) -> None:
    torch.manual_seed(3)
    whole, image = encoder(), noise(2, 1, 32, 32)
    network = encoder(**{size: 0})
    network.load_state_dict({key: value for key, value in whole.state_dict().items() if key in network.state_dict()})
    expected, condition = whole(image), network(image)
    assert getattr(condition, part).numel() == 0
    for other in set(Condition._fields) - {part}:
        assert_close(getattr(condition, other), getattr(expected, other))


@pytest.mark.parametrize("sizes", [(6, 0, 0), (0, 8, 0), (6, 8, 0), (6, 8, 3), (6, 0, 1), (0, 0, 4)])
def test_every_weight_is_used_by_the_parts_that_are_made(sizes: tuple[int, int, int]) -> None:
    """Parallel training takes a weight without a gradient for an error."""
    network = encoder(*sizes)
    condition = network(noise(2, 1, 32, 32))
    sum(part.square().sum() for part in condition).backward()
    assert all(weight.grad is not None for weight in network.parameters())


@torch.no_grad()
def test_the_plane_begins_with_the_radiograph_itself() -> None:
    image = noise(2, 1, 32, 32)
    plane = encoder(plane_channels=3)(image).plane
    assert_close(plane[:, :1], nn.functional.avg_pool2d(image, 4))
    assert_close(encoder(plane_channels=1)(image).plane, nn.functional.avg_pool2d(image, 4))


@torch.no_grad()
def test_plane_and_tokens_lie_where_the_radiograph_does() -> None:
    """A change in the upper right corner moves the parts in that quarter most."""
    network, image = encoder(), noise(1, 1, 64, 64)
    changed = image.clone()
    changed[..., :8, -8:] += 1
    before, after = network(image), network(changed)
    moved = (after.plane - before.plane).abs().sum(1)[0].argmax()
    assert divmod(int(moved), 16)[0] < 8 <= divmod(int(moved), 16)[1]
    token = (after.tokens - before.tokens).norm(dim=-1)[0].argmax()  # 8 × 8 tokens, row by row
    assert divmod(int(token), 8)[0] < 4 <= divmod(int(token), 8)[1]


@torch.no_grad()
def test_tokens_of_equal_looks_tell_their_places() -> None:
    (tokens,) = encoder()(torch.full((1, 1, 128, 128), 0.3)).tokens
    assert len(tokens.unique(dim=0)) == 16 * 16


@torch.no_grad()
def test_the_embedding_keeps_where_features_are() -> None:
    """A change in one quarter of the features moves it by that quarter's weights alone."""
    network, features = encoder(), noise(1, 8, 4, 4)
    changed = features.clone()
    changed[0, 5, :2, 2:] += 1  # the upper right of 2 × 2 regions
    moved = network._embedding(changed) - network._embedding(features)
    assert_close(moved[0], network.embed.weight.unflatten(1, (8, 2, 2))[:, 5, 0, 1])


@torch.no_grad()
def test_samples_of_a_batch_do_not_touch_each_other() -> None:
    network, images = encoder().train(), noise(3, 1, 32, 32)
    together, alone = network(images), network(images[1:2])
    for part, own in zip(together, alone, strict=True):
        assert_close(part[1:2], own, rtol=1e-4, atol=1e-5)


def test_positions_are_sines_and_cosines_of_rows_and_of_columns() -> None:
    """Expected by hand: with 8 numbers the frequencies are 1 and 1/10000."""
    told = positions(2, 3, 8, like=torch.zeros(1))
    assert told.shape == (1, 6, 8)
    row, column = 1.0, 2.0
    last = torch.tensor([row, row / 1e4, row, row / 1e4, column, column / 1e4, column, column / 1e4])
    expected = torch.cat([last[:2].sin(), last[2:4].cos(), last[4:6].sin(), last[6:].cos()])
    assert_close(told[0, 5], expected)
    assert len(told[0].unique(dim=0)) == 6


@torch.no_grad()
def test_a_pyramid_adds_coarse_stages_to_fine_ones() -> None:
    pyramid = Pyramid((2, 3), 4)
    nn.init.dirac_(pyramid.smooth.weight)
    nn.init.zeros_(pyramid.smooth.bias)
    fine, coarse = noise(1, 2, 8, 8), noise(1, 3, 4, 4, seed=2)
    up = nn.functional.interpolate(pyramid.lateral[1](coarse), scale_factor=2, mode="bilinear")
    assert_close(pyramid([fine, coarse]), pyramid.lateral[0](fine) + up)


@torch.no_grad()
def test_a_pair_takes_the_plane_of_one_and_the_rest_of_the_other() -> None:
    semantic, spatial, image = encoder(6, 8, 0), encoder(0, 0, 3), noise(2, 1, 32, 32)
    pair = PairedEncoder(semantic, spatial)
    condition = pair(image)
    assert (pair.embedding_dim, pair.token_dim, pair.plane_channels) == (6, 8, 3)
    assert_close(condition.embedding, semantic(image).embedding)
    assert_close(condition.tokens, semantic(image).tokens)
    assert_close(condition.plane, spatial(image).plane)


def test_an_encoder_gets_convolutions_for_a_plane_that_is_asked_for() -> None:
    semantic = encoder(6, 8, 0)
    pair = with_plane(semantic, (4, 8), 3, norm_groups=4)
    assert (pair.embedding_dim, pair.token_dim, pair.plane_channels) == (6, 8, 3)
    assert {name for name, _ in pair.spatial.named_children()} == {"stages", "pyramid"}  # no head without a use


def test_without_a_plane_an_encoder_stays_itself() -> None:
    semantic = encoder(6, 8, 0)
    assert with_plane(semantic, (4, 8), 0) is semantic


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 16, 16), (1, 1, 4, 16, 16)])
def test_anything_but_radiographs_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"wanted \(batch, 1, rows, columns\)"):
        encoder()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"channels": (8,)}, "1 stages"),
        ({"token_dim": 6}, "token_dim 6"),
        ({"plane_channels": -1}, "sizes 512, 0 and -1"),
    ],
)
def test_impossible_sizes_are_refused(arguments: dict[str, object], found: str) -> None:
    with pytest.raises(InputError, match=found):
        RadiographEncoder(**arguments)  # type: ignore[arg-type]
