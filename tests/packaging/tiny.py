"""A throw-away bundle beside these tests, copied, renamed and broken at will."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from contract import Bundle
from contract.running import network_of
from format_json import format_text
from tests.parity.fill import fill
from transmodal.checkpoints import save_weights

TEMPLATE = Path(__file__).with_name("ct_mr_tiny_translation")
NAME, PACKAGE = TEMPLATE.name, "tiny_bundle"
BIAS = "segmenter.head.bias"
GAINS = {"ct": 0.5, "mr": -0.25}
SMALL = {
    "channels": 4,
    "channel_mult": [1, 2],
    "attention": [False, True],
    "latent_dim": 4,
    "style_dim": 8,
    "stem_style_dim": 8,
    "num_blocks": 1,
    "critic_channels": 4,
    "critic_depth": 3,
    "patch_size": 32,
    "patch": [72, 72],
    "constant_epochs": 1,
    "decay_epochs": 0,
    "layers": [1, 1, 2, 1],
    "widths": [4, 4, 8, 8],
    "aspp_channels": 8,
    "grid": [24, 24, 24],
    "pixdim": [4.0, 4.0, -1.0],
    "num_embeddings": 8,
    "autoencoder_channels": [4, 8],
    "autoencoder_blocks": 1,
    "slice_channels": 8,
    "volume_channels": 8,
    "norm_groups": 4,
    "num_steps": 2,
    "validation_steps": 2,
    "autoencoder_groups": 4,
    "image_channels": 1,
    "encoder_channels": [8, 8],
    "denoiser_channels": 8,
    "xray_size": 32,
    "init_features": 8,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def tiny_bundle(folder: Path, name: str = NAME, package: str = PACKAGE) -> Path:
    """A copy of the template in ``folder``, under another name and with another package if asked."""
    bundle = folder / name
    shutil.copytree(TEMPLATE, bundle, ignore=shutil.ignore_patterns("__pycache__"))
    (bundle / PACKAGE).rename(bundle / package)
    for path in bundle.rglob("*"):
        if path.suffix in {".json", ".py"}:
            path.write_text(path.read_text(encoding="utf-8").replace(PACKAGE, package), encoding="utf-8")
    return bundle


def give_weights(bundle: Path, ct: float = GAINS["ct"], mr: float = GAINS["mr"]) -> Path:
    """Write models/model.pt with these gains."""
    path = bundle / "models" / "model.pt"
    path.parent.mkdir(exist_ok=True)
    torch.save({"ct.value": torch.tensor([ct]), "mr.value": torch.tensor([mr])}, path)
    return path


def write_cases(folder: Path, *names: str, shape: tuple[int, int, int] = (6, 8, 5)) -> Path:
    """Cases of the bundle's layout: an MR ramp within [-500, 500] and a CT of twice its values, 2 mm apart."""
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    ramp = np.linspace(-500, 500, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    for name in names:
        (folder / name).mkdir(parents=True)
        for modality, image in (("mr", ramp), ("ct", 2 * ramp)):
            nib.save(nib.Nifti1Image(image, affine), folder / name / f"{modality}.nii.gz")
    return folder


def shrink(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle of this checkout, its networks so small that they run in a moment, with random weights.

    Where a training starts from parts of the network, they have weights too, as after the stages that train them.
    """
    copy = folder / bundle.name
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("__pycache__", "models", "output", "data", "eval"))
    for name in ("inference", "train"):
        edit(copy, name, make_small)
    view = Bundle(copy)
    for name in view.config_names():
        if base := view.base_of(name):
            edit(copy, name, partial(drop_repeated, below=view.read(base)))
    with view.importable():
        # some networks start at a constant output, which would make every consumer agree
        state = fill(network_of(view).state_dict())
        if BIAS in state:  # or every pixel would be background
            state[BIAS] = state[BIAS] + torch.tensor([0.0, 0.2])
        save_weights(state, copy / "models" / "model.pt")
    for part in view.parts:
        weights = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
        save_weights(weights, copy / "models" / f"{part}.pt")
    return copy


def make_small(config: dict[str, Any]) -> None:
    """Replace the sizes that a config states; those that it computes follow."""
    config.update({key: size for key, size in SMALL.items() if key in config and not isinstance(config[key], dict)})


def drop_repeated(config: dict[str, Any], below: Mapping[str, Any]) -> None:
    """Take out of an overlay what the config below says too, now that its sizes are small."""
    for key in [key for key, value in config.items() if key != "_desc_" and key in below and below[key] == value]:
        del config[key]


def edit(bundle: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the content of ``configs/<name>.json`` in place, formatted again."""
    path = bundle / "configs" / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    path.write_text(format_text(path), encoding="utf-8")
