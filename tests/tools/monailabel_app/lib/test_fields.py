"""What a request may hold, and that nothing of it is run."""

from __future__ import annotations

from typing import Any

import pytest

from monailabel_app.lib import fields
from transmodal.errors import InputError

CODE = '$__import__("os").system("touch /tmp/ran")'


@pytest.mark.parametrize("permitted", [fields.training, fields.inference, fields.batch])
@pytest.mark.parametrize("key", ["max_epochs", "device", "run_id", "seed", "anything"])
@pytest.mark.parametrize("value", [CODE, f" {CODE}", "@network", "%/etc/passwd", [CODE], {"deep": {"er": [CODE]}}])
def test_code_is_refused_wherever_it_stands(permitted: Any, key: str, value: object) -> None:
    with pytest.raises(InputError, match="does not begin with"):
        permitted({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_epochs", "3"),
        ("max_epochs", 0),
        ("max_epochs", True),
        ("val_split", 1),
        ("val_split", -1),
        ("val_split", "0.5"),
        ("pretrained", "true"),
        ("multi_gpu", 1),
        ("device", "bogus"),
        ("model_filename", "../../other.pt"),
    ],
)
def test_a_value_that_a_training_does_not_offer_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"option {key}: found"):
        fields.training({key: value})


def test_what_is_not_known_is_dropped() -> None:
    given = {
        "max_epochs": 2,
        "val_split": 0.5,
        "run_id": "x",
        "tracking_uri": "http://elsewhere",
        "bundle_path": "/tmp",
    }
    assert fields.training(given).keys() == {"max_epochs", "val_split", "tracking", "device"}
    assert fields.inference({"image": "/etc/passwd", "model_filename": "x.pt", "seed": 3}).keys() == {"device", "seed"}


def test_nothing_is_tracked() -> None:
    assert fields.training({"tracking": "mlflow"})["tracking"] == ""


def test_a_graphics_card_is_offered_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert fields.devices() == ["cpu"]
    with pytest.raises(InputError, match="option device: found 'cuda'; wanted cpu"):
        fields.inference({"device": "cuda"})
    assert fields.batch({"device": "cuda"})["device"] == "cpu"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert fields.inference({"device": "cuda:1"})["device"] == "cuda:1"
    assert fields.inference({})["device"] == "cuda"


@pytest.mark.parametrize("tag", ["../../etc", "a/b", "", ".."])
def test_a_tag_that_leads_elsewhere_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="option label_tag"):
        fields.batch({"label_tag": tag})
