"""What a command line asks for, and what the record keeps of it."""

from __future__ import annotations

import dataclasses

import pytest

from translating.request import Choice, Request


def test_the_record_has_what_was_given_by_the_names_of_the_options() -> None:
    body = Choice("none", "b.json", "body.pt")
    request = Request("in", "out", to="mr", translation=Choice("a", ("c.json",)), segmentation=body, ids={"from": "ct"})
    assert request.command == {
        "input": "in",
        "output": "out",
        "to": "mr",
        "bundle": "a",
        "config": ("c.json",),
        "segmentation": "none",
        "segmentation_config": "b.json",
        "segmentation_ckpt": "body.pt",
        "force": False,
        "from": "ct",
    }


def test_from_is_no_id_of_the_bundle() -> None:
    request = Request("in", "out", ids={"from": "ct", "device": "cpu"})
    assert request.stated == "ct"
    assert request.bundle_ids == {"device": "cpu"}


def test_configs_are_names_also_where_they_look_like_numbers() -> None:
    assert Choice(config=(7, "a.json")).overlays == ("7", "a.json")


def test_a_request_stays_as_it_was_given() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Request("in", "out").to = "mr"
