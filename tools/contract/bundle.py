"""A bundle as the checks see it, and the way a check answers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from format_json import load
from transmodal.errors import InputError

CORE = "transmodal"
RESULTS = {"models", "output", "data", "eval"}


class Skipped(Exception):
    """A check that cannot be made here, and why."""


class Note(str):
    """A remark of a check that is not a problem."""


class Bundle:
    """A bundle's folder: its configs, metadata and code.

    Args:
        root: the folder that holds ``configs/``.
        schema: schema file for its metadata instead of the published one.
        data: dataset to make the parts of its configs with, in the layout of users' data.
        ids: what stands over its configs when parts are made of them, such as sizes that take no time.
    """

    def __init__(
        self,
        root: str | Path,
        schema: Path | None = None,
        data: Path | None = None,
        ids: Mapping[str, Any] | None = None,
    ) -> None:
        self.root = Path(root).resolve()
        self.name = self.root.name
        self.schema, self.data, self.ids = schema, data, dict(ids or {})

    @property
    def configs(self) -> Path:
        return self.root / "configs"

    @property
    def weights(self) -> Path:
        return self.root / "models" / "model.pt"

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return self.read("metadata")

    @cached_property
    def packages(self) -> list[str]:
        """Python packages in the bundle's root, the core's copy in a packed bundle aside."""
        found = sorted(path.parent.name for path in self.root.glob("*/__init__.py"))
        return [name for name in found if name != CORE]

    @property
    def package(self) -> str:
        """The bundle's own package, ``<method>_bundle``."""
        return next((name for name in self.packages if name.endswith("_bundle")), "")

    def read(self, name: str) -> dict[str, Any]:
        """The config ``configs/<name>.json`` as it is written."""
        path = self.configs / f"{name}.json"
        if not path.is_file():
            raise Skipped(f"configs/{name}.json is absent")
        content = load(path)
        return content if isinstance(content, dict) else {}

    def config_names(self) -> list[str]:
        """Names of all configs except metadata."""
        return sorted(path.stem for path in self.configs.glob("*.json") if path.stem != "metadata")

    def base_of(self, name: str) -> str | None:
        """Name of the config that ``name`` is laid over, or None for one that stands alone, as bundle_root tells."""
        if name.startswith("evaluate_"):
            return "evaluate"
        if name != "inference" and (name.startswith("inference_") or name.endswith(("evaluate", "inference"))):
            return "inference"
        if name in ("train", "inference"):
            return None
        alone = not name.startswith("train_") and {"network_def", "bundle_root"} & self.read(name).keys()
        return None if alone else "train"

    @cached_property
    def stages(self) -> list[str]:
        """Names of the overlays that train parts of the network, on which train.json alone then builds."""
        return [name for name in self.config_names() if name.startswith("train_")]

    @cached_property
    def parts(self) -> list[str]:
        """Parts of the network whose weights train.json starts from, by its ids ``<part>_path``."""
        return [key.removesuffix("_path") for key in self.read("train") if key.endswith("_path") and key != "ckpt_path"]

    def stack(self, name: str) -> list[str]:
        """Config files to read, in order, so that the config ``name`` is complete."""
        base = self.base_of(name)
        return [*(self.stack(base) if base else []), str(self.configs / f"{name}.json")]

    def files(self) -> Iterator[Path]:
        """Every file of the bundle but weights, caches, hidden files and results."""
        yield from (path for path in files_of(self.root) if path.relative_to(self.root).parts[0] not in RESULTS)

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Make the bundle's package importable, as a run from its root does, and leave no trace of it.

        A package of the same name from another folder steps aside meanwhile.
        """
        path, elsewhere = sys.path.copy(), self._forget()
        sys.path.insert(0, str(self.root))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path[:] = path
            self._forget()
            sys.modules.update(elsewhere)

    def _forget(self) -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] in self.packages]
        return {name: sys.modules.pop(name) for name in names}


def files_of(folder: Path) -> Iterator[Path]:
    """Every file under a folder, sorted, but caches and hidden files."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
            yield path


Check = Callable[[Bundle], Iterable[str]]
"""Yields a line per problem (or a Note), or raises Skipped."""


@dataclass(frozen=True)
class Finding:
    """Answer of one check: ``reasons`` are its problems or remarks, or why it was skipped."""

    check: str
    status: Literal["ok", "FAIL", "skipped"]
    reasons: tuple[str, ...] = ()


def run_checks(bundle: Bundle, checks: Iterable[Check]) -> list[Finding]:
    """Make every check; one that itself breaks on a broken bundle counts as failed."""
    return [_run(bundle, check) for check in checks]


def _run(bundle: Bundle, check: Check) -> Finding:
    name = check.__name__.replace("_", " ")
    try:
        remarks = list(check(bundle))
    except Skipped as why:
        return Finding(name, "skipped", (str(why),))
    except Exception as error:  # whatever a broken bundle raises is what the report has to say
        return Finding(name, "FAIL", (describe(error),))
    problems = [remark for remark in remarks if not isinstance(remark, Note)]
    return Finding(name, "FAIL" if problems else "ok", tuple(problems or remarks))


def describe(error: BaseException) -> str:
    """What really went wrong, on one line: MONAI and ignite re-raise around it, often with the text of a config."""
    while error.__cause__ is not None and not isinstance(error, InputError):
        error = error.__cause__
    line = next(iter(str(error).strip().splitlines()), "")
    return line if isinstance(error, InputError) else f"{type(error).__name__}: {line}"
