"""Networks whose parts are ONNX graphs: what is run, and what is refused. The graph is made by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from monai.data import MetaTensor
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.exported import KEYS, OnnxPart, in_place, part_of, replaced, with_onnx
from transmodal.files import sha256_of


class Pair(NamedTuple):
    """Two tensors that go together."""

    image: Tensor
    other: Tensor


class Doubling(nn.Module):
    """Twice its input, by a weight; by a method of its own once more."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 2.0))

    def forward(self, image: Tensor) -> Tensor:
        return self.again(image)

    def again(self, image: Tensor) -> Tensor:
        return self.weight * image


class Network(nn.Module):
    """A network with one part."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Doubling()

    def forward(self, image: Tensor) -> Tensor:
        return self.part(image) + 1


def graph(path: Path, factor: float = 10.0, masked: bool = False, **told: str) -> Path:
    """A file that multiplies images (batch, 1, height, width), but for the samples that a mask selects."""
    sizes = ["batch", 1, "height", "width"]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, sizes)]
    nodes = [helper.make_node("Mul", ["image", "factor"], ["product" if masked else "pred"])]
    constants = [numpy_helper.from_array(np.array([factor], np.float32), "factor")]
    if masked:
        inputs.append(helper.make_tensor_value_info("drop", TensorProto.BOOL, ["batch"]))
        constants.append(numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "shape"))
        nodes += [
            helper.make_node("Reshape", ["drop", "shape"], ["mask"]),
            helper.make_node("Where", ["mask", "image", "product"], ["pred"]),
        ]
    outputs = [helper.make_tensor_value_info("pred", TensorProto.FLOAT, sizes)]
    model = helper.make_model(
        helper.make_graph(nodes, "graph", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 10
    helper.set_model_props(model, {KEYS[key]: value for key, value in told.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_weights(Network().state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_a_graph_computes_for_any_number_and_size_of_images(tmp_path: Path) -> None:
    part = OnnxPart(graph(tmp_path / "part.onnx"))
    for shape in ((1, 1, 3, 5), (4, 1, 2, 2)):
        image = torch.rand(shape)
        torch.testing.assert_close(part(image), 10 * image)


def test_numbers_of_autocast_and_images_with_metadata_are_taken(tmp_path: Path) -> None:
    part = OnnxPart(graph(tmp_path / "part.onnx"))
    image = MetaTensor(torch.ones(1, 1, 2, 2, dtype=torch.bfloat16).transpose(2, 3))
    answer = part(image)
    assert answer.dtype == torch.float32
    assert float(answer.sum()) == 40


def test_tensors_of_a_tuple_are_inputs_one_after_another(tmp_path: Path) -> None:
    part = OnnxPart(graph(tmp_path / "part.onnx", masked=True))
    image = torch.ones(2, 1, 1, 1)
    answer = part(Pair(image, torch.tensor([True, False])))
    assert answer.flatten().tolist() == [1, 10]


def test_a_mask_that_is_left_out_selects_nothing(tmp_path: Path) -> None:
    part = OnnxPart(graph(tmp_path / "part.onnx", masked=True))
    assert part(torch.ones(3, 1, 1, 1), None).flatten().tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ((torch.ones(1, 1, 4, 4), torch.ones(1)), "2 inputs"),
        ((torch.ones(1, 2, 4, 4),), r"image of shape \[1, 2, 4, 4\]"),
        ((torch.ones(1, 4, 4),), r"image of shape \[1, 4, 4\]"),
        ((torch.ones(1, 1, 4, 6),), r"image of shape \[1, 1, 4, 6\]; wanted sizes that are multiples of 4"),
        ((torch.ones(1, 1, 4, 4, dtype=torch.int64),), "image of type torch.int64"),
        ((None,), "no image"),
    ],
)
def test_what_the_graph_does_not_take_is_refused(tmp_path: Path, args: tuple[Any, ...], found: str) -> None:
    part = OnnxPart(graph(tmp_path / "part.onnx", multiple="4"))
    with pytest.raises(InputError, match=f"part.onnx: found {found}"):
        part(*args)


def test_inputs_of_different_batches_are_refused(tmp_path: Path) -> None:
    part = OnnxPart(graph(tmp_path / "part.onnx", masked=True))
    with pytest.raises(InputError, match=r"found drop of shape \[3\]; wanted \['batch'\] with \{'batch': 2"):
        part(torch.ones(2, 1, 1, 1), torch.ones(3, dtype=torch.bool))


def test_parts_are_replaced_and_the_rest_stays(tmp_path: Path, weights: Path) -> None:
    graph(tmp_path / "onnx" / "part.onnx", part="part", weights=sha256_of(weights))
    network = with_onnx(Network(), ["part"], tmp_path / "onnx", weights)
    assert float(network(torch.ones(1, 1, 1, 1))) == 11
    assert isinstance(network.part, OnnxPart)


def test_a_replaced_network_still_tells_its_device(tmp_path: Path, weights: Path) -> None:
    graph(tmp_path / "part.onnx", part="part", weights=sha256_of(weights))
    network = with_onnx(Network(), ["part"], tmp_path, weights)
    assert next(network.parameters()).device.type == "cpu"


def test_a_method_is_replaced_where_the_module_calls_it(tmp_path: Path, weights: Path) -> None:
    graph(tmp_path / "part.again.onnx", part="part.again", weights=sha256_of(weights))
    network = with_onnx(Network(), ["part.again"], tmp_path, weights)
    assert float(network(torch.ones(1, 1, 1, 1))) == 11
    assert list(network.state_dict()) == ["part.weight"]


@pytest.mark.parametrize(("key", "told"), [("weights", "the weights 0"), ("part", "the part other")])
def test_a_graph_of_other_weights_or_of_another_part_is_refused(
    tmp_path: Path, weights: Path, key: str, told: str
) -> None:
    graph(tmp_path / "part.onnx", **{"part": "part", "weights": sha256_of(weights), key: told.split()[-1]})
    with pytest.raises(InputError, match=f"part.onnx: found {told}.*\n.*tools/export.py"):
        with_onnx(Network(), ["part"], tmp_path, weights)


def test_a_graph_that_says_nothing_of_its_weights_is_refused(tmp_path: Path, weights: Path) -> None:
    graph(tmp_path / "part.onnx")
    with pytest.raises(InputError, match="found the part None"):
        with_onnx(Network(), ["part"], tmp_path, weights)


def test_a_missing_file_says_which_command_makes_it(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(InputError, match=r"part.onnx: found no such file.*\n.*tools/export.py"):
        with_onnx(Network(), ["part"], tmp_path, weights)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "part.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"part.onnx: found no graph that ONNX Runtime reads"):
        OnnxPart(tmp_path / "part.onnx")


def test_a_provider_that_is_not_there_is_refused_and_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"without TensorrtExecutionProvider; wanted one of .*CPUExecutionProvider"):
        OnnxPart(graph(tmp_path / "part.onnx"), [["TensorrtExecutionProvider", {}], "CPUExecutionProvider"])


@pytest.mark.parametrize("providers", ["CPUExecutionProvider", [], None, [3], [["CPUExecutionProvider"]]])
def test_providers_that_are_no_list_of_them_are_refused(tmp_path: Path, providers: Any) -> None:
    with pytest.raises(InputError, match=r"providers: found .*; wanted a list of names.*\n.*CPUExecutionProvider"):
        OnnxPart(graph(tmp_path / "part.onnx"), providers)


def test_an_image_that_the_graph_cannot_compute_is_refused_with_its_shape(tmp_path: Path) -> None:
    """As a pad by reflection is, of an image smaller than the pad."""
    path = graph(tmp_path / "part.onnx")
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, 3, 3, 0, 0, 3, 3], np.int64), "pads"))
    model.graph.node[0].input[0] = "padded"
    model.graph.node.insert(0, helper.make_node("Pad", ["image", "pads"], ["padded"], mode="reflect"))
    onnx.save(model, path)
    with pytest.raises(
        InputError, match=r"found a graph that cannot compute image \[1, 1, 2, 2\].*wanted larger images"
    ):
        OnnxPart(path)(torch.ones(1, 1, 2, 2))


def test_one_config_that_replaces_the_network_is_taken() -> None:
    network = Network()
    assert replaced(network, "model.pt", inference_onnx=lambda given: given.part) is network.part


def test_two_configs_that_replace_the_network_are_refused_before_anything_is_loaded() -> None:
    told = r"inference_lora.json and inference_onnx.json, which would replace(.|\n)*go with inference_lora.json in any"
    with pytest.raises(InputError, match=told):
        replaced(Network(), "model.pt", inference_lora=pytest.fail, inference_onnx=pytest.fail)


def test_a_stage_of_the_network_is_not_run_by_what_replaces_the_whole() -> None:
    with pytest.raises(InputError, match=r"found inference_onnx.json and a config that runs one stage of the network"):
        replaced(Network(), "model.pt", command="train that stage", inference_onnx=pytest.fail)


def test_graphs_go_into_a_network_that_has_the_weights(tmp_path: Path) -> None:
    network = Network()
    save_weights({"part.weight": torch.full((1,), 5.0)}, tmp_path / "model.pt")
    with_onnx(network, [], tmp_path, tmp_path / "model.pt")
    assert network(torch.ones(1)).item() == 6


def test_without_onnx_runtime_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="onnxruntime: found no such package"):
        OnnxPart(graph(tmp_path / "part.onnx"))


@pytest.mark.parametrize("name", ["other", "part.other", "part.weight", "part.other.more"])
def test_a_part_that_the_network_has_not_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"the part '{name}': found a Network without it"):
        part_of(Network(), name)


def test_a_callable_takes_the_place_of_a_module() -> None:
    network = Network()
    in_place(network, "part", lambda image: -image)
    assert float(network(torch.ones(1))) == 0
