"""The two functions that MONAI Label 0.8.5 imports, for pictures in TensorBoard and debugging."""

from __future__ import annotations

from typing import NoReturn


def make_grid(*arguments: object, **options: object) -> NoReturn:
    """Not available."""
    raise NotImplementedError("torchvision is not installed, only a stand-in; see README.md of monailabel_app")


def save_image(*arguments: object, **options: object) -> NoReturn:
    """Not available."""
    raise NotImplementedError("torchvision is not installed, only a stand-in; see README.md of monailabel_app")
