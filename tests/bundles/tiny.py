"""Every bundle in small: one row says what makes it tiny, what it is fed with and what it makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.bundle import ConfigWorkflow

from contract import Bundle

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(path.parent for path in ROOT.glob("bundles/*/configs"))
SPLIT, STATE = "split.json", "resume.pt"
"""What a training leaves in ``output_dir``: which cases it used for what, and what it resumes from."""


@dataclass(frozen=True)
class Direction:
    """One way in which a bundle translates.

    Args:
        sources: modalities it needs, the first one on whose grid it writes.
        target: modality it makes.
        ids: what chooses this direction in inference and evaluation.
    """

    sources: tuple[str, ...]
    target: str
    ids: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{'+'.join(self.sources)}_to_{self.target}"


@dataclass(frozen=True)
class Stage:
    """A config that runs before train.json and makes what later ones read.

    Args:
        config: its name.
        makes: the id by which the others find what it makes: a file of weights, or a folder of images by case.
        ids: what differs from the last training, so that an epoch has two iterations.
    """

    config: str
    makes: str
    ids: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        return self.config.startswith("train")


@dataclass(frozen=True)
class Tiny:
    """How a bundle becomes small enough to train in a second.

    Args:
        network: ids that shape the network or its input, the same in training and inference.
        training: further ids of the training; one case of ``phantoms`` must be an epoch of two iterations.
        directions: what it translates; none for a bundle that writes no image.
        phantoms: arguments of ``write_phantoms`` for its data, two cases, of which one trains and one validates.
        unknown: ids that ask for a modality that does not exist.
        comparable: ids without which several processes could not be compared with one: an optimizer that is linear in
            the gradient, no image pools, a learning rate so small that rounding stays rounding.
        slices: whether it also translates a single slice.
        deviation: whether it writes a map of its uncertainty beside every image.
        unbeatable: a value of the validation metric that no training reaches.
        before: stages that run before train.json, in this order.
        reads: of train.json, the id of the folder and the modality of the images that it starts from.
    """

    network: Mapping[str, Any]
    training: Mapping[str, Any]
    directions: tuple[Direction, ...]
    phantoms: Mapping[str, Any]
    unknown: Mapping[str, Any]
    comparable: Mapping[str, Any]
    slices: bool = True
    deviation: bool = False
    unbeatable: float = -1.0
    before: tuple[Stage, ...] = ()
    reads: tuple[str, str] | None = None

    def ids_of(self, config: str) -> dict[str, Any]:
        """What makes one config small."""
        trains = config.startswith("train")
        stage = next((dict(stage.ids) for stage in self.before if stage.config == config), {})
        return {**self.network, **(self.training if trains else {}), **stage}


TINY = {
    "ct_mr_body_segmentation": Tiny(
        network={
            "layers": [1, 1, 1, 1],
            "widths": [4, 4, 8, 8],
            "aspp_channels": 8,
            "low_level_channels": 4,
            "pixdim": [12.0, 12.0, -1.0],
            "patch": [24, 24],
            "label_from": "mask",
        },
        training={
            "batch_size": 2,
            "max_epochs": 2,
            "train#trainer#max_epochs": 1,
            "val_interval": 1,
            "learning_rate": 0.02,
        },
        directions=(Direction(("mr",), "mask", {"source": "mr"}), Direction(("ct",), "mask", {"source": "ct"})),
        phantoms={"shape": (24, 26, 2), "modalities": ("ct", "mr", "mask")},
        unknown={"source": "pet"},
        comparable={
            "adam": {"_target_": "torch.optim.SGD", "_mode_": "callable", "lr": 5e-5},
            "loss#batch": False,
            "network_def": {  # batch norm sees the images of one process
                "_target_": "UNet",
                "spatial_dims": 2,
                "in_channels": 1,
                "out_channels": 2,
                "channels": [4, 8],
                "strides": [2],
            },
        },
        unbeatable=2.0,
    ),
    "ct_mr_cyclegan_translation": Tiny(
        network={"channels": 4, "num_blocks": 1, "pixdim": [12.0, 12.0, -1.0]},
        training={
            "critic_channels": 4,
            "patch": [24, 24],
            "constant_epochs": 1,
            "decay_epochs": 0,
            "val_interval": 1,
        },
        directions=(Direction(("mr",), "ct", {"source": "mr"}), Direction(("ct",), "mr", {"source": "ct"})),
        phantoms={"shape": (24, 26, 2), "modalities": ("ct", "mr", "mask")},
        unknown={"source": "pet"},
        comparable={
            "adam": {"_target_": "torch.optim.SGD", "_mode_": "callable", "lr": 5e-5},
            "pool_size": 0,
        },
    ),
    "ct_mr_stargan_translation": Tiny(
        network={"channels": 4, "num_blocks": 1, "pixdim": [12.0, 12.0, -1.0], "patch": [24, 24]},
        training={
            "critic_channels": 4,
            "critic_depth": 3,
            "critic_turns": 1,
            "batch_size": 2,
            "constant_epochs": 1,
            "decay_epochs": 0,
            "val_interval": 1,
        },
        directions=(Direction(("mr",), "ct", {"source": "mr"}), Direction(("ct",), "mr", {"source": "ct"})),
        phantoms={"shape": (24, 26, 2), "modalities": ("ct", "mr", "mask")},
        unknown={"source": "pet"},
        comparable={"adam": {"_target_": "torch.optim.SGD", "_mode_": "callable", "lr": 5e-5}},
    ),
    "ct_mr_modality_classification": Tiny(
        network={"stage_channels": [8, 8], "stage_blocks": [0, 1], "size": 16},
        training={
            "draws_per_image": 1,
            "batch_size": 1,
            "max_epochs": 2,
            "val_interval": 1,
            "train#trainer#max_epochs": 1,
        },
        directions=(),
        phantoms={"shape": (24, 26, 2), "modalities": ("ct", "mr", "mask")},
        unknown={},
        comparable={
            "adam": {"_target_": "torch.optim.SGD", "_mode_": "callable", "lr": 5e-5},
            "norm": ["GROUP", {"num_groups": 4}],  # batch norm sees the images of one process
        },
    ),
    "ct_mr_syndiff_translation": Tiny(
        network={
            "channels": 8,
            "channel_mult": [1, 2],
            "num_res_blocks": 1,
            "attention": [False, True],
            "latent_dim": 4,
            "style_dim": 8,
            "pixdim": [12.0, 12.0, -1.0],
            "patch": [24, 24],
        },
        training={
            "estimator_channels": 4,
            "critic_channels": 4,
            "critic_def#multipliers": [2, 2],
            "patch_critic_channels": 4,
            "max_epochs": 1,
            "val_interval": 1,
            "generator_rate": 0.02,  # the output starts at a constant, which two iterations are to leave
            "ema_decay": 0.0,
        },
        directions=(Direction(("mr",), "ct", {"source": "mr"}), Direction(("ct",), "mr", {"source": "ct"})),
        phantoms={"shape": (24, 26, 2), "modalities": ("ct", "mr", "mask")},
        unknown={"source": "pet"},
        comparable={
            "adam": {"_target_": "torch.optim.SGD", "_mode_": "callable"},
            "generator_rate": 5e-5,
            "critic_rate": 5e-5,
            "critic_def#std_group": 1,
        },
    ),
    "brain_mri_mudiff_synthesis": Tiny(
        network={
            "channels": 8,
            "channel_mult": [1, 2],
            "num_res_blocks": 1,
            "attention": [False, True],
            "latent_dim": 4,
            "style_dim": 8,
            "stem_style_dim": 8,
            "pixdim": [12.0, 12.0, -1.0],
            "patch": [24, 24],
        },
        training={
            "critic_channels": 4,
            "critic_def#multipliers": [2, 2, 2],
            "batch_size": 1,
            "max_epochs": 1,
            "generator_rate": 0.02,  # the output starts at a constant, which two iterations are to leave
            "ema_decay": 0.0,
        },
        directions=(Direction(("flair", "t2", "t1"), "t1ce"),),
        phantoms={"shape": (24, 26, 2), "modalities": ("t1", "t1ce", "t2", "flair", "mask", "lesion")},
        unknown={"target": "pet"},
        comparable={
            "adam": {"_target_": "torch.optim.SGD", "_mode_": "callable"},
            "generator_rate": 5e-5,
            "critic_rate": 5e-5,
            "critic_def#std_group": 1,
        },
        slices=False,
        deviation=True,
    ),
    "ct_mr_mddga_translation": Tiny(
        network={
            "grid": [24, 24, 24],
            "pixdim": [-1.0, 12.0, 12.0],
            "embedding_dim": 2,
            "num_embeddings": 8,
            "autoencoder_channels": [4, 8],
            "autoencoder_blocks": 1,
            "slice_channels": 8,
            "volume_channels": 8,
            "channel_mult": [1, 2],
            "attention": [False, True],
            "norm_groups": 4,
            "slice_batch": 16,
            "num_steps": 2,
        },
        training={
            "batch_size": 1,
            "max_epochs": 2,
            "val_interval": 1,
            "validation_steps": 2,
            "learning_rate": 0.02,
            "ema_decay": 0.0,
        },
        directions=(Direction(("ct",), "mr"),),
        phantoms={"shape": (24, 26, 12), "modalities": ("ct", "mr", "mask")},
        unknown={"source": "pet"},
        comparable={
            "optimizer": {"_target_": "torch.optim.SGD", "params": "$@trained.parameters()", "lr": 0.01},
        },
        before=(
            Stage("train_autoencoder", "autoencoder_path", {"max_epochs": 1}),
            Stage("train_slices", "slices_path", {"max_epochs": 1, "batch_size": 32}),
            Stage("inference_slices", "slices_dir"),
        ),
        reads=("slices_dir", "mr"),
    ),
}
"""One row per bundle, by its name."""

WRITTEN = {
    "ct": (np.int16, -1000, 2000),
    "mr": (np.float32, 0, 1000),
    "t1ce": (np.float32, 0, 1000),
    "mask": (np.uint8, 0, 1),
}
"""Of each modality that is made: type in the file, bounds of its values in HU or on the documented scale."""


def of_every_training() -> list[tuple[Path, str]]:
    """Each bundle with the config of each of its trainings, the last one train.json."""
    return [
        (bundle, config)
        for bundle in BUNDLES
        if bundle.name in TINY
        for config in [*(stage.config for stage in TINY[bundle.name].before if stage.trains), "train"]
    ]


def of_every_direction() -> list[tuple[Path, Direction]]:
    """Each bundle with each of its directions, for ``pytest.mark.parametrize``."""
    return [
        (bundle, direction) for bundle in BUNDLES if bundle.name in TINY for direction in TINY[bundle.name].directions
    ]


def run(bundle: Path, config: str, **ids: Any) -> ConfigWorkflow:
    """What ``python -m monai.bundle run`` does with a config and what it is laid over, in small and in this process."""
    workflow = prepared(bundle, config, **ids)
    with importable(bundle):
        workflow.run()
        workflow.finalize()
    return workflow


def prepared(bundle: Path, config: str, **ids: Any) -> ConfigWorkflow:
    """The workflow of a config in small, initialized and not yet run; nothing of it is made."""
    workflow = ConfigWorkflow(
        config_file=Bundle(bundle).stack(config),
        workflow_type="train" if config.startswith("train") else "infer",
        logging_file=False,
        **{"bundle_root": str(bundle), "device": "cpu", **TINY[bundle.name].ids_of(config), **ids},
    )
    with importable(bundle):
        workflow.initialize()
    return workflow


@contextmanager
def importable(bundle: Path) -> Iterator[None]:
    """Make the bundle's package importable, as Python does for a run from the bundle's root, and only meanwhile."""
    before = sys.path.copy()
    sys.path.insert(0, str(bundle))
    try:
        yield
    finally:
        sys.path[:] = before


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels as they are stored, and the affine."""
    image = nib.load(path)
    return np.asanyarray(image.dataobj), image.affine


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder by its relative path; nothing for a folder that is not there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
