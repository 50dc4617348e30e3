"""What the state of a training depends on: told by plain values, and compared before a training resumes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transmodal.files import sha256_of

__all__ = ["COMPLETE", "changes", "described", "training_settings"]

logger = logging.getLogger(__name__)

COMPLETE = "settings_complete"
"""Key of a state whose settings are all that the training depends on, by their ids; earlier ones had a few, by names of
their own, such as ``rate``."""
DIGITS = 16
"""Of a hash, enough to tell files apart in a message."""
ABSENT = "absent"


def training_settings(frozen: Mapping[str, str | Path] | None = None, **groups: Any) -> dict[str, Any]:
    """The plain values that :class:`transmodal.handlers.Resume` compares, so that no training resumes as another one.

    Args:
        frozen: parts of the network to the files of their weights, which the training reads and does not change; each
            becomes the first digits of the file's hash, or None where there is no file, which loading refuses.
        groups: values by name, or mappings of such, whose own names do not matter.
    Returns:
        All of them at one level, objects told by their class and its plain attributes.
    """
    settings: dict[str, Any] = {}
    for name, value in groups.items():
        settings.update(described(value) if isinstance(value, Mapping) else {name: described(value)})
    return settings | {f"{part} weights": _hash(path) for part, path in (frozen or {}).items()}


def described(value: Any) -> Any:
    """Numbers, texts, lists and mappings as they are; an object as text, such as ``L1Noise()``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    public = {name: each for name, each in vars(value).items() if not name.startswith("_") and name != "training"}
    plain = (f"{name}={each!r}" for name, each in public.items() if isinstance(each, bool | int | float | str | list))
    return f"{type(value).__name__}({', '.join(plain)})"


def changes(content: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> list[str]:
    """What the settings of a saved state have otherwise than those of the training that would resume from it.

    A state of an earlier version, which had only some of them, is compared by the names that both have; the rest is
    told as a warning. One made elsewhere has none to be compared.

    Args:
        content: of the file, with ``settings``.
        now: settings of the training.
        path: the file, for the warning.
    Returns:
        A phrase per difference: the id, its value then and its value now.
    """
    before = content.get("settings", {})
    if before is None:
        return []
    names: Iterable[str] = dict.fromkeys([*before, *now])
    if not content.get(COMPLETE, False):
        if unknown := [name for name in now if name not in before]:
            logger.warning("%s is of an earlier version and does not tell %s: unchecked", path, ", ".join(unknown))
        names = [name for name in before if name in now]
    pairs = ((name, before.get(name, ABSENT), now.get(name, ABSENT)) for name in names)
    return [f"{name} {then} where it now is {value}" for name, then, value in pairs if then != value]


def _hash(path: str | Path) -> str | None:
    return sha256_of(path)[:DIGITS] if Path(path).is_file() else None
