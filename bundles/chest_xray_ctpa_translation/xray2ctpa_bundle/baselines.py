"""CTs that take no network: the mean of the training CTs, and that of the patient with the nearest radiograph.

They are baselines of :class:`~transmodal.handlers.EvaluationReport` on the working grid, on which all chests lie alike.
Their source is the radiograph laid into the volume, see :class:`~xray2ctpa_bundle.evaluation.OnGridd`.
"""

from __future__ import annotations

from tempfile import SpooledTemporaryFile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from transmodal.errors import InputError
from transmodal.tensors import plain_on_cpu

__all__ = ["MeanCT", "NearestPatient"]

IN_MEMORY = 2**28
"""Bytes of training CTs kept in memory; beyond, they go to a temporary file."""
THE_SAME = 1 - 1e-6
"""Correlation from which two radiographs are one and the same picture."""


class MeanCT:
    """The mean of all training CTs, voxel by voxel: what a model scores that does not look at the radiograph."""

    name = "mean training CT"

    def __init__(self) -> None:
        self.total, self.count = torch.zeros(()), 0

    @property
    def fitted(self) -> bool:
        """Whether a training case has been taken in."""
        return self.count > 0

    def fit(self, source: Tensor, target: Tensor, mask: Tensor) -> None:
        """Take in a training CT in HU, (1, F, H, W); radiograph and body are not looked at.

        Raises:
            InputError: if it lies on another grid than the CTs before it.
        """
        if self.fitted:
            _check_shape(target, self.total.shape)
        self.total = self.total + plain_on_cpu(target).double()
        self.count += 1

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The mean in HU, (1, F, H, W), float32.

        Raises:
            InputError: if the case lies on another grid.
        """
        _check_shape(mask, self.total.shape)
        return (self.total / self.count).float()


class NearestPatient:
    """The CT of the training patient whose radiograph is most like that of the case.

    Likeness is the correlation of what differs from the mean training radiograph, for all chests are alike. A model
    that generates no more than this has learnt to look up. A training radiograph that is the very picture asked about
    is passed over, for it is of the same patient. CTs are kept as whole HU, 2 bytes a voxel, beyond 256 MB in a
    temporary file that ends with the object.

    Args:
        size: rows and columns to which radiographs are averaged before they are compared, which forgives a small shift.
    """

    name = "nearest training patient"

    def __init__(self, size: tuple[int, int] = (32, 32)) -> None:
        self.size = int(size[0]), int(size[1])
        self.radiographs: list[Tensor] = []
        self.shape = torch.Size()
        self._volumes = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - open for the object's whole life

    @property
    def fitted(self) -> bool:
        """Whether a training case has been taken in."""
        return bool(self.radiographs)

    def fit(self, source: Tensor, target: Tensor, mask: Tensor) -> None:
        """Take in a training case: radiograph laid into the volume and CT in HU, both (1, F, H, W).

        Raises:
            InputError: if it lies on another grid than the cases before it.
        """
        if self.fitted:
            _check_shape(target, self.shape)
        self.shape = target.shape
        self.radiographs.append(self._described(source))
        whole = plain_on_cpu(target).round().clamp(-32768, 32767).to(torch.int16)
        self._volumes.seek(0, 2)
        self._volumes.write(whole.contiguous().numpy().tobytes())

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The CT in HU, (1, F, H, W), float32.

        Raises:
            InputError: if the case lies on another grid, or is the only one there is.
        """
        _check_shape(mask, self.shape)
        return self._volume(self.nearest(source))

    def nearest(self, source: Tensor) -> int:
        """Number of the training case with the nearest radiograph, in the order in which they were taken in."""
        wanted, known = self._described(source), torch.stack(self.radiographs)
        mean = known.mean(dim=0)
        likeness = F.normalize(known - mean, dim=1, eps=1e-6) @ (wanted - mean)
        likeness[known @ wanted > THE_SAME] = -torch.inf
        if not torch.isfinite(likeness).any():
            raise InputError(
                f"the baseline {self.name!r}",
                found="no training radiograph but that of the case itself",
                wanted="other patients",
                remedy="evaluate a section that was not trained on, or train on more cases",
            )
        return int(likeness.argmax())

    def _described(self, source: Tensor) -> Tensor:
        """The radiograph as a vector of mean 0 and length 1; zeros if it is constant."""
        picture = plain_on_cpu(source)[:, :, source.shape[2] // 2].float()
        vector = F.adaptive_avg_pool2d(picture, self.size).flatten()
        vector = vector - vector.mean()
        return F.normalize(vector, dim=0, eps=1e-6)

    def _volume(self, number: int) -> Tensor:
        length = 2 * self.shape.numel()
        self._volumes.seek(number * length)
        values = np.frombuffer(self._volumes.read(length), dtype=np.int16)
        return torch.from_numpy(values.astype(np.float32)).reshape(self.shape)


def _check_shape(image: Tensor, wanted: torch.Size) -> None:
    if image.shape != wanted:
        raise InputError(
            "baselines of the evaluation",
            found=f"a volume of {tuple(image.shape[1:])} voxels",
            wanted=f"the {tuple(wanted[1:])} voxels of the training cases",
            remedy="bring all cases to one grid (FieldOfViewd), by the same 'grid' and 'field_of_view'",
        )
