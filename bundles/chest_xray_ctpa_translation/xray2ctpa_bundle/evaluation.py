"""How CTs made from radiographs are scored: within the window of the model too, and on the grid of the CT."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from transmodal.errors import InputError
from transmodal.metrics import (
    CTSimilarity,
    Measure,
    mean_absolute_error,
    peak_signal_to_noise_ratio,
    structural_similarity,
)
from xray2ctpa_bundle.backprojection import back_projected

__all__ = ["OnGridd", "WindowedCTSimilarity"]


class WindowedCTSimilarity(CTSimilarity):
    """The measures of :class:`~transmodal.metrics.CTSimilarity`, and further ones within a window of HU.

    A model that writes values of its window alone cannot be right beyond: with a window from -200 HU up, every lung
    costs it about 650 HU. So the first measures say how far the result is from the true CT, and those whose names begin
    with ``window_`` how far it is from the best result the window allows: both images are clipped to it, and its width
    is the range of PSNR and SSIM. They are the ones to set beside studies that score windowed images.

    Args:
        window: lowest and highest HU that the model writes.
        dynamic_range, corrected: see :class:`~transmodal.metrics.CTSimilarity`.
    Raises:
        InputError: if the window is not two numbers, the lower first.
    """

    measures: Mapping[str, Measure] = {
        **CTSimilarity.measures,
        "window_mae": Measure("HU", higher_is_better=False),
        "window_psnr": Measure("dB", higher_is_better=True),
        "window_ssim": Measure("", higher_is_better=True),
    }

    def __init__(
        self,
        window: Sequence[float],
        dynamic_range: Sequence[float] = (-1024.0, 3000.0),
        corrected: bool = False,
    ) -> None:
        super().__init__(dynamic_range, corrected)
        if isinstance(window, str) or len(window) != 2 or not window[0] < window[1]:
            raise InputError(
                "WindowedCTSimilarity, window",
                found=repr(window),
                wanted="lowest and highest HU",
                remedy="write [-1000, 600]",
            )
        self.window = float(window[0]), float(window[1])

    @property
    def name(self) -> str:
        """Name of the protocol in tables and summaries, with its ranges."""
        return "{}; window_: both clipped to [{:g}, {:g}] HU, their range".format(super().name, *self.window)

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, region: Tensor | None = None) -> dict[str, float]:
        """Measures of a prediction in HU inside the body, or inside a region if given, by name; NaN where undefined."""
        scores = super().__call__(pred, target, mask, region)
        if scores["mae"] != scores["mae"]:  # undefined, and so is all the rest
            return {**dict.fromkeys(self.measures, float("nan")), **scores}
        area = mask if region is None else region
        clipped, wanted = (image.double().clamp(*self.window) for image in (pred, target))
        return {
            **scores,
            "window_mae": mean_absolute_error(clipped, wanted, area),
            "window_psnr": peak_signal_to_noise_ratio(clipped, wanted, area, self.window),
            "window_ssim": structural_similarity(clipped, wanted, area, self.window),
        }


class OnGridd(MapTransform):
    """Lay the radiograph into the volume of its CT, the same at every depth.

    The report of an evaluation wants source and target on one grid; so do its baselines, which know the source alone.

    Args:
        keys: radiographs (1, S, S) as the network takes them.
        to: key of the volume (1, F, H, W).
        like: key of the CT on the working grid, (1, F, H, W); where a sample lacks it, nothing is made.
        field_of_view: of the grid, in mm along F, H and W; the radiograph covers its last extent in both directions.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        to: str = "source",
        like: str = "label",
        field_of_view: Sequence[float] = (320.0, 384.0, 384.0),
    ) -> None:
        super().__init__(keys)
        self.to, self.like, self.coverage = to, like, float(field_of_view[0]) / float(field_of_view[2])

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            if self.like in sample:
                like = sample[self.like]
                plane = sample[key].as_subclass(Tensor).float()[None]
                frames, height, width = like.shape[1:]
                volume = back_projected(plane, frames, height, width, self.coverage)[0]
                sample[self.to] = MetaTensor(volume, affine=like.affine)
        return sample
