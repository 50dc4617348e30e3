"""What to read in the folder of a release: README.md and index.html, with the commands that fetch each bundle."""

from __future__ import annotations

import html
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack import LARGE_FILES
from releasing.weights import RECORD

__all__ = ["Entry", "write"]

GITHUB = re.compile(r"https://github\.com/([^/]+)/([^/]+)/releases/download/([^/]+)")
NOTICE = "Research use only: synthetic images are no basis for diagnosis or treatment planning."


@dataclass(frozen=True)
class Entry:
    """One packed bundle.

    Args:
        name: the bundle's.
        metadata: content of its metadata.json, as packed.
        archive: name of the zip.
        size: of the zip in bytes.
        record: of the weights that it is for; None where it is code alone.
        apart: they are not in the zip.
    """

    name: str
    metadata: Mapping[str, Any]
    archive: str
    size: int
    record: Mapping[str, Any] | None = None
    apart: bool = False

    @classmethod
    def of(cls, path: Path) -> Entry:
        """What a zip tells of itself."""
        name = path.name.rpartition("_v")[0]
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            metadata = json.loads(archive.read(f"{name}/configs/metadata.json"))
            record = f"{name}/docs/{RECORD}"
            found = json.loads(archive.read(record)) if record in names else None
        return cls(name, metadata, path.name, path.stat().st_size, found, f"{name}/{LARGE_FILES}" in names)

    def commands(self, base: str, owner: str | None) -> Iterator[str]:
        """Ways to fetch it; one is enough."""
        fetch = f"python -m monai.bundle download --name {self.name} --bundle_dir ."
        yield f"{fetch} --url {base}/{self.archive}"
        if place := GITHUB.fullmatch(base):
            yield f"{fetch} --source github --repo {'/'.join(place.groups())}"
        if owner and self.record:
            yield f"{fetch} --source huggingface_hub --repo {owner}/{self.name}"


def write(folder: Path, entries: Sequence[Entry], base: str, owner: str | None) -> None:
    """Write README.md and index.html, which needs nothing but itself."""
    (folder / "README.md").write_text(_markdown(entries, base, owner), encoding="utf-8")
    (folder / "index.html").write_text(_page(entries, base, owner), encoding="utf-8")


def _markdown(entries: Sequence[Entry], base: str, owner: str | None) -> str:
    lines = ["# Medical image translation: packed MONAI bundles", "", f"**{NOTICE}**", ""]
    for entry in entries:
        lines += [f"## {entry.metadata['name']}", "", entry.metadata["description"], ""]
        lines += [f"- {fact}" for fact in _facts(entry)]
        lines += ["", "```bash", *_script(entry, base, owner), "```", ""]
    return "\n".join([*lines, "## For who hosts this folder", "", *_hosting(owner), ""])


def _script(entry: Entry, base: str, owner: str | None) -> Iterator[str]:
    first, *others = entry.commands(base, owner)
    yield first
    yield from (f"# or: {command}" for command in others)
    if entry.apart:
        yield f"python -m monai.bundle download_large_files --bundle_path {entry.name}"
    if entry.record:
        yield f"cd {entry.name}"
        yield "python -m monai.bundle run --config_file configs/inference.json --dataset_dir SCANS --output_dir RESULTS"


def _facts(entry: Entry) -> Iterator[str]:
    yield f"`{entry.archive}`, {entry.size / 1e6:.1f} MB; its sha256 is in `SHA256SUMS`"
    if entry.record is None:
        yield "no weights: its model card (docs/README.md) says how they are trained or imported"
        return
    record, training = entry.record, entry.record["training"]
    yield f"weights of {record['size'] / 1e6:.1f} MB, trained on {training['data']}"
    yield f"licence of the data: {training['licence']}; {training['attribution']}"
    yield f"for: {record['intended_use']}"
    yield f"limits: {record['limits']}"


def _hosting(owner: str | None) -> Iterator[str]:
    yield "- Any web server: as it is. `tools/release.py check FOLDER` compares all files with `SHA256SUMS`."
    yield "- GitHub: upload the `*.zip` and `*.pt` as assets of the release, and have `models/model_info.json` in"
    yield "  the repository at the release's tag, where MONAI looks up the latest version."
    if owner:
        yield "- Hugging Face: for each bundle unpack its zip, copy `hf_models/BUNDLE/README.md` into it, and"
        yield f"  `hf upload {owner}/BUNDLE BUNDLE .`; `hf_models/BUNDLE` is what MONAI's model zoo lists it by."


def _page(entries: Sequence[Entry], base: str, owner: str | None) -> str:
    parts = [f"<p><strong>{html.escape(NOTICE)}</strong></p>"]
    for entry in entries:
        facts = "".join(f"<li>{html.escape(fact.replace('`', ''))}</li>" for fact in _facts(entry))
        script = html.escape("\n".join(_script(entry, base, owner)))
        parts.append(
            f"<h2>{html.escape(str(entry.metadata['name']))}</h2>\n"
            f"<p>{html.escape(str(entry.metadata['description']))}</p>\n"
            f'<p><a href="{html.escape(entry.archive)}">{html.escape(entry.archive)}</a></p>\n'
            f"<ul>{facts}</ul>\n<pre>{script}</pre>"
        )
    return TEMPLATE.format(body="\n".join(parts))


TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Medical image translation: packed MONAI bundles</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ background: #eee; padding: .75rem; overflow-x: auto }}
</style>
</head>
<body>
<h1>Medical image translation: packed MONAI bundles</h1>
{body}
</body>
</html>
"""
