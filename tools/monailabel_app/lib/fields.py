"""What a request may hold. Everything else is dropped: MONAI Label puts fields of requests into configs, whose strings
may be code, and into paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from .options import DIRECTION, LEAST, RESULT
from .refusals import refusal

CODE = ("$", "@", "%")
"""What a string begins with that a bundle's config takes for an expression, a reference or a file."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
Check = Callable[[str, Any], Any]


def devices() -> list[str]:
    """The devices that are there, the one to use by default first."""
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cuda", *cards, "cpu"] if cards else ["cpu"]


def training(request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request a training may use.

    Raises:
        InputError: if a value is none of those that are offered.
    """
    fixed = {"tracking": "", "device": devices()[0]}
    return {**fixed, **_permitted(request, {**COMMON, **TRAINING})}


def inference(request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request an inference may use; what a bundle itself offers is checked with its options.

    Raises:
        InputError: if a value is none of those that are offered.
    """
    return {"device": devices()[0], **_permitted(request, {**COMMON, **INFERENCE})}


def batch(request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request the inference of all images of the studies may use.

    Raises:
        InputError: if a value is none of those that are offered.
    """
    kept = {key: value for key, value in request.items() if (key, value) != ("device", "cuda") or "cuda" in devices()}
    permitted = _permitted(kept, {**COMMON, **INFERENCE, **BATCH})  # without params MONAI Label itself asks for "cuda"
    return {"device": devices()[0], **permitted}


def _permitted(request: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    for key, value in request.items():
        _require_no_code(str(key), value)
    return {key: checks[key](key, value) for key, value in request.items() if key in checks}


def _require_no_code(key: str, value: Any) -> None:
    """Refuse strings, at any depth, that a config would run or look up."""
    if isinstance(value, str) and value.lstrip().startswith(CODE):
        raise refusal(key, repr(value), f"a text that does not begin with {' or '.join(CODE)}", "send a plain value")
    parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value if isinstance(value, list) else []
    for part in parts:
        _require_no_code(key, part)


def _true_or_false(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise refusal(key, repr(value), "true or false", f"send {key} without quotes")
    return value


def _whole(least: int) -> Check:
    def check(key: str, value: Any) -> int:
        if type(value) is not int or value < least:
            raise refusal(key, repr(value), f"a whole number from {least} on", f"send {key} as a number")
        return value

    return check


def _share(key: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise refusal(key, repr(value), "a number from 0 to below 1", f"send {key} as 0.2")
    return float(value)


def _one_of(offered: Callable[[], list[str]]) -> Check:
    def check(key: str, value: Any) -> str:
        choices = offered()
        if value == choices or value == []:  # the whole list, as a client got it shown
            return choices[0]
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value not in choices:
            raise refusal(key, repr(value), " or ".join(choices), f"send {key} as {choices[0]!r}")
        return str(value)

    return check


def _name(key: str, value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refusal(key, repr(value), "a name of letters, digits, - and _", f"send another {key}")
    return value


def _as_it_is(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        raise refusal(key, repr(value), "one value", f"send {key} as text or number")
    return value


COMMON: dict[str, Check] = {"device": _one_of(devices), "model": _name, "client_id": _as_it_is}
TRAINING: dict[str, Check] = {
    "max_epochs": _whole(1),
    "val_split": _share,
    "pretrained": _true_or_false,
    "multi_gpu": _true_or_false,
    "model_filename": _one_of(lambda: ["model.pt"]),
}
INFERENCE: dict[str, Check] = {
    **dict.fromkeys((DIRECTION, RESULT, *LEAST, "result_extension", "result_dtype"), _as_it_is),
    "save_label": _true_or_false,
    "label_tag": _name,
    "logging": _one_of(lambda: ["INFO", "DEBUG", "WARNING", "ERROR"]),
}
BATCH: dict[str, Check] = {
    "images": _one_of(lambda: ["all", "labeled", "unlabeled"]),
    "multi_gpu": _true_or_false,
    "max_workers": _whole(0),
    "max_batch_size": _whole(0),
}
