"""A volume's cost: calls times FLOPs and medians, summed up; and seconds on GPUs from FLOPs alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.estimate import GPUS, Part, counted, described, estimate_table, estimated, measured
from benchmarks.setting import Setting

PARTS = [
    Part("slice net", 4000, 50.0, {"float32": 450.0, "bf16 autocast": 150.0}),
    Part("latent net", 25, 600.0, {"float32": 3600.0, "bf16 autocast": 1200.0}),
]
ROWS = [
    {"dtype": "float32", "per_second": 2.0},
    {"dtype": "float32", "per_second": 4.0},
    {"dtype": "bf16 autocast", "per_second": 5.0},
    {"dtype": "bf16 autocast", "per_second": 10.0},
]


def test_minutes_and_flops_are_summed_over_all_calls() -> None:
    estimate = described(PARTS, (160, 224, 168), steps=25)
    assert estimate["minutes"] == {"float32": pytest.approx(31.5), "bf16 autocast": pytest.approx(10.5)}
    assert estimate["teraflop"] == pytest.approx(215)


def test_a_gpu_takes_the_flops_over_a_share_of_its_peak() -> None:
    gpu = described(PARTS, (160, 224, 168), steps=25)["gpus"][0]
    assert gpu["peak_teraflops"] == 312
    assert gpu["seconds"] == [pytest.approx(215 / 31.2), pytest.approx(215 / 124.8)]


def test_the_table_says_what_is_estimated_and_what_was_not_measured() -> None:
    lines = estimate_table(described(PARTS, (160, 224, 168), steps=25)).splitlines()
    assert lines[0] == "a volume of 160×224×168 in 25 steps, estimated from medians of single calls, not translated:"
    assert [line.split() for line in lines[2:5]] == [
        ["slice", "net", "4000", "50.0", "200.0", "450", "30.0", "150", "10.0"],
        ["latent", "net", "25", "600.0", "15.0", "3600", "1.5", "1200", "0.5"],
        ["all", "215.0", "31.5", "10.5"],
    ]
    assert "assuming 10% to 40% of the data sheet's bf16 peak; none was measured" in lines[6]
    assert lines[7] == "NVIDIA A100 (312 TFLOP/s): 1.7 to 6.9 s"
    assert len(lines) == 7 + len(GPUS)


def test_products_and_sums_of_a_convolution_are_counted() -> None:
    conv = nn.Conv2d(3, 5, 3, padding=1)
    assert counted(lambda: conv(torch.zeros(2, 3, 8, 7))) == pytest.approx(2 * (2 * 5 * 8 * 7) * (3 * 9) / 1e9)


def test_the_products_of_attention_are_counted_too() -> None:
    token = torch.zeros(1, 4, 50, 16)
    assert counted(lambda: F.scaled_dot_product_attention(token, token, token)) == pytest.approx(
        2 * 2 * 4 * 50 * 50 * 16 / 1e9
    )


def test_a_part_is_timed_in_both_arithmetics() -> None:
    seen: list[torch.dtype] = []
    conv = nn.Conv2d(1, 2, 3)

    def run() -> torch.Tensor:
        output: torch.Tensor = conv(torch.zeros(1, 1, 5, 5))
        seen.append(output.dtype)
        return output

    part = measured("conv", 7, run, repeats=2, device="cpu")
    assert seen == [torch.float32, *[torch.float32, torch.bfloat16] * 3]
    assert (part.name, part.calls) == ("conv", 7)
    assert all(milliseconds > 0 for milliseconds in part.milliseconds.values())


@pytest.mark.parametrize(("joint", "calls"), [(True, 3), (False, 12)])
def test_every_step_calls_the_slice_net_for_each_slice_and_the_latent_net_for_its_channels(
    joint: bool, calls: int, root: Path
) -> None:
    bundle = root / "bundles/ct_mr_mddga_translation"
    setting = Setting(
        str(bundle),
        (12, 16),
        overlays=(str(bundle / "configs/small.json"),),
        overrides=(("num_steps", 3), ("joint", joint), ("embedding_dim", 4), ("slab", 1)),
    )
    estimate = estimated(setting, slices=8, rows=ROWS, repeats=1)
    assert [(part["name"], part["calls"]) for part in estimate["parts"]] == [
        ("slice net", 24), ("latent net", calls), ("autoencoder, there and back", 1),
    ]  # fmt: skip
    assert estimate["parts"][0]["ms"] == {"float32": 500.0, "bf16 autocast": 100.0}
    assert (estimate["volume"], estimate["steps"]) == ([8, 12, 16], 3)
    assert all(part["gigaflop"] > 0 for part in estimate["parts"])
