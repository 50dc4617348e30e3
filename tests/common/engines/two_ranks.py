"""What each of two gloo processes does for test_distributed.py; rank 0 writes result.json."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data.distributed import DistributedSampler

from transmodal.data import ImagePool
from transmodal.engines import AlternatingTrainer, Phase
from transmodal.handlers import EMAHandler, LastWeights, Resume

Batch = dict[str, Any]


class Game:
    """CycleGAN in miniature: each generator runs several times in one phase, each discriminator twice in its own."""

    def __init__(self, distributed: bool) -> None:
        torch.manual_seed(3)
        self.networks = nn.ModuleDict(
            {name: nn.Conv2d(1, 1, 3, padding=1) for name in ("ct", "mr", "real_ct", "real_mr")}
        )
        self.average = copy.deepcopy(self.networks)
        self.run = {
            name: DistributedDataParallel(network, broadcast_buffers=False) if distributed else network
            for name, network in self.networks.items()
        }
        self.pool = ImagePool(size=1)
        pairs = (("ct", "mr"), ("real_ct", "real_mr"))
        self.optimizers = [
            torch.optim.Adam([p for name in pair for p in self.networks[name].parameters()], lr=0.02) for pair in pairs
        ]

    def generator_terms(self, batch: Batch) -> dict[str, Tensor]:
        fake_ct, fake_mr = self.run["ct"](batch["mr"]), self.run["mr"](batch["ct"])
        cycle = (self.run["mr"](fake_ct) - batch["mr"]).square().mean()
        back = (self.run["ct"](fake_mr) - batch["ct"]).square().mean()
        batch["fake_ct"], batch["fake_mr"] = fake_ct.detach(), fake_mr.detach()
        fooled = (self.run["real_ct"](fake_ct) - 1).square().mean() + (self.run["real_mr"](fake_mr) - 1).square().mean()
        return {"cycle": cycle + back, "adversarial": fooled}

    def discriminator_terms(self, batch: Batch) -> dict[str, Tensor]:
        terms = {}
        for modality in ("ct", "mr"):
            judge = self.run[f"real_{modality}"]
            terms[modality] = (judge(batch[modality]) - 1).square().mean() + judge(
                batch[f"fake_{modality}"]
            ).square().mean()
        return terms

    def weights(self) -> list[float]:
        return torch.cat([p.detach().flatten() for p in self.networks.parameters()]).tolist()

    def averages(self) -> list[float]:
        return [p.sum().item() for p in self.average.parameters()]


def train(game: Game, folder: Path, epochs: int, batch_size: int, sampler: Any, records: Any, rank: int) -> None:
    ema = EMAHandler(game.networks, game.average, decay=0.5)
    state = {"networks": game.networks, "average": game.average, "ema": ema, "pool": game.pool}
    state |= {"generators": game.optimizers[0], "discriminators": game.optimizers[1]}
    AlternatingTrainer(
        "cpu",
        epochs,
        torch.utils.data.DataLoader(records, batch_size=batch_size, sampler=sampler),
        [
            Phase(name="generators", terms=game.generator_terms, optimizer=game.optimizers[0], max_grad_norm=0.5),
            Phase(name="discriminators", terms=game.discriminator_terms, optimizer=game.optimizers[1]),
        ],
        train_handlers=[ema, LastWeights(game.networks, folder / "model.pt"), Resume(folder / "resume.pt", state)],
    ).run()
    game.pool.query(torch.full((1, 1, 1, 1), float(rank)))


def in_two_processes(folder: Path, records: list[Batch]) -> dict[str, Any]:
    """A training without and one with an interruption, told by both processes; keeps nothing that holds the group."""
    rank = dist.get_rank()

    def sampler() -> DistributedSampler[Batch]:
        return DistributedSampler(records, shuffle=False)  # rank r: r, r + 2, ...

    straight = Game(distributed=True)
    train(straight, folder / "straight", 2, 1, sampler(), records, rank)
    torch.manual_seed(rank)  # ranks with different random states, as augmentation wants
    first = Game(distributed=True)
    first.pool.query(torch.full((1, 1, 1, 1), float(rank)))
    train(first, folder / "resumed", 1, 1, sampler(), records, rank)
    second = Game(distributed=True)
    train(second, folder / "resumed", 2, 1, sampler(), records, rank)

    gathered: list[Any] = [None, None]
    mine = {"weights": straight.weights(), "resumed": second.weights(), "pool": second.pool.images[0].item()}
    dist.all_gather_object(gathered, mine)
    return {"ranks": gathered, "average": straight.averages()}


def in_one_process(folder: Path, records: list[Batch]) -> dict[str, Any]:
    """The uninterrupted training once more, with batches of what both processes had."""
    single = Game(distributed=False)
    train(single, folder / "single", 2, 2, None, records, rank=0)
    return {"weights": single.weights(), "average": single.averages()}


def play(folder: Path) -> None:
    """Train in this process and the other one, and in the first again alone."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    generator = torch.Generator().manual_seed(1)
    records = [{m: torch.randn((1, 6, 6), generator=generator) for m in ("ct", "mr")} for _ in range(8)]
    two = in_two_processes(folder, records)
    dist.barrier()
    dist.destroy_process_group()  # by both: one that only exits may abort while the other goes on
    if rank == 0:
        one = in_one_process(folder, records)
        result = {
            "ranks": two["ranks"],
            "single": one["weights"],
            "averages": [two["average"], one["average"]],
            "keys": sorted(torch.load(folder / "straight" / "model.pt", weights_only=True)),
            "parts": [path.name for path in (folder / "straight").iterdir()],
        }
        (folder / "result.json").write_text(json.dumps(result))
