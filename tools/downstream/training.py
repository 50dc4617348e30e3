"""A small 2D U-Net that segments lesions from real contrasts: trained once, kept, and taken again where it fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from monai.data import DataLoader, Dataset
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAffined,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    SpatialPadd,
)
from torch import nn
from torch.utils.data import WeightedRandomSampler
from tqdm import tqdm, trange

from downstream.data import Record, Slice, body_slices, read_subject, working_grid
from transmodal.checkpoints import read_safely, write_checkpoint
from transmodal.errors import InputError

LESION_SHARE = 0.5
"""How many of the slices drawn for training show lesion, on average."""


@dataclass(frozen=True)
class Recipe:
    """All that, with the training cases, decides what the segmenter becomes.

    Args:
        target: the contrast under test, the first input channel.
        sources: the other channels, in this order.
        pixdim: spacing of the slices in mm along right, anterior and superior; an axis below 0 is left as it is.
        epochs: how often as many slices are drawn as there are.
        seed: of weights, draws and augmentation.
        features: channels of the U-Net's five levels, and of its last layer.
        batch_size: slices per step.
        learning_rate: of Adam, falling to 0 along a cosine.
    """

    target: str
    sources: tuple[str, ...]
    pixdim: tuple[float, ...] = (2.0, 2.0, -1.0)
    epochs: int = 20
    seed: int = 0
    features: tuple[int, ...] = (16, 16, 32, 64, 128, 16)
    batch_size: int = 16
    learning_rate: float = 2e-3

    @property
    def contrasts(self) -> tuple[str, ...]:
        """The input channels."""
        return (self.target, *self.sources)


@dataclass(frozen=True)
class Segmenter:
    """A trained network from contrasts (B, K + 1, H, W) in [-1, 1] to lesion logits (B, 1, H, W).

    Args:
        network: in evaluation mode, on its device.
        recipe: how it was trained.
        target_mean: mean of the scaled target inside the body, over the training cases.
        reused: whether an earlier run trained it.
    """

    network: nn.Module
    recipe: Recipe
    target_mean: float
    reused: bool = False


def trained_segmenter(recipe: Recipe, records: Sequence[Record], path: Path, device: str) -> Segmenter:
    """The segmenter of ``path`` if the same recipe made it from the same files; else one trained now and kept there.

    Raises:
        InputError: if a file is unusable, or no training case has a lesion.
    """
    identity = json.dumps({"recipe": asdict(recipe), "training": [_fingerprint(recipe, record) for record in records]})
    kept = _kept(path, identity)
    with torch.random.fork_rng():  # weights, draws and augmentation all follow this seed
        torch.manual_seed(recipe.seed)
        network = _network(recipe).to(device)
        if kept is None:
            target_mean = _train(network, recipe, records, device)
            write_checkpoint({"identity": identity, "target_mean": target_mean, "network": network.state_dict()}, path)
        else:
            target_mean = kept["target_mean"]
            network.load_state_dict(kept["network"])
    return Segmenter(network.eval(), recipe, target_mean, reused=kept is not None)


def _network(recipe: Recipe) -> nn.Module:
    return BasicUNet(2, in_channels=len(recipe.contrasts), out_channels=1, features=recipe.features)


def _fingerprint(recipe: Recipe, record: Record) -> dict[str, object]:
    """The case with size and time of each file that training reads, so that changed images train anew."""
    stats = {name: Path(record[name]).stat() for name in (*recipe.contrasts, "lesion", "mask") if name in record}
    return {"case": record["case"], **{name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}}


def _kept(path: Path, identity: str) -> dict | None:
    """What an earlier run wrote, if it is whole and of this very identity."""
    try:
        content = read_safely(path) if path.is_file() else None
    except InputError:  # damaged: trained and written anew
        return None
    return content if isinstance(content, dict) and content.get("identity") == identity else None


def _train(network: nn.Module, recipe: Recipe, records: Sequence[Record], device: str) -> float:
    """Train in place; gives the mean of the scaled target inside the body."""
    slices, target_mean = _read(recipe, records)
    loader = _loader(slices, recipe)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * len(loader))
    loss_function = DiceCELoss(sigmoid=True, batch=True)
    network.train()
    for _ in (bar := trange(recipe.epochs, desc="training the segmenter", disable=None)):
        losses = []
        for batch in loader:
            loss = loss_function(network(batch["image"].to(device)), batch["lesion"].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        bar.set_postfix(loss=f"{fmean(losses):.3f}")
    return target_mean


def _read(recipe: Recipe, records: Sequence[Record]) -> tuple[list[Slice], float]:
    """All slices, about 2 bytes per pixel and contrast, and the mean of the target inside the body."""
    grid = working_grid(recipe.pixdim)
    slices: list[Slice] = []
    means = []
    for record in tqdm(records, desc="reading training cases", disable=None):
        subject = read_subject(record, recipe.contrasts, {}, recipe.target)
        means.append(float(subject.contrasts[recipe.target].as_tensor()[subject.body].mean()))
        slices += body_slices(subject, recipe.contrasts, grid)
    if not any(bool(each["lesion"].any()) for each in slices):
        raise InputError(
            f"{len(records)} training cases",
            found="no lesion in any slice",
            wanted="lesion masks with values above 0",
            remedy="check the masks, or move cases with lesions into the training section",
        )
    return slices, fmean(means)


def _loader(slices: Sequence[Slice], recipe: Recipe) -> DataLoader:
    """Batches of augmented slices, of which :data:`LESION_SHARE` show lesion."""
    shown = torch.tensor([bool(each["lesion"].any()) for each in slices])
    odds = torch.where(shown, LESION_SHARE / shown.sum(), (1 - LESION_SHARE) / (~shown).sum().clamp(min=1))
    sampler = WeightedRandomSampler(odds.double(), num_samples=len(slices))
    size = [max(each["image"].shape[axis] for each in slices) for axis in (1, 2)]
    return DataLoader(
        Dataset(slices, _augmentation(size)), batch_size=recipe.batch_size, sampler=sampler, num_workers=0
    )


def _augmentation(size: Sequence[int]) -> Compose:
    """Bring slices to one size, then flip, turn, and shift and stretch the scale, all contrasts alike."""
    both = ("image", "lesion")
    affine = {"rotate_range": 0.2, "scale_range": (0.1, 0.1), "mode": ("bilinear", "nearest")}
    return Compose(
        [
            EnsureTyped(both, dtype=torch.float32),
            SpatialPadd("image", size, value=-1.0),
            SpatialPadd("lesion", size),
            RandFlipd(both, prob=0.5, spatial_axis=0),
            RandAffined(both, prob=0.5, padding_mode="border", **affine),
            RandScaleIntensityd("image", factors=0.1, prob=0.5),
            RandShiftIntensityd("image", offsets=0.1, prob=0.5),
            EnsureTyped(both, track_meta=False),
        ]
    )
