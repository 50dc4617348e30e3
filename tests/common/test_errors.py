"""What a configuration may say: refused values are told with where they stand."""

from __future__ import annotations

import math

import pytest

from transmodal.errors import InputError, require_flag, require_integer, require_number


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_accepted(value: bool) -> None:
    require_flag("here", value)


@pytest.mark.parametrize("value", ["false", 0, 1, None])
def test_what_is_no_flag_is_refused(value: object) -> None:
    with pytest.raises(InputError) as caught:
        require_flag("Handler, amp", value, "write --amp True")
    assert str(caught.value) == (
        f"Handler, amp: found {value!r}; wanted true or false in JSON, True or False on the command line.\n"
        "  What to do: write --amp True"
    )


@pytest.mark.parametrize(("value", "least"), [(1, 1), (0, 0), (2**70, 1)])
def test_a_whole_number_that_is_large_enough_is_accepted(value: int, least: int) -> None:
    require_integer("here", value, least)


@pytest.mark.parametrize("value", [1, 2.0, "2", True, None, math.nan])
def test_what_is_no_whole_number_or_too_small_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"here: found .*; wanted an integer of 2 or more\.\n.*give two"):
        require_integer("here", value, 2, "give two")


@pytest.mark.parametrize("value", [0, 0.5, 10**6])
def test_a_number_of_0_or_more_is_accepted(value: float) -> None:
    require_number("here", value)


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf, "1", True, None])
def test_what_is_no_number_of_0_or_more_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"here: found .*; wanted a number of 0 or more\.\n.*without quotes"):
        require_number("here", value)
