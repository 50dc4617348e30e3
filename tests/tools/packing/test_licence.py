"""What the licence file says of weights that are inside."""

from __future__ import annotations

from packing.licence import NO_WEIGHT, with_weights


def test_the_sentence_that_there_is_none_gives_way() -> None:
    assert with_weights(f"{NO_WEIGHT} Figures.\n", "Weights inside.") == "Weights inside. Figures.\n"


def test_it_goes_where_another_place_tells_of_them() -> None:
    assert with_weights(f"{NO_WEIGHT} Figures.\n", "") == "Figures.\n"


def test_a_text_that_does_not_speak_of_weights_stays() -> None:
    assert with_weights("Figures.\n") == "Figures.\n"
