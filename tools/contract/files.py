"""What a bundle's folder promises: its files, its package, nothing of one machine, nothing secret."""

from __future__ import annotations

import ast
import configparser
import logging
import logging.handlers
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import transmodal
from contract.bundle import CORE, Bundle, Check, Note, Skipped
from packing import licence
from transmodal.files import sha256_of

REQUIRED = (
    "configs/metadata.json",
    "configs/inference.json",
    "configs/evaluate.json",
    "configs/train.json",
    "configs/multi_gpu_train.json",
    "configs/logging.conf",
    "docs/README.md",
    "docs/data_license.txt",
)
TASKS = ("translation", "synthesis", "segmentation", "classification")
CARD = ("overview", "data", "training", "performance", "commands", "references", "license", "disclaimer")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+")
TEXT = {".json", ".py", ".md", ".txt", ".conf", ".yml", ".yaml", ".cfg", ".toml", ""}
PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".gif"}
LARGEST = 1_000_000
MACHINE_PATH = re.compile(
    r"(?<![\w./~-])(/(?:home|Users|root|mnt|tmp|work|workspace|scratch|private)/[\w./-]*|[A-Z]:\\\\?\w+)"
)
SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "an AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a password": re.compile(r"(?i)\b(?:password|passwd|api_?key|secret|token)[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']"),
}


def license_file(bundle: Bundle) -> Iterator[str]:
    """The licence is a file named exactly LICENSE."""
    names = [path.name for path in bundle.root.iterdir() if path.is_file()]
    if "LICENSE" not in names:
        near = [name for name in names if name.lower().startswith("licen")]
        yield f"no file named LICENSE in the bundle's root{f', only {near[0]}' if near else ''}"
    elif not (bundle.root / "LICENSE").read_text(encoding="utf-8").strip():
        yield "LICENSE is empty"


def required_files(bundle: Bundle) -> Iterator[str]:
    """Every file that a consumer or a reader opens is there."""
    for name in REQUIRED:
        if not (bundle.root / name).is_file():
            yield f"{name} is absent"


def data_license(bundle: Bundle) -> Iterator[str]:
    """What docs/data_license.txt says of images and weights is true of the figures and the weights that are there."""
    path = bundle.root / licence.NAME
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    pictures = [path.name for path in sorted((bundle.root / "docs").rglob("*")) if path.suffix in PICTURES]
    if pictures and re.search(r"\bno image\b", text, re.IGNORECASE):
        yield f"{licence.NAME} says that there is no image, and docs has {pictures[0]}"
    packed = (bundle.root / CORE).is_dir()
    if packed and bundle.weights.is_file() and licence.NO_WEIGHT in text:
        yield f"{licence.NAME} says '{licence.NO_WEIGHT}', and models/{bundle.weights.name} is there"


def folder_name(bundle: Bundle) -> Iterator[str]:
    """The folder's name is lower case and ends with the task, from which MONAI Label guesses the type."""
    if not re.fullmatch(rf"[a-z0-9]+(?:_[a-z0-9]+)+_(?:{'|'.join(TASKS)})", bundle.name):
        yield f"folder '{bundle.name}'; wanted lower-case words joined by _, the last one of {', '.join(TASKS)}"


def package_name(bundle: Bundle) -> Iterator[str]:
    """The code is one package <method>_bundle: two packages of one name in a process run the first one's network."""
    for name in bundle.packages:
        if not name.endswith("_bundle"):
            yield f"package '{name}'; wanted only <method>_bundle, which no other bundle has"
    if len([name for name in bundle.packages if name.endswith("_bundle")]) > 1:
        yield f"packages {', '.join(bundle.packages)}; wanted one"
    if not bundle.package:
        yield "no package <method>_bundle with an __init__.py"


def core_version(bundle: Bundle) -> Iterator[str]:
    """The package refuses another core than the one it was written for, which is the core beside it."""
    if not bundle.package:
        raise Skipped("no package")
    tree = ast.parse((bundle.root / bundle.package / "__init__.py").read_text(encoding="utf-8"))
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "transmodal.require"
    ]
    wanted = ".".join(transmodal.__version__.split(".")[:2])
    if not calls:
        yield f'{bundle.package}/__init__.py lacks transmodal.require("{wanted}", by=__name__)'
    for call in calls:
        if ast.unparse(call) != f"transmodal.require('{wanted}', by=__name__)":
            yield f'{bundle.package}/__init__.py: {ast.unparse(call)}; wanted ("{wanted}", by=__name__)'


def weights_folder(bundle: Bundle) -> Iterator[str]:
    """models/ holds model.pt and at most the parts that train.json starts from, under longer names.

    Label offers every .pt to its users, the shortest name first; Deploy prefers a model.ts, stale or not.
    """
    names = ["model.pt", *(f"{part}.pt" for part in bundle.parts if len(part) > len("model"))]
    for path in sorted((bundle.root / "models").glob("*")):
        if path.suffix in {".pt", ".pth", ".ts", ".ckpt"} and path.name not in names:
            yield f"models/{path.name}; wanted {' and '.join(names)} alone, anything else outside models/"


def no_machine_paths(bundle: Bundle) -> Iterator[str]:
    """Nothing names a folder of one machine."""
    for path, number, line in _lines(bundle):
        for found in MACHINE_PATH.findall(line):
            yield f"{path}:{number}: {found}"


def no_secrets(bundle: Bundle) -> Iterator[str]:
    """No key, token or password is shipped."""
    for path, number, line in _lines(bundle):
        for what, pattern in SECRETS.items():
            if pattern.search(line):
                yield f"{path}:{number}: {what}"


def file_kinds(bundle: Bundle) -> Iterator[str]:
    """Files are small, and none is a link, which unpacking turns into a text file."""
    for path in bundle.root.rglob("*"):
        if path.is_symlink():
            yield f"{path.relative_to(bundle.root)} is a link; wanted the file itself"
    for path in bundle.files():
        if path.stat().st_size > LARGEST:
            yield f"{path.relative_to(bundle.root)} has {path.stat().st_size} bytes; wanted at most {LARGEST}"


def logging_conf(bundle: Bundle) -> Iterator[str]:
    """logging.conf passes MONAI's allow-list: standard handlers, literal arguments and the standard streams."""
    path = bundle.configs / "logging.conf"
    if not path.is_file():
        raise Skipped("configs/logging.conf is absent")
    parser = configparser.RawConfigParser()
    parser.read_string(path.read_text(encoding="utf-8"))
    for section in parser.sections():
        kind = parser.get(section, "class", fallback="")
        module, _, name = kind.removeprefix("logging.").rpartition(".")
        known = getattr({"": logging, "handlers": logging.handlers}.get(module), name, None)
        if kind and not (isinstance(known, type) and issubclass(known, (logging.Handler, logging.Formatter))):
            yield f"[{section}] class={kind}; wanted a handler or formatter of the standard library"
        for field in ("args", "kwargs"):
            value = parser.get(section, field, fallback="").strip()
            try:
                ast.literal_eval(re.sub(r"\bsys\.std(out|err)\b", "None", value) or "None")
            except (ValueError, SyntaxError):
                yield f"[{section}] {field}={value}; wanted literals, sys.stdout or sys.stderr"


def large_files(bundle: Bundle) -> Iterator[str]:
    """Hosted weights are pinned by sha256 and unpack inside the bundle; what is reachable as file:// is compared."""
    from monai.bundle import ConfigParser

    path = next((found for found in sorted(bundle.root.glob("large_files.*"))), None)
    if path is None:
        raise Skipped("no large_files.yml: no weights are hosted elsewhere")
    for entry in ConfigParser.load_config_file(path).get("large_files") or []:
        where = f"{path.name}: {entry.get('path')}"
        inside = (bundle.root / str(entry.get("path"))).resolve().is_relative_to(bundle.root)
        if not entry.get("path") or not inside:
            yield f"{where}; wanted a path inside the bundle"
        if entry.get("hash_type") != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", str(entry.get("hash_val", ""))):
            yield f"{where}; wanted hash_type sha256 and its 64 digits as hash_val"
            continue
        url = urlparse(str(entry.get("url", "")))
        if url.scheme == "file":
            yield from _compare(where, Path(unquote(url.path)), entry["hash_val"])
        elif url.scheme in {"http", "https"}:
            yield Note(f"{where}: not fetched")
        else:
            yield f"{where}: url '{entry.get('url')}'; wanted http(s):// or file://; a bare path cannot be fetched"


def _compare(where: str, path: Path, wanted: str) -> Iterator[str]:
    if not path.is_file():
        yield f"{where}: {path} is absent"
    elif sha256_of(path) != wanted:
        yield f"{where}: sha256 of {path} is {sha256_of(path)}; wanted {wanted}"


def model_card(bundle: Bundle) -> Iterator[str]:
    """docs/README.md has the sections of a model card, each named in a heading, and no placeholder left in them."""
    path = bundle.root / "docs" / "README.md"
    if not path.is_file():
        raise Skipped("docs/README.md is absent")
    text = path.read_text(encoding="utf-8")
    headings = " ".join(line.lower() for line in text.splitlines() if line.startswith("#"))
    missing = [word for word in CARD if word not in headings]
    if missing:
        yield f"docs/README.md: no heading with {', '.join(missing)}"
    for paragraph in re.split(r"\n\s*\n|^#.*$", text, flags=re.MULTILINE):
        if PLACEHOLDER.fullmatch(paragraph.strip()):
            yield f"docs/README.md: a paragraph of {paragraph.strip()} alone; wanted the text that it stands for"


def _lines(bundle: Bundle) -> Iterator[tuple[Path, int, str]]:
    for path in bundle.files():
        relative = path.relative_to(bundle.root)
        if path.suffix in TEXT and relative.parts[0] != transmodal.__name__:
            text = path.read_text(encoding="utf-8", errors="replace")
            yield from ((relative, number, line) for number, line in enumerate(text.splitlines(), 1))


CHECKS: tuple[Check, ...] = (
    license_file,
    required_files,
    data_license,
    folder_name,
    package_name,
    core_version,
    weights_folder,
    no_machine_paths,
    no_secrets,
    file_kinds,
    logging_conf,
    large_files,
    model_card,
)
