"""What the JSON promises: readable text within its budget, one order, ids that consumers find, targets that exist."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pydoc import locate
from typing import Any

from contract.bundle import Bundle, Check, describe
from format_json import format_text

BUDGETS = {"inference": 225, "evaluate": 150, "train": 431}
OVERLAY_BUDGET = 80
LONGEST_EXPRESSION = 80
HEAD = ("_desc_", "imports", "bundle_root", "device", "dataset_dir", "output_dir", "ckpt_path")
BODY = ("*_def", "network", "preprocessing", "dataset", "dataloader", "scheduler", "inferer", "postprocessing")
TAIL = ("handlers", "evaluator", "train", "validate", "initialize", "run", "finalize")
ORDERS = (HEAD + BODY + TAIL, ("network", "objective", "train"), ("network", "*_optimizer", "train"))
IDS = {
    "inference": ("dataset", "dataloader", "preprocessing", "inferer", "postprocessing", "handlers", "evaluator"),
    "train": ("train", "validate"),
}
SHARED_IDS = ("bundle_root", "device", "dataset_dir", "output_dir", "network_def", "network", "initialize", "run")
LIBRARIES = {"monai", "torch", "ignite", "transmodal", "numpy", "scipy", "itk", "nibabel", "skimage"}
FORBIDDEN = {"Spacingd": "it fails in MONAI Label with MONAI 1.6, which adds the key image_path"}
ARGUMENTS = {"_target_", "_disabled_", "_requires_", "_desc_", "_mode_"}


def json_format(bundle: Bundle) -> Iterator[str]:
    """Every file is JSON without repeated keys, formatted by tools/format_json.py."""
    for path in sorted(bundle.configs.glob("*.json")):
        if format_text(path) != path.read_text(encoding="utf-8"):
            yield f"{path.name} is not formatted; run tools/format_json.py {path.name}"


def line_budgets(bundle: Bundle) -> Iterator[str]:
    """Configs stay short enough to be read."""
    for name in bundle.config_names():
        count = len((bundle.configs / f"{name}.json").read_text(encoding="utf-8").splitlines())
        budget = BUDGETS.get(name, OVERLAY_BUDGET if bundle.base_of(name) else BUDGETS["inference"])
        if count > budget:
            yield f"{name}.json has {count} lines; wanted at most {budget}"


def expressions(bundle: Bundle) -> Iterator[str]:
    """Expressions are short, and hold no lambda and no comprehension."""
    for name, where, text in _strings(bundle):
        if not text.startswith("$"):
            continue
        if len(text) > LONGEST_EXPRESSION:
            yield f"{name}.json: {where} has {len(text)} characters; wanted at most {LONGEST_EXPRESSION}"
        try:
            nodes = list(ast.walk(ast.parse(re.sub(r"@[\w#:]*", "ref", text[1:]))))
        except SyntaxError as error:
            yield f"{name}.json: {where} is no Python expression: {error.msg}"
            continue
        if any(isinstance(node, (ast.Lambda, ast.comprehension)) for node in nodes):
            yield f"{name}.json: {where} holds a lambda or a comprehension; wanted a class with a name"


def order_of_ids(bundle: Bundle) -> Iterator[str]:
    """Ids stand in the one order of all bundles; hyper-parameters follow ckpt_path."""
    for name in bundle.config_names():
        ids = [key.lstrip("+").partition("#")[0] for key in bundle.read(name)]
        for order in ORDERS:
            ranked = [(key, order.index(kind)) for key in ids if (kind := _kind(key)) in order]
            for (before, high), (after, low) in pairwise(ranked):
                if low < high:
                    yield f"{name}.json: '{before}' stands before '{after}'"
        if "ckpt_path" in ids:
            head = ids[: ids.index("ckpt_path")]
            for stray in [key for key in head if key not in HEAD]:
                yield f"{name}.json: '{stray}' stands before 'ckpt_path'"


def _kind(key: str) -> str:
    return next((f"*{suffix}" for suffix in ("_def", "_optimizer") if key.endswith(suffix)), key)


def wanted_ids(bundle: Bundle) -> Iterator[str]:
    """The ids that MONAI, Label and Deploy read are there, in the shape they read them."""
    for name, wanted in IDS.items():
        config = bundle.read(name)
        missing = [key for key in (*SHARED_IDS, *wanted) if key not in config]
        if missing:
            yield f"{name}.json lacks {', '.join(missing)}"
        if config.get("bundle_root") != ".":
            yield f"{name}.json: bundle_root is {config.get('bundle_root')!r}; wanted '.'"
    train = bundle.read("train").get("train")
    handlers = train.get("handlers") if isinstance(train, dict) else None
    if not isinstance(handlers, list) or not all(isinstance(handler, dict) for handler in handlers):
        yield "train.json: train#handlers is not a list of objects, which MONAI Label and check_properties read"


def consumers_survive(bundle: Bundle) -> Iterator[str]:
    """Nothing that a consumer is known to trip over: a device that is a string, keys in image_, Spacingd."""
    for name, where, text in _strings(bundle):
        if "@device." in text:
            yield f"{name}.json: {where} takes @device apart; Label and the command line give a string"
        if text.startswith("image_") and re.search(r"(^|#)keys(#\d+)?$", where):
            yield f"{name}.json: {where} is '{text}'; no key starts with image_"
        if where.endswith("_target_") and text in FORBIDDEN:
            yield f"{name}.json: {where} is {text}: {FORBIDDEN[text]}"


def code_in_imports(bundle: Bundle) -> Iterator[str]:
    """imports and initialize name no code of ours: they are evaluated before the bundle's root is importable."""
    for name, where, text in _strings(bundle):
        if where.lstrip("+").startswith(("imports", "initialize")) and re.search(r"\btransmodal\b|\w+_bundle\b", text):
            yield f"{name}.json: {where} names {text}"


def same_text(bundle: Bundle) -> Iterator[str]:
    """Training and inference share the text of the network, of the preprocessing, and of all that these refer to."""
    inference, train = bundle.read("inference"), bundle.read("train")
    shared = {"network_def", "preprocessing"}
    for key in sorted(shared | _closure(inference, "network_def") | _closure(inference, "preprocessing")):
        if inference.get(key) != train.get(key):
            yield f"'{key}' differs between inference.json and train.json"


def _closure(config: Mapping[str, Any], key: str, seen: frozenset[str] = frozenset()) -> set[str]:
    found: set[str] = set()
    for _, text in _walk(config.get(key)):
        heads = re.findall(r"@(\w+)", text) if text.startswith(("@", "$")) else re.findall(r"^%(\w+)", text)
        found |= {head for head in heads if head in config}
    for head in found - seen - {key}:
        found |= _closure(config, head, seen | found | {key})
    return found - {key}


def overlays(bundle: Bundle) -> Iterator[str]:
    """An overlay states only differences, defines no network or preprocessing anew, and copies nothing by file path."""
    for name in bundle.config_names():
        for _, where, text in _strings(bundle, [name]):
            if re.match(r"%.*\.(json|ya?ml)", text):
                yield f"{name}.json: {where} copies from a file; wanted an id of the merged config"
        base = bundle.base_of(name)
        below = bundle.read(base) if base else {}
        changed = _changed_before(bundle, name)
        for key, value in bundle.read(name).items():
            if key != "_desc_" and key in below and below[key] == value and key not in changed:
                yield f"{name}.json repeats '{key}' of {base}.json"
            if name == "evaluate" and key in {"network_def", "network", "preprocessing", "inferer"}:
                yield f"evaluate.json defines '{key}' anew; an evaluation runs what inference runs"
            if name in bundle.stages and key in {"network_def", "preprocessing"}:
                yield f"{name}.json defines '{key}' anew; every stage trains for the same inference"


def _changed_before(bundle: Bundle, name: str) -> set[str]:
    """Ids that an overlay may set back: those of the overlays that its description says it stands behind."""
    _, _, behind = str(bundle.read(name).get("_desc_", "")).partition("behind ")
    named = re.findall(r"(\w+)\.json", behind.partition(",")[0])
    return {key for each in named if each in bundle.config_names() for key in bundle.read(each)} - {"_desc_"}


def references(bundle: Bundle) -> Iterator[str]:
    """Every @reference leads somewhere, in each config as it is run (an overlay with its base)."""
    from monai.bundle import ConfigParser
    from monai.bundle.reference_resolver import ReferenceResolver

    metadata = bundle.metadata
    for name in bundle.config_names():
        parser = ConfigParser()
        parser.read_config(bundle.stack(name))
        parser.read_meta(metadata)
        parser.parse()
        for reference in ReferenceResolver.find_refs_in_config(parser.get(), id=""):
            if reference not in parser:
                yield f"{name}.json: @{reference.replace('::', '#')} is no id"


def targets(bundle: Bundle) -> Iterator[str]:
    """Every _target_ says where its code lives, exists, and takes the arguments it is given."""
    from monai.bundle import ComponentLocator

    locator = ComponentLocator()
    with bundle.importable():
        for name in bundle.config_names():
            for where, component in _components(bundle.read(name)):
                merged = where.startswith("+") and "#" in where  # into one below, whose arguments it keeps
                for problem in _target(component, bundle, locator, merged):
                    yield f"{name}.json: {where}: {problem}"


def _target(component: Mapping[str, Any], bundle: Bundle, locator: Any, merged: bool) -> Iterator[str]:
    target = component["_target_"]
    if not isinstance(target, str) or target.startswith("$"):
        return
    head, dot, _ = target.partition(".")
    if not dot:
        module = locator.get_component_module_name(target)
        if not isinstance(module, str):
            yield f"{target} is {'several things' if module else 'nothing'} in MONAI; wanted a full dotted name"
            return
        target = f"{module}.{target}"
    elif head not in LIBRARIES | {bundle.package} | sys.stdlib_module_names:
        yield f"{target}; wanted MONAI's bare names, a library, transmodal. or {bundle.package}."
        return
    try:
        found = locate(target)
    except Exception as error:  # the import of any module may fail in any way
        yield f"{target} cannot be imported: {describe(error)}"
        return
    yield from [f"{target} does not exist"] if found is None else _arguments(found, component, merged)


def _arguments(found: Any, component: Mapping[str, Any], merged: bool) -> Iterator[str]:
    given = {key: value for key, value in component.items() if key not in ARGUMENTS}
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # built in C: nothing to compare with
        return
    some = merged or component.get("_mode_") == "callable"
    try:
        (signature.bind_partial if some else signature.bind)(**given)
    except TypeError as error:
        yield f"{component['_target_']}: {error}"


def _components(config: Any, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(config, dict) and "_target_" in config:
        yield where, config
    if isinstance(config, (dict, list)):
        for key, value in config.items() if isinstance(config, dict) else enumerate(config):
            yield from _components(value, f"{where}#{key}" if where else str(key))


def _walk(config: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(config, str):
        yield where, config
    elif isinstance(config, (dict, list)):
        for key, value in config.items() if isinstance(config, dict) else enumerate(config):
            yield from _walk(value, f"{where}#{key}" if where else str(key))


def _strings(bundle: Bundle, names: list[str] | None = None) -> Iterator[tuple[str, str, str]]:
    for name in bundle.config_names() if names is None else names:
        for where, text in _walk(bundle.read(name)):
            yield name, where, text


CHECKS: tuple[Check, ...] = (
    json_format,
    line_budgets,
    expressions,
    order_of_ids,
    wanted_ids,
    consumers_survive,
    code_in_imports,
    same_text,
    overlays,
    references,
    targets,
)
