"""The shared core of the translation bundles: mathematics, and the plumbing around it."""

from __future__ import annotations

from transmodal.errors import InputError

__version__ = "0.1.0"
__all__ = ["InputError", "__version__", "require"]


def require(version: str, by: str) -> None:
    """Refuse to run a bundle on a core it was not made for.

    A packed bundle carries its own copy of the core; in one process with other bundles the first copy imported wins,
    and this check turns a silent mixture into an error.

    Args:
        version: the ``major.minor`` version the caller was written for, such as ``"0.1"``.
        by: the importing module, named in the error.
    Raises:
        InputError: if this core has another ``major.minor`` version.
    """
    present = ".".join(__version__.split(".")[:2])
    if version != present:
        raise InputError(
            by,
            found=f"transmodal {__version__} at {__file__}",
            wanted=f"transmodal {version}.x",
            remedy="run bundles of different core versions in separate processes, or install the matching core",
        )
