"""What the application is to do, from its manifest: the direction, the bundle, and which series is taken."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from transmodal.data.layout import MODALITY_OF
from transmodal.errors import InputError

__all__ = ["Settings"]

TRANSLATION = {"source": str, "target": str, "bundle": str, "ids": dict}
"""Keys of ``translation`` in the manifest, and what each holds."""


@dataclass(frozen=True)
class Settings:
    """One direction of translation.

    Args:
        title, version: of the application.
        source, target: ``ct``, ``mr`` or a contrast of MR, by their names in the data layout.
        conditions: attribute to what it must match, as :class:`DICOMSeriesSelectorOperator` of MONAI Deploy reads them.
        bundle: name of the bundle among several.
        ids: of the bundle's inference.json, such as ``seed``.
    """

    title: str
    version: str
    source: str
    target: str
    conditions: Mapping[str, Any]
    bundle: str | None
    ids: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> Settings:
        """Read a manifest such as ``app.yaml``.

        Raises:
            InputError: if it cannot be read, lacks something, or holds what is not known.
        """
        content = _mapping(_load(Path(path)), path, "the manifest")
        application = _mapping(content.get("application"), path, "application")
        translation = _mapping(content.get("translation"), path, "translation")
        _check(translation, path)
        selection = _mapping(content.get("selection"), path, "selection")
        _check_patterns(selection, path)
        return cls(
            title=str(application.get("title", "")),
            version=str(application.get("version", "")),
            source=translation["source"],
            target=translation["target"],
            conditions=selection,
            bundle=translation.get("bundle"),
            ids=translation.get("ids") or {},
        )

    def rules(self) -> str:
        """The selection as the text that MONAI Deploy's selector reads."""
        return json.dumps({"selections": [{"name": self.source, "conditions": dict(self.conditions)}]})


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            path,
            found=f"no manifest that can be read ({reason})",
            wanted="a YAML file such as app.yaml",
            remedy="correct it, or the path in HOLOSCAN_CONFIG_PATH",
        ) from error


def _mapping(value: Any, path: str | Path, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise InputError(
            path,
            found=f"{name}: {value!r}",
            wanted=f"keys and values of {name}",
            remedy="write them as app.yaml has them",
        )
    return {str(key): each for key, each in value.items()}


def _check(translation: Mapping[str, Any], path: str | Path) -> None:
    """Refuse unknown keys, values of other types and names that are no modality; null leaves a key out."""
    for key, value in translation.items():
        kind = TRANSLATION.get(key)
        if kind is None or not isinstance(value, kind | None):
            raise InputError(
                path,
                found=f"translation: {key}: {value!r}",
                wanted=f"{key} as {'text' if kind is str else 'keys and values'}" if kind else ", ".join(TRANSLATION),
                remedy="correct it, or take it out",
            )
    for key in ("source", "target"):
        if translation.get(key) not in MODALITY_OF:
            raise InputError(
                path,
                found=f"translation: {key}: {translation.get(key)!r}",
                wanted=f"one of {', '.join(MODALITY_OF)}",
                remedy=f"name the {key} of the translation",
            )


def _check_patterns(selection: Mapping[str, Any], path: str | Path) -> None:
    """Refuse text that is no regular expression, on which the SDK's selector would fail in the midst of a run."""
    for key, value in selection.items():
        try:
            re.compile(value if isinstance(value, str) else "")
        except re.error as error:
            raise InputError(
                path,
                found=f"selection: {key}: {value!r} ({error})",
                wanted="a regular expression",
                remedy='correct it, such as "^MR$"; a backslash goes before each of []()*+?.^$ that is meant itself',
            ) from error
