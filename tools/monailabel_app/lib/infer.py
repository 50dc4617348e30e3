"""Inference with one bundle, as the command line does it: strict weights, the request's direction, floats kept."""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fastapi import HTTPException
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.bundle import BundleInferTask
from torch import nn

from . import fields, privacy, results, screening
from .bundles import METADATA
from .options import Options
from .refusals import refusal_in

logger = logging.getLogger(__name__)
ALONE = threading.Lock()
"""Held while a request is answered: a bundle's parsed config and the import path are one for all threads."""


class BundleTranslation(BundleInferTask):
    """A bundle as type ``others``, since its result is an image and no label.

    The answer lies on the grid that the bundle gives it; MONAI Label's own restoring, which resizes by nearest
    neighbour, is left out.

    Args:
        bundle: its folder.
        conf: what the server was started with.
    Raises:
        InputError: if the weights are not wholly those of the network.
    """

    def __init__(self, bundle: Path, conf: Mapping[str, str]) -> None:
        super().__init__(str(bundle), {**conf, "preload": "false"}, type=InferType.OTHERS, add_post_restore=False)
        self.metadata = json.loads((bundle / METADATA).read_text(encoding="utf-8"))
        self.options = Options.of(self.bundle_config.config, self.metadata)
        self._config.update({**self.options.displayed(), "device": fields.devices()})
        self.dimension = 3  # volumes go in and come out, whatever the network sees of them at once
        _load(self.network, Path(self.path[0]))

    @property
    def makes_images(self) -> bool:
        """Whether it answers with an image, and not in words as classifiers do."""
        outputs = self.metadata["network_data_format"]["outputs"].values()
        return all(output["type"] == "image" for output in outputs)

    def __call__(self, request: dict[str, Any], callbacks: Any = None) -> tuple[str | None, dict[str, Any]]:
        """Answer one request with a file, or without one where the bundle makes no image, and what is to say of it.

        Raises:
            HTTPException: status 400 with the bundle's own words, if the request or its image is not to be used.
        """
        try:
            ids = self.options.ids(request)
            self.options.wants_uncertainty(request)
            screening.screen(request.get("image"))
            with ALONE:
                for key, value in ids.items():
                    self.bundle_config[key] = value
                self.bundle_config.parse()
                return super().__call__(request, callbacks)
        except Exception as error:
            refusal = refusal_in(error)
            if refusal is None:
                raise
            logger.warning("Refused: %s", refusal)
            told = screening.without_place(str(refusal), request.get("image"))
            raise HTTPException(status_code=400, detail=told) from error
        finally:
            privacy.remove_upload(request.get("image"))

    def writer(
        self, data: dict[str, Any], extension: str | None = None, dtype: str | None = None
    ) -> tuple[str | None, dict[str, Any]]:
        """Write the result to a file of its own."""
        about = {
            "bundle": Path(self.bundle_path).name,
            "version": self.version,
            "options": self.options.ids(data),
        }
        image = data["pred_std" if self.options.wants_uncertainty(data) else "pred"]
        if image.ndim < 3:
            return None, {**about, "notice": results.RESEARCH_ONLY, "prediction": self._judgement(data)}
        about["notice"] = results.notice_of(image)
        suffix = extension or data.get("result_extension") or results.suffix_of(str(data.get("image_path", "")))
        return results.write(image, suffix, dtype or data.get("result_dtype")), about

    def _judgement(self, data: Mapping[str, Any]) -> str | dict[str, Any]:
        """What a classifier says: in its own words, or the probability of its finding and from where on it says yes."""
        if "verdict" in data:
            return str(data["verdict"])
        probability, threshold = map(float, data["pred"].flatten())
        return {"finding": next(iter(self.labels)), "probability": probability, "threshold": threshold}

    def _get_network(self, device: str, data: Mapping[str, Any] | None) -> nn.Module:
        """The network with its weights as they lie in the file now; kept until the file is another."""
        weights = Path(self.path[0])
        stamp = (weights.stat().st_mtime_ns, weights.stat().st_size)
        network, loaded = self._networks.get(device, (None, None))
        if network is None or loaded != stamp:
            network = _load(copy.deepcopy(self.network), weights).to(torch.device(device)).eval()
            self._networks[device] = (network, stamp)
        return network


def _load(network: nn.Module, weights: Path) -> nn.Module:
    from transmodal.checkpoints import load_weights  # comes with the bundle

    return load_weights(network, weights)
