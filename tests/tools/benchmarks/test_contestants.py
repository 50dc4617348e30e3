"""Who is measured against whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contestants import SUBJECTS, line_up, subject_of
from benchmarks.published_operators import as_published


def test_published_operators_come_first_and_run_one_float32_sample() -> None:
    first, *others = line_up("ct_mr_syndiff_translation", (1, 8))
    assert first.arrange is as_published
    assert (first.batch, first.amp, first.channels_last) == (1, False, False)
    assert all(each.arrange is not as_published for each in others)


def test_ours_runs_at_every_batch_size_in_every_way() -> None:
    ours = line_up("ct_mr_syndiff_translation", (1, 8))[1:]
    assert [(each.batch, each.channels_last, each.amp) for each in ours] == [
        (1, False, False), (8, False, False), (1, True, False), (8, True, False), (1, False, True), (8, False, True),
        (1, True, True), (8, True, True),
    ]  # fmt: skip


def test_of_md_dga_the_slice_net_is_measured_at_its_published_size() -> None:
    subject = subject_of("ct_mr_mddga_translation")
    assert (subject.definition, subject.resolution, subject.slices) == ("slices_def", (224, 168), 160)
    first, *_ = line_up("ct_mr_mddga_translation", subject.batches)
    assert (first.name, first.batch, first.amp) == ("published operators", 1, False)


def test_of_x_ray2ctpa_the_denoiser_is_measured_on_published_latents() -> None:
    subject = subject_of("chest_xray_ctpa_translation")
    assert (subject.definition, subject.resolution, subject.slice_size) == ("denoiser_def", (64, 32, 32), (256, 256))
    first, *_ = line_up("chest_xray_ctpa_translation", subject.batches)
    assert (first.name, first.batch, first.amp) == ("published operators", 1, False)


def test_a_bundle_without_an_entry_is_measured_against_itself() -> None:
    first, *_ = line_up("ct_mr_unheard_of_translation", (2,))
    assert (first.name, first.batch) == ("ours", 2)


@pytest.mark.parametrize("name", SUBJECTS)
def test_an_entry_is_of_a_bundle_that_there_is(name: str, root: Path) -> None:
    assert (root / "bundles" / name / "configs").is_dir()
    assert subject_of(name) is SUBJECTS[name]
