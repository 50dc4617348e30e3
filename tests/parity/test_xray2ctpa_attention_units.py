"""Attention over frames, linear attention over pixels and rotary positions against the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.attention import Attention, LinearAttention, rotary_frequencies, rotated

from tests.parity.fill import fill
from tests.parity.test_xray2ctpa_unet3d import golden


@pytest.fixture(scope="module")
def units(shared: Path) -> dict[str, Tensor]:
    return golden(shared, "attention_units")


@torch.no_grad()
def test_rotary_positions_turn_queries_as_published(units: dict[str, Tensor]) -> None:
    assert_close(rotary_frequencies(32), units["freqs"], rtol=1e-6, atol=0)
    assert_close(rotated(units["q"]), units["q_rot"], rtol=0, atol=1e-6)


@torch.no_grad()
def test_attention_over_frames_is_the_published_one(units: dict[str, Tensor]) -> None:
    attention = Attention(16, heads=8, head_dim=32, rotary=True)
    filled = fill({"to_qkv.weight": torch.zeros(768, 16), "to_out.weight": torch.zeros(16, 256)})
    names = {"query_key_value.weight": "to_qkv.weight", "projection.weight": "to_out.weight"}
    attention.load_state_dict({ours: filled[theirs] for ours, theirs in names.items()})
    assert_close(attention(units["xa"][None], units["bias"])[0], units["ya"], rtol=0, atol=1e-6)


@torch.no_grad()
def test_linear_attention_over_pixels_is_the_published_one(units: dict[str, Tensor]) -> None:
    attention = LinearAttention(16, heads=8, head_dim=32)
    names = {"query_key_value.weight": "to_qkv.weight", "projection.weight": "to_out.weight"}
    names["projection.bias"] = "to_out.bias"
    filled = fill({theirs: attention.state_dict()[ours] for ours, theirs in names.items()})
    attention.load_state_dict({ours: filled[theirs] for ours, theirs in names.items()})
    assert_close(attention(units["xs"]), units["ys"], rtol=0, atol=1e-6)
