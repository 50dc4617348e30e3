"""What a bundle's parts promise when they run: MONAI's own verifiers, called in this process."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import logging
import shutil
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import monai.bundle
import torch
from monai.bundle.scripts import _get_fake_spatial_shape
from monai.bundle.utils import ID_SEP_KEY
from monai.utils import BundlePropertyConfig
from torch import nn

from contract.bundle import Bundle, Check, Note, Skipped, describe
from contract.metadata import SCHEMAS
from transmodal.checkpoints import load_weights, save_weights

SCHEMA = Path(__file__).with_name("metadata_schema.json")
SECONDS = 5
ROUNDING = 1e-4
GRID = [8, 64, 64]
EDGE = 64


def verify_metadata(bundle: Bundle) -> Iterator[str]:
    """MONAI's verify_metadata: the schema given, else the published one, else the project's equivalent of it."""
    with TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "schema.json"
        published = None if bundle.schema else _published(str(bundle.metadata.get("schema")))
        if published is None:
            shutil.copyfile(bundle.schema or SCHEMA, path)
        else:
            path.write_bytes(published)
        # the verifier fetches nothing where it finds the file already
        monai.bundle.verify_metadata(meta_file=str(bundle.configs / "metadata.json"), filepath=str(path))
    yield Note(f"against {bundle.schema or (SCHEMA.name if published is None else bundle.metadata['schema'])}")


@functools.cache
def _published(url: str) -> bytes | None:
    if url not in SCHEMAS:
        return None
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return bytes(answer.read())
    except OSError:  # no network: the equivalent serves
        return None


def verify_net_in_out(bundle: Bundle) -> Iterator[str]:
    """MONAI's verify_net_in_out: the network maps the input that metadata describes to the output it describes."""
    with bundle.importable(), _quiet():
        monai.bundle.verify_net_in_out(net_id="network_def", device="cpu", **_files(bundle, "inference"))
    return iter(())


def declared_outputs(bundle: Bundle) -> Iterator[str]:
    """What the network makes of an input is of the kind and within the range that metadata declares.

    An input is of the smallest size, uniform within its own range; weights are random where there are none.
    """
    form = bundle.metadata["network_data_format"]
    declared, wanted = next(iter(form["inputs"].values())), next(iter(form["outputs"].values()))
    low, high = declared.get("value_range") or (0, 1)
    shape = (1, declared["num_channels"], *_get_fake_spatial_shape(declared["spatial_shape"]))
    image = low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with bundle.importable(), _quiet(), torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(0)
        network = network_of(bundle)
        if bundle.weights.is_file() and not bundle.ids:
            load_weights(network, bundle.weights)
        made = network.eval()(image)
    least, most = float(made.min()), float(made.max())
    if wanted.get("type") == "probabilities" and not torch.allclose(made.sum(dim=1), torch.ones(()), atol=1e-3):
        yield "the output is declared as probabilities, and those of an input do not add up to 1"
    if (bounds := wanted.get("value_range")) and not bounds[0] - ROUNDING <= least <= most <= bounds[1] + ROUNDING:
        yield f"the output is declared within {bounds}, and lies in [{least:g}, {most:g}]"


def forward_parameters(bundle: Bundle) -> Iterator[str]:
    """Metadata's inputs are the parameters of the network's forward, in order; what it leaves out has a default."""
    with bundle.importable(), _quiet(), torch.device("meta"):
        parameters = inspect.signature(network_of(bundle).forward).parameters
    inputs = list(bundle.metadata["network_data_format"]["inputs"])
    if inputs != [name for name in parameters if name in inputs]:
        yield f"inputs {', '.join(inputs)}; the parameters of forward are {', '.join(parameters)}"
    for name, parameter in parameters.items():
        if name not in inputs and parameter.default is inspect.Parameter.empty:
            yield f"forward needs '{name}', which is no input in metadata"


def properties_of_training(bundle: Bundle) -> Iterator[str]:
    """MONAI's check_properties finds nothing missing in train.json, alone and under train_*.json; parts can be made."""
    for name in ("train", *bundle.stages):
        yield from _properties(bundle, name, "train")


def properties_of_inference(bundle: Bundle) -> Iterator[str]:
    """MONAI's check_properties finds nothing missing in inference.json, alone and under inference_*.json."""
    known = {"ckpt_path", *(f"{part}_path" for part in bundle.parts)}
    for name in ("inference", *(name for name in bundle.config_names() if name.startswith("inference_"))):
        files = [key for key in bundle.read(name) if key.endswith("_path") and key not in known]
        if name == "inference" or not files:
            yield from _properties(bundle, name, "infer")
        else:
            yield Note(f"{name}.json is left out, as it reads {', '.join(files)}, which other commands make")


def properties_of_evaluation(bundle: Bundle) -> Iterator[str]:
    """The same for inference.json with evaluate.json over it."""
    yield from _properties(bundle, "evaluate", "infer")


def _properties(bundle: Bundle, name: str, kind: str) -> Iterator[str]:
    if bundle.data is None:
        raise Skipped("no data to make the datasets of; give --data")
    with bundle.importable(), _quiet(), TemporaryDirectory() as folder:
        workflow = monai.bundle.ConfigWorkflow(
            workflow_type=kind,
            logging_file=False,
            dataset_dir=str(bundle.data),
            **{"output_dir": folder, **_stand_ins(bundle, name, kind, Path(folder)), **_files(bundle, name)},
        )
        workflow.initialize()
        inline = list(_inline_references(workflow))
        missing = [] if inline else workflow.check_properties() or []
    where = "" if name in ("train", "inference", "evaluate") else f"{name}.json: "
    yield from (f"{where}{each}" for each in inline)
    yield from (f"{where}property '{each}' is missing or under another id" for each in missing)


def _stand_ins(bundle: Bundle, name: str, kind: str, folder: Path) -> dict[str, Any]:
    """What a user has from earlier commands, by the id that reads it, with random weights; and values that save time.

    Inference reads the weights of its ``network`` from ``ckpt_path``; a training reads those of a part of it from
    ``<part>_path``, and images that an earlier stage wrote from a folder in the layout of the data: a copy of the data,
    because a training refuses the true images themselves.
    """
    parser = monai.bundle.ConfigParser()
    parser.read_config(bundle.stack(name))
    ids: dict[str, Any] = {"device": "cpu", "ckpt_path": str(folder / "model.pt")}
    made = {"ckpt_path": "network"} if kind == "infer" else {f"{part}_path": f"{part}_def" for part in bundle.parts}
    for key in dict(parser.config):  # type: ignore[arg-type]
        if key.endswith("_dir") and key not in ("dataset_dir", "output_dir"):
            ids[key] = str(shutil.copytree(bundle.data, folder / key))
        elif key == "pixdim":  # no check asks for the published size of voxels, and to resample to it takes long
            ids[key] = [-1.0, -1.0, -1.0]
        elif key == "patch" and isinstance(parser["patch"], list):  # padding would leave little body in a slice
            ids[key] = [EDGE] * len(parser["patch"])
        elif key == "grid" and "field_of_view" in parser:  # so many voxels of the same millimetres
            ids[key] = GRID
    parser.update({**ids, **bundle.ids})
    for key, network in made.items():
        ids.setdefault(key, str(folder / f"{network}.pt"))
        save_weights(parser.get_parsed_content(network).state_dict(), ids[key])
    return ids


def _inline_references(workflow: monai.bundle.ConfigWorkflow) -> Iterator[str]:
    """Places where check_properties wants a reference and would stumble over anything else."""
    for known in workflow.properties.values():
        place, wanted = known.get(BundlePropertyConfig.REF_ID), known[BundlePropertyConfig.ID]
        given = workflow.parser.get(place) if place and ID_SEP_KEY in place else None
        if given is not None and not isinstance(given, str):
            yield f"{place.replace(ID_SEP_KEY, '#')} is written out; wanted '@{wanted.replace(ID_SEP_KEY, '#')}'"


def weights(bundle: Bundle) -> Iterator[str]:
    """models/model.pt is one flat state dict of tensors that fits network_def exactly."""
    if not bundle.weights.is_file():
        raise Skipped("models/model.pt is absent: train, import or download the weights first")
    state = torch.load(bundle.weights, map_location="cpu", weights_only=True)
    others = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        yield f"models/model.pt: {', '.join(others[:5])}: no tensor; wanted a flat state dict of tensors"
        return
    with bundle.importable(), _quiet():
        load_weights(network_of(bundle), bundle.weights)


def ckpt_export(bundle: Bundle) -> Iterator[str]:
    """MONAI's ckpt_export by torch.jit.script, and the result runs; skipped where the network cannot be scripted."""
    with bundle.importable(), _quiet(), TemporaryDirectory() as folder:
        try:
            torch.jit.script(network_of(bundle))
        except Exception as error:  # TorchScript refuses in many ways
            raise Skipped(f"network_def cannot be scripted: {describe(error)}") from error
        checkpoint, exported = _weights(bundle, Path(folder)), Path(folder) / "model.ts"
        monai.bundle.ckpt_export(
            net_id="network_def", filepath=str(exported), ckpt_file=str(checkpoint), **_files(bundle, "inference")
        )
        torch.jit.load(exported)
    yield Note(
        "scriptable" if checkpoint == bundle.weights else "scriptable; with random weights, for lack of real ones"
    )


def _files(bundle: Bundle, name: str) -> dict[str, Any]:
    return {
        "config_file": bundle.stack(name),
        "meta_file": str(bundle.configs / "metadata.json"),
        "bundle_root": str(bundle.root),
        **bundle.ids,
    }


def network_of(bundle: Bundle) -> nn.Module:
    """The network that inference.json defines, with random weights; the bundle must be importable meanwhile."""
    parser = monai.bundle.ConfigParser()
    parser.read_config(bundle.stack("inference"))
    parser.update(bundle.ids)
    network = parser.get_parsed_content("network_def")
    if not isinstance(network, nn.Module):
        raise TypeError(f"network_def is a {type(network).__name__}; wanted one torch.nn.Module")
    return network


def _weights(bundle: Bundle, folder: Path) -> Path:
    """The bundle's weights, or random ones of the same shape where only the shape matters."""
    if bundle.weights.is_file() and not bundle.ids:
        return bundle.weights
    save_weights(network_of(bundle).state_dict(), folder / "random.pt")
    return folder / "random.pt"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MONAI's progress and warnings out of the report; errors still come as exceptions."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


CHECKS: tuple[Check, ...] = (
    verify_metadata,
    verify_net_in_out,
    declared_outputs,
    forward_parameters,
    properties_of_training,
    properties_of_inference,
    properties_of_evaluation,
    weights,
    ckpt_export,
)
