"""Command-line values as they were meant, or an error that says how to write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from transmodal.errors import InputError


def listed(value: Any) -> tuple[Any, ...]:
    """Values separated by commas, which fire hands over as one value, a string or a sequence."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def counts(option: str, value: int | Sequence[int]) -> tuple[int, ...]:
    """One or several whole numbers from 1 on."""
    numbers = listed(value)
    if not numbers or not all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in numbers):
        raise InputError(
            f"--{option}",
            found=repr(value),
            wanted="whole numbers from 1 on",
            remedy=f"write --{option} 4, or --{option} 4,8 where it takes several",
        )
    return numbers


def count(option: str, value: int) -> int:
    """One whole number from 1 on."""
    numbers = counts(option, value)
    if len(numbers) > 1:
        raise InputError(f"--{option}", found=repr(value), wanted="one number", remedy=f"write --{option} {numbers[0]}")
    return numbers[0]


def flag(option: str, value: bool) -> bool:
    """True or False, and not a word that looks like it."""
    if not isinstance(value, bool):
        raise InputError(
            f"--{option}",
            found=repr(value),
            wanted="True or False",
            remedy=f"write --{option} True or --{option} False, with a capital letter",
        )
    return value


def ids(option: str, value: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """Ids of a config and their values."""
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InputError(
            f"--{option}",
            found=repr(value),
            wanted="ids of the config and their values",
            remedy=f"write --{option} \"{{'seed': 1}}\", with the quotes",
        )
    return tuple(value.items())


def device(value: str | None) -> str:
    """A device that is there; without a value CUDA, else the CPU."""
    available = torch.cuda.is_available()
    name = value or ("cuda" if available else "cpu")
    kind = str(name).partition(":")[0]
    if kind != "cpu" and not (kind == "cuda" and available):
        raise InputError(
            "--device", found=repr(value), wanted="cpu" + ", or cuda" * available, remedy="write --device cpu"
        )
    return str(name)


def file(option: str, value: str, *folders: Path) -> str:
    """The absolute path of a file, relative to the working directory or else to one of ``folders``."""
    for path in (Path(value), *(folder / value for folder in folders)):
        if path.is_file():
            return str(path.resolve())
    raise InputError(value, found="no such file", wanted=f"the file of --{option}", remedy="check the path")
