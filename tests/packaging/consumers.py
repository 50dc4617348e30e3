"""What MONAI Label 0.8.5 and MONAI Deploy App SDK 4.0 do with a bundle's folder, step by step and without them.

Neither is installed for these tests. Each class does what the consumer's bundle code does, in its order: what it reads,
what it overrides, how it calls. Nothing here helps a bundle that the consumer would not help.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import torch
from monai.bundle import ConfigItem, ConfigParser
from monai.data import MetaTensor, partition_dataset
from monai.inferers import Inferer, SimpleInferer
from monai.transforms import Compose, LoadImaged, MapTransform, Resize, SaveImaged
from torch import Tensor, nn


class LabelInferTask:
    """BundleInferTask: one network kept per device, everything else read from ``configs/inference.json``."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self.config = ConfigParser()
        self.config.read_config(str(bundle / "configs" / "inference.json"))
        self.config.config.update({"bundle_root": str(bundle)})  # type: ignore[union-attr]
        with _on_path(bundle):
            self.network: nn.Module = self.config.get_parsed_content("network_def", instantiate=True)
        metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
        form = metadata["network_data_format"]
        self.labels = {name: int(index) for index, name in next(iter(form["outputs"].values()))["channel_def"].items()}
        self.dimension = len(next(iter(form["inputs"].values()))["spatial_shape"])
        self.displayable = self.config.get("displayable_configs") or {}
        self._networks: dict[str, nn.Module] = {}

    def override(self, **ids: Any) -> None:
        """What an app does to change a setting between requests: write the id, parse anew, keep the networks."""
        for key, value in ids.items():
            self.config[key] = value
        self.config.parse()

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request with ``image`` (a file) and ``device`` (a string); the result is under ``pred``."""
        data = {**copy.deepcopy(self.displayable), **request, "image_path": request["image"]}
        for transform in self._pre_transforms(data):
            data = transform(data)
        inferer = self._parsed("inferer", data) or SimpleInferer()
        network = self._network(data["device"])
        inputs = data["image"] if torch.is_tensor(data["image"]) else torch.from_numpy(data["image"])
        with torch.no_grad():
            data["pred"] = inferer(inputs[None].to(torch.device(data["device"])), network)[0]
        for transform in self._post_transforms(data):
            data = transform(data)
        return data

    def _pre_transforms(self, data: Mapping[str, Any]) -> list[Callable[..., Any]]:
        if self.displayable:
            self.config["displayable_configs"].update({key: data[key] for key in self.displayable})
            self.config.parse()
        transforms = _listed(self._parsed("preprocessing", data))
        for transform in transforms:
            if isinstance(transform, LoadImaged):
                transform._loader.image_only = False
        return [_LoadPaths(each) if isinstance(each, LoadImaged) else each for each in transforms]

    def _post_transforms(self, data: Mapping[str, Any]) -> list[Callable[..., Any]]:
        transforms = [
            each for each in _listed(self._parsed("postprocessing", data)) if not isinstance(each, SaveImaged)
        ]
        return [*transforms, _restore]

    def _parsed(self, key: str, data: Mapping[str, Any]) -> Any:
        """Parse an id with the bundle importable and the request's device, a string, in place of ``device``."""
        with _on_path(self.bundle):
            self.config.config.update({"device": data["device"]})  # type: ignore[union-attr]
            if self.config.ref_resolver.items.get("device"):
                self.config.ref_resolver.items["device"] = ConfigItem(config=data["device"], id="device")
            return self.config.get_parsed_content(key, instantiate=True) if self.config.get(key) else None

    def _network(self, device: str) -> nn.Module:
        if device not in self._networks:
            network = copy.deepcopy(self.network).to(torch.device(device))
            checkpoint = torch.load(self.bundle / "models" / "model.pt", map_location=torch.device(device))
            network.load_state_dict(checkpoint.get("model", checkpoint), strict=False)
            self._networks[device] = network.eval()
        return self._networks[device]


class _LoadPaths:
    """LoadImageTensord: a path is loaded as the bundle says, an array is taken as it is."""

    def __init__(self, load: LoadImaged) -> None:
        self.load = load

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return dict(self.load(data)) if all(isinstance(data[key], str) for key in self.load.keys) else data


def _restore(data: dict[str, Any]) -> dict[str, Any]:
    """Restored: nearest-neighbour resize to the image's first size if another came out, and no channel of one."""
    meta = data["image"].meta if isinstance(data["image"], MetaTensor) else data.get("image_meta_dict", {})
    result = data["pred"]
    size = tuple(int(each) for each in meta.get("spatial_shape", result.shape[1:]))[-(result.ndim - 1) :]
    data["resized"] = tuple(result.shape[1:]) != size
    if data["resized"]:
        result = Resize(spatial_size=size, mode="nearest")(result)
    data["pred"] = result[0] if result.ndim > 3 and result.shape[0] == 1 else result
    data["pred_meta_dict"] = {"affine": meta.get("original_affine")}
    return data


class LabelTrainTask:
    """BundleTrainTask on one device: ``monai.bundle.run`` of ``configs/train.json`` with Label's overrides."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self.config = ConfigParser()
        self.config.read_config(str(bundle / "configs" / "train.json"))

    def __call__(self, records: Sequence[Mapping[str, str]], max_epochs: int = 1, val_split: float = 0.5) -> None:
        """Train on records of nothing but ``image`` and ``label``."""
        images = [{"image": record["image"], "label": record["label"]} for record in records]
        training, validation = partition_dataset(images, ratios=[1 - val_split, val_split], shuffle=False)
        handlers = self.config.get("train#handlers", [])
        weights = self.bundle / "models" / "model.pt"
        if weights.exists() and not [each for each in handlers if each.get("_target_") == "CheckpointLoader"]:
            load = {"load_path": str(weights), "load_dict": {"model": "$@network"}, "strict": False}
            handlers.insert(0, {"_target_": "CheckpointLoader", **load})
        overrides = {
            "bundle_root": str(self.bundle),
            "train#trainer#max_epochs": max_epochs,
            "train#dataset#data": training,
            "device": "cpu",
            "train#handlers": handlers,
            "validate#dataset#data": validation,
        }
        with _on_path(self.bundle):
            monai.bundle.run(
                run_id="run",
                init_id=None,
                final_id=None,
                meta_file=str(self.bundle / "configs" / "metadata.json"),
                config_file=str(self.bundle / "configs" / "train.json"),
                **overrides,
            )


class DeployOperator:
    """MonaiBundleInferenceOperator on a folder: readers and writers removed, ``network`` loaded strictly."""

    def __init__(self, bundle: Path) -> None:
        if str(bundle) not in sys.path:
            sys.path.insert(0, str(bundle))
        self.parser = ConfigParser()
        self.parser.read_meta(json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8")))
        self.parser.read_config([bundle / "configs" / "inference.json"])
        self.parser.parse()
        self.device = self.parser.get_parsed_content("device")
        self.inferer: Inferer = self.parser.get_parsed_content("inferer")
        form = self.parser["_meta_"]["network_data_format"]
        self.inputs, self.outputs = list(form["inputs"]), list(form["outputs"])
        self.preprocessing = self._without_files("preprocessing")
        self.postprocessing = self._without_files("postprocessing")
        self.network = self._load(bundle)

    def _without_files(self, key: str) -> Compose:
        compose: Compose = self.parser.get_parsed_content(key)
        names = ("LoadImage", "SaveImage")
        kept = [each for each in compose.transforms if not any(name in type(each).__name__ for name in names)]
        compose.transforms = tuple(kept)
        return compose

    def _load(self, bundle: Path) -> nn.Module:
        models = bundle / "models"
        if (models / "model.ts").exists():
            return torch.jit.load(models / "model.ts", map_location=self.device).eval()
        network: nn.Module | None = self.parser.get_parsed_content("network") if self.parser.get("network") else None
        if network is None:
            network = self.parser.get_parsed_content("network_def").to(self.device)
        checkpoint = torch.load(models / "model.pt", map_location=self.device)
        nested = (checkpoint[key] for key in ("state_dict", "model") if isinstance(checkpoint.get(key), dict))
        network.load_state_dict(next(nested, checkpoint), strict=True)
        return network.eval()

    @torch.no_grad()
    def __call__(self, volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """Translate a volume as the SDK's DICOM operator delivers it: (W, H, D), no channel, with its affine.

        Returns:
            (W, H, D), floating point: the few lines of subclass that keep the SDK from casting to uint8 are assumed.
        """
        meta = {
            "spacing": np.linalg.norm(affine[:3, :3], axis=0),
            "original_affine": affine,
            "affine": affine.copy(),
            "spatial_shape": np.asarray(volume.shape),
            "original_channel_dim": "no_channel",
        }
        (name,) = self.inputs
        data: Any = {name: MetaTensor.ensure_torch_and_prune_meta(torch.as_tensor(volume), meta)}
        data = self._apply(self.preprocessing, data)
        first: Tensor = data[name]
        batch = data.pop(name)[None].to(self.device)
        others = {key: value[None].to(self.device) for key, value in data.items() if isinstance(value, Tensor)}
        pred = self.inferer(inputs=batch, network=self.network, **others)
        result = self._apply(self.postprocessing, {self.outputs[0]: pred[0], name: first, **data})[self.outputs[0]]
        squeezed: np.ndarray = np.squeeze(result.cpu().numpy(), 0)
        return squeezed

    @staticmethod
    def _apply(compose: Compose, data: dict[str, Any]) -> dict[str, Any]:
        if isinstance(compose.transforms[0], MapTransform):
            return dict(compose(data))
        return {key: compose(value) for key, value in data.items()}


def _listed(transforms: Any) -> list[Callable[..., Any]]:
    return list(transforms.transforms) if isinstance(transforms, Compose) else list(transforms or [])


@contextmanager
def _on_path(bundle: Path) -> Iterator[None]:
    sys.path.insert(0, str(bundle))
    for name in [name for name in sys.modules if name == "scripts" or name.startswith("scripts.")]:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.path.remove(str(bundle))
