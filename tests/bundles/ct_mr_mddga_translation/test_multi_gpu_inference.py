"""Inference shared by several processes: the cases are dealt out, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

BETWEEN = [[], ["inference_slices"], ["inference_planes"], ["evaluate"]]


@pytest.fixture(params=BETWEEN, ids=lambda between: "-".join(between) or "inference")
def parsers(request: pytest.FixtureRequest, root: Path) -> tuple[ConfigParser, ConfigParser]:
    """The same workflow for one process and for several."""
    one, several = ConfigParser(), ConfigParser()
    configs = root / "bundles/ct_mr_mddga_translation/configs"
    names = ["inference", *request.param]
    one.read_config([str(configs / f"{name}.json") for name in names])
    several.read_config([str(configs / f"{name}.json") for name in [*names, "multi_gpu_inference"]])
    return one, several


def test_only_the_ids_of_processes_and_the_order_of_cases_differ(parsers: tuple[ConfigParser, ConfigParser]) -> None:
    one, several = (parser.get() for parser in parsers)
    changed = {key for key in {**one, **several} if one.get(key) != several.get(key)}
    own = {"_desc_", "imports", "device", "case_sampler", "dataloader", "backend", "initialize", "finalize"}
    assert changed <= own
    assert several["dataloader"] == {**one["dataloader"], "sampler": "@case_sampler"}


def test_the_diffusion_keeps_its_sampler(parsers: tuple[ConfigParser, ConfigParser]) -> None:
    one, several = (parser.get_parsed_content("denoiser").sampler for parser in parsers)
    assert type(several) is type(one)
    assert (several.num_steps, several.eta, several.strength) == (one.num_steps, one.eta, one.strength)
