"""What docs/data_license.txt says of weights: true of a bundle alone, and of one that has them inside."""

from __future__ import annotations

__all__ = ["NAME", "NO_WEIGHT", "with_weights"]

NAME = "docs/data_license.txt"
NO_WEIGHT = "No weight is shipped with this bundle."
SHIPPED = "The weights models/model.pt come with this bundle, under the terms of the images that they were trained on."


def with_weights(text: str, sentence: str = SHIPPED) -> str:
    """The text of a bundle that has weights inside.

    Args:
        text: of the bundle alone.
        sentence: what to say instead of that there is none; may be empty where the text tells more of them.
    """
    return text.replace(NO_WEIGHT, sentence, 1).lstrip()
