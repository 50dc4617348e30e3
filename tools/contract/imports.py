"""Libraries that a bundle's code imports: each is named with its version in metadata.json."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import transmodal
from contract.bundle import CORE, Bundle, Check
from contract.metadata import LIBRARIES

CORE_ROOT = Path(transmodal.__file__).parent
OWN = {CORE, "__future__"}


def imported_packages(bundle: Bundle) -> Iterator[str]:
    """Whatever is imported with the bundle's package and with the core's modules that its configs name is listed."""
    required = bundle.metadata.get("required_packages_version") or {}
    listed = {_normal(name) for name in (*LIBRARIES.values(), *required)}
    known = packages_distributions()
    for name, module in sorted(_libraries(bundle).items()):
        distributions = sorted({_normal(each) for each in known.get(name, [name])})
        if not listed.intersection(distributions):
            yield f"'{distributions[0]}' is not in required_packages_version, and {module} imports {name}"


def _libraries(bundle: Bundle) -> dict[str, str]:
    """Top-level names of libraries, each with a module that imports it as it is itself imported."""
    found: dict[str, str] = {}
    waiting = [name for path in sorted(bundle.root.glob("*_bundle/**/*.py")) for name in [_name(path, bundle.root)]]
    waiting += [target for target in _targets(bundle) if target.startswith(f"{CORE}.")]
    own, seen = {*OWN, *bundle.packages}, set()
    while waiting:
        for module in _with_parents(waiting.pop()):
            path = _file(module, bundle)
            if module in seen or path is None:
                continue
            seen.add(module)
            for name in _imports(path):
                head = name.partition(".")[0]
                if head in own:
                    waiting.append(name)
                elif head not in sys.stdlib_module_names:
                    found.setdefault(head, module)
    return found


def _targets(bundle: Bundle) -> Iterator[str]:
    waiting = [bundle.read(name) for name in bundle.config_names()]
    while waiting:
        config = waiting.pop()
        if isinstance(config, dict) and isinstance(config.get("_target_"), str):
            yield config["_target_"]
        if isinstance(config, (dict, list)):
            waiting += config.values() if isinstance(config, dict) else config


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _file(module: str, bundle: Bundle) -> Path | None:
    """The file of a module of ours; None for a class or a function in one."""
    root = CORE_ROOT.parent if module.partition(".")[0] == CORE else bundle.root
    place = root.joinpath(*module.split("."))
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Names that the import of a file imports: none in functions, and none that it can do without."""
    return tuple(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not _optional(child):
            yield from _imported(child)


def _optional(node: ast.AST) -> bool:
    """Whether what it holds is imported for type checkers alone, or may be absent."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.Try) and any("ImportError" in ast.unparse(each.type or node) for each in node.handlers)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


CHECKS: tuple[Check, ...] = (imported_packages,)
