"""Weights that come with the project: ``weights/<bundle>/model.pt``, and beside it ``weights.json`` that tells of them.

>>> weights = released()["ct_mr_cyclegan_translation"]
>>> weights.checked(), weights.config("inference"), weights.arguments()
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from transmodal.errors import InputError
from transmodal.files import sha256_of

__all__ = ["FOLDER", "RECORD", "SCHEMA", "WEIGHTS", "Released", "problems_of", "released", "released_beside"]

FOLDER = Path(__file__).resolve().parents[2] / "weights"
WEIGHTS, RECORD = "model.pt", "weights.json"
SCHEMA = Path(__file__).with_name("weights_schema.json")


@dataclass(frozen=True)
class Released:
    """Released weights of one bundle.

    Args:
        folder: which holds model.pt and weights.json.
        record: content of weights.json; see weights_schema.json for its fields.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The bundle's."""
        return str(self.record["bundle"])

    @property
    def version(self) -> str:
        """The bundle's."""
        return str(self.record["version"])

    @property
    def file(self) -> Path:
        """The weights, as ``ckpt_path``; see :meth:`checked`."""
        return self.folder / WEIGHTS

    @property
    def overlays(self) -> tuple[str, ...]:
        """Configs of the bundle, relative to its root, without which the weights do not fit."""
        return tuple(self.record["overlays"])

    @property
    def values(self) -> dict[str, Any]:
        """Ids over these configs."""
        return dict(self.record["values"])

    @property
    def eval_metrics(self) -> dict[str, Any]:
        """Scores of ``evaluation``, in physical units; without those that were not measured."""
        return _measured(self.record["eval_metrics"])

    def config(self, *names: str) -> str:
        """``--config_file`` of a run in the bundle's root: these configs, then the overlays."""
        return str([*(f"configs/{name}.json" for name in names), *self.overlays]).replace(", ", ",")

    def arguments(self) -> list[str]:
        """:attr:`values` as options of a run."""
        return [text for key, value in self.values.items() for text in (f"--{key}", str(value))]

    def checked(self) -> Path:
        """The weights, compared with what the record says of them.

        Raises:
            InputError: if they are not those.
        """
        found = sha256_of(self.file) if self.file.is_file() else None
        if found != self.record["sha256"]:
            raise InputError(
                self.file,
                found=f"sha256 {found}" if found else "no such file",
                wanted=f"the weights that {RECORD} tells of, sha256 {self.record['sha256']}",
                remedy="fetch them again; or make their record with tools/release.py take",
            )
        return self.file


def released(root: Path = FOLDER) -> dict[str, Released]:
    """All released weights by the name of their bundle; none where there is no such folder.

    Raises:
        InputError: if a record cannot be used.
    """
    return {path.parent.name: _read(path) for path in sorted(root.glob(f"*/{RECORD}"))}


def released_beside(bundle: Path) -> Released | None:
    """The released weights of a bundle of a checkout, whose ``bundles/<name>`` has them in ``weights/<name>``.

    Args:
        bundle: its folder.
    Raises:
        InputError: if their record cannot be used.
    """
    bundle = bundle.resolve()
    path = bundle.parents[1] / FOLDER.name / bundle.name / RECORD
    return _read(path) if bundle.parent.name == "bundles" and path.is_file() else None


def problems_of(record: Any) -> list[str]:
    """What a record lacks to be one, a line each."""
    validator = jsonschema.Draft201909Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(record), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'the record'}: {error.message}" for error in errors]


def _read(path: Path) -> Released:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(path, f"no JSON ({error})") from error
    if problems := problems_of(record):
        raise _unusable(path, "; ".join(problems))
    if record["bundle"] != path.parent.name:
        raise _unusable(path, f"bundle '{record['bundle']}' in folder '{path.parent.name}'")
    return Released(path.parent, record)


def _unusable(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        wanted=f"a record as tools/releasing/{SCHEMA.name} describes it",
        remedy="mend it, or make it with tools/release.py take",
    )


def _measured(scores: Mapping[str, Any]) -> dict[str, Any]:
    nested = {key: _measured(value) if isinstance(value, Mapping) else value for key, value in scores.items()}
    return {key: value for key, value in nested.items() if value not in (None, {})}
