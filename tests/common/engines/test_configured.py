"""A training written as JSON: every class of the training core reached by its dotted name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.bundle import ConfigParser
from torch import Tensor, nn

CONFIG = """
{
    "device": "cpu",
    "max_epochs": 2,
    "network": {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": 1},
    "average": "$copy.deepcopy(@network)",
    "discriminator": {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": 3},
    "generator_optimizer": {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": 0.01},
    "discriminator_optimizer": {"_target_": "torch.optim.Adam", "params": "$@discriminator.parameters()", "lr": 0.01},
    "decay": {"_target_": "transmodal.schedulers.LinearDecay", "constant_epochs": 1, "decay_epochs": 1},
    "generator_schedule": {
        "_target_": "torch.optim.lr_scheduler.LambdaLR",
        "optimizer": "@generator_optimizer",
        "lr_lambda": "$@decay.factor"
    },
    "pool": {"_target_": "transmodal.data.ImagePool", "size": 2},
    "ema": {"_target_": "transmodal.handlers.EMAHandler", "network": "@network", "average": "@average", "decay": 0.5},
    "best_weights": {
        "_target_": "transmodal.handlers.BestWeights",
        "network": "@average", "path": "$@output_dir + '/model.pt'", "metric": "mae"
    },
    "validate": {
        "data": {"image": "$torch.ones(1, 1, 4, 4)", "label": "$torch.zeros(1, 1, 4, 4)"},
        "key_metric": {
            "mae": {
                "_target_": "monai.handlers.MeanAbsoluteError",
                "output_transform": "$monai.handlers.from_engine(['pred', 'label'])"
            }
        },
        "evaluator": {
            "_target_": "monai.engines.SupervisedEvaluator",
            "device": "$torch.device(@device)",
            "val_data_loader": ["@validate#data"],
            "network": "@average",
            "key_val_metric": "@validate#key_metric",
            "val_handlers": ["@best_weights"]
        }
    },
    "train": {
        "phases": [
            {
                "_target_": "transmodal.engines.Phase",
                "name": "generator", "terms": "$@objective.generator_terms", "optimizer": "@generator_optimizer"
            },
            {
                "_target_": "transmodal.engines.Phase",
                "name": "discriminator", "terms": "$@objective.discriminator_terms",
                "optimizer": "@discriminator_optimizer", "every": 2, "max_grad_norm": 1.0
            }
        ],
        "losses": {"_target_": "transmodal.engines.named_losses", "_mode_": "callable"},
        "handlers": [
            "@ema",
            {"_target_": "monai.handlers.LrScheduleHandler", "lr_scheduler": "@generator_schedule", "print_lr": false},
            {"_target_": "monai.handlers.ValidationHandler", "interval": 1, "validator": "@validate#evaluator"},
            {"_target_": "transmodal.handlers.EpochLosses"},
            {"_target_": "monai.handlers.StatsHandler", "name": "train_log", "iteration_log": false},
            {
                "_target_": "monai.handlers.TensorBoardStatsHandler",
                "log_dir": "$@output_dir + '/log'", "output_transform": "@train#losses"
            },
            {"_target_": "transmodal.handlers.LossProgressBar"},
            {
                "_target_": "transmodal.handlers.Resume",
                "path": "$@output_dir + '/resume.pt'",
                "validator": "@validate#evaluator",
                "state": {
                    "network": "@network", "average": "@average", "ema": "@ema", "discriminator": "@discriminator",
                    "generator_optimizer": "@generator_optimizer", "generator_schedule": "@generator_schedule",
                    "discriminator_optimizer": "@discriminator_optimizer", "pool": "@pool",
                    "best_weights": "@best_weights"
                }
            }
        ],
        "trainer": {
            "_target_": "transmodal.engines.AlternatingTrainer",
            "device": "@device",
            "max_epochs": "@max_epochs",
            "train_data_loader": "@loader",
            "phases": "@train#phases",
            "amp": false,
            "amp_dtype": "$torch.bfloat16",
            "train_handlers": "@train#handlers"
        }
    }
}
"""


class Objective:
    """The terms of a miniature CycleGAN phase, on networks taken from the configuration."""

    def __init__(self, network: nn.Module, discriminator: nn.Module, pool: Any) -> None:
        self.network, self.discriminator, self.pool = network, discriminator, pool

    def generator_terms(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        fake = self.network(batch["image"])
        batch["fake"] = fake.detach()
        return {"adversarial": (self.discriminator(fake) - 1).square().mean()}

    def discriminator_terms(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"fake": self.discriminator(self.pool.query(batch["fake"])).square().mean()}


def parsed(folder: Path, **changes: Any) -> ConfigParser:
    parser = ConfigParser({**json.loads(CONFIG), "output_dir": str(folder), **changes})
    parser["imports"] = ["$import copy", "$import torch", "$import monai"]
    parser.get_parsed_content("imports")
    network, discriminator, pool = (parser.get_parsed_content(name) for name in ("network", "discriminator", "pool"))
    parser["objective"] = Objective(network, discriminator, pool)
    parser["loader"] = [{"image": torch.ones(1, 1, 4, 4)}, {"image": torch.zeros(1, 1, 4, 4)}]
    for name, item in (("network", network), ("discriminator", discriminator), ("pool", pool)):
        parser[name] = item
    return parser


def test_a_training_written_as_json_runs_and_leaves_its_files(tmp_path: Path) -> None:
    parser = parsed(tmp_path)
    parser.get_parsed_content("train#trainer").run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "model.pt", "resume.pt"]


def test_max_epochs_is_found_where_monai_looks_for_it(tmp_path: Path) -> None:
    assert parsed(tmp_path).get_parsed_content("train#trainer#max_epochs") == 2


def test_a_training_written_as_json_resumes(tmp_path: Path) -> None:
    parsed(tmp_path, max_epochs=1).get_parsed_content("train#trainer").run()
    trainer = parsed(tmp_path).get_parsed_content("train#trainer")
    iterations: list[int] = []
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: iterations.append(engine.state.iteration))
    trainer.run()
    assert iterations == [3, 4]
