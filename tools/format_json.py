"""Format the JSON of bundles: what fits 120 columns stays on one line, anything longer has one item per line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fire

from transmodal.errors import InputError

COLUMNS = 120
INDENT = 2
DEFAULT = "bundles/*/configs/*.json"
ROOT = Path(__file__).resolve().parents[1]


class Number(str):
    """A number as its author spelled it: 1e-4 is easier to read than 0.0001."""


def load(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if it is not JSON, or an object has one key twice (of which readers silently keep the last).
    """
    return _parse(path)


def format_text(path: Path) -> str:
    """Formatted text of a JSON file; its outermost object is always opened, one item per line.

    Raises:
        InputError: as :func:`load`.
    """
    content = _parse(path, parse_float=Number, parse_int=Number)
    opened = isinstance(content, (dict, list)) and content
    return (_opened(content, depth=0) if opened else _flat(content)) + "\n"


def _parse(path: Path, **number: Any) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(
                    path,
                    found=f"the key '{key}' {keys.count(key)} times in one object",
                    wanted="each key once",
                    remedy="remove the repetition; readers would keep the last and drop the others",
                )
        return dict(pairs)

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a JSON number")

    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse, **number)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(path, found=str(error), wanted="JSON", remedy="correct the file at that place") from error


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(item) for item in value) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def _opened(value: dict[str, Any] | list[Any], depth: int) -> str:
    named = [(f"{_flat(key)}: ", item) for key, item in value.items()] if isinstance(value, dict) else None
    lines = [_line(prefix, item, depth + 1) for prefix, item in named or [("", item) for item in value]]
    start, end = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return f"{start}\n" + ",\n".join(lines) + f"\n{' ' * INDENT * depth}{end}"


def _line(prefix: str, value: Any, depth: int) -> str:
    head = " " * INDENT * depth + prefix
    flat = _flat(value)
    # one column more for the comma, also on the last item: adding an item after it then changes no other line
    fits = len(head) + len(flat) + 1 <= COLUMNS
    return head + (flat if fits or not isinstance(value, (dict, list)) or not value else _opened(value, depth))


def main(*paths: str, check: bool = False) -> None:
    """Format JSON files in place, by default bundles/*/configs/*.json of this checkout.

    Key order, spelling of numbers and non-ASCII letters stay as they are; a file with one key twice is refused.

    Args:
        paths: files to format.
        check: change nothing; name the files that would change and exit with status 1 if there are any.
    """
    if not isinstance(check, bool):
        sys.exit(f"--check: found '{check}'; wanted the flag alone. Put the paths before it.")
    files = [Path(path) for path in paths] or sorted(ROOT.glob(DEFAULT))
    unformatted = []
    for path in files:
        try:
            text = format_text(path)
        except (InputError, OSError) as error:
            sys.exit(str(error))
        if text != path.read_text(encoding="utf-8"):
            unformatted.append(path)
            if not check:
                path.write_text(text, encoding="utf-8")
    for path in unformatted:
        print(f"{'would format' if check else 'formatted'} {path}")
    if check and unformatted:
        sys.exit(1)


if __name__ == "__main__":
    fire.Fire(main)
