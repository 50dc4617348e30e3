"""Published generators of StarGAN, told apart by their tensors, imported into the bundle, and all else refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from stargan_bundle.published import recognise
from torch import Tensor, nn
from torch.testing import assert_close

from import_weights import import_weights
from tests.parity.fill import fill
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

CONFIG: dict[str, Any] = {
    "domains": ["ct", "mr"],
    "network_def": {
        "_target_": "stargan_bundle.networks.DomainTranslator",
        "generator": {
            "_target_": "stargan_bundle.networks.ConditionalGenerator",
            "num_domains": "$len(@domains)",
            "channels": 8,
        },
        "domains": "@domains",
    },
}


def norm(name: str, channels: int, statistics: bool) -> dict[str, Tensor]:
    kinds = ["weight", "bias", *(("running_mean", "running_var") if statistics else ())]
    counter = {f"{name}.num_batches_tracked": torch.tensor(3)} if statistics else {}
    return {f"{name}.{kind}": torch.zeros(channels) for kind in kinds} | counter


def generator(
    num_domains: int = 2, channels: int = 8, num_blocks: int = 2, colours: int = 1, statistics: bool = True
) -> dict[str, Tensor]:
    """A published generator, written down layer by layer."""
    wide, tail = 4 * channels, 9 + num_blocks
    convs = {
        "main.0": (channels, colours + num_domains, 7),
        "main.3": (2 * channels, channels, 4),
        "main.6": (wide, 2 * channels, 4),
        f"main.{tail}": (wide, 2 * channels, 4),
        f"main.{tail + 3}": (2 * channels, channels, 4),
        f"main.{tail + 6}": (colours, channels, 7),
    }
    norms = {"main.1": channels, "main.4": 2 * channels, "main.7": wide}
    norms |= {f"main.{tail + 1}": 2 * channels, f"main.{tail + 4}": channels}
    for block in range(9, tail):
        convs |= {f"main.{block}.main.{place}": (wide, wide, 3) for place in (0, 3)}
        norms |= {f"main.{block}.main.{place}": wide for place in (1, 4)}
    state = {f"{name}.weight": torch.zeros(*pair, size, size) for name, (*pair, size) in convs.items()}
    for name, width in norms.items():
        state |= norm(name, width, statistics)
    return fill(state)


def published_keys(shared: Path, name: str) -> dict[str, Tensor]:
    keys = json.loads((shared / "goldens/gan" / f"{name}_keys.json").read_text())
    return {key: torch.empty(shape, device="meta") for key, shape, _ in keys}


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> Path:
    """A small StarGAN bundle with the package of the real one."""
    home = tmp_path / "ct_mr_stargan_translation"
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "inference.json").write_text(json.dumps(CONFIG))
    package = root / "bundles/ct_mr_stargan_translation/stargan_bundle"
    (home / "stargan_bundle").symlink_to(package, target_is_directory=True)
    return home


def saved(state: dict[str, Tensor], folder: Path) -> dict[str, Path]:
    torch.save(state, folder / "200000-G.ckpt")
    return {"generator": folder / "200000-G.ckpt"}


def network_of(bundle: Path) -> nn.Module:
    """The bundle's network with the imported weights."""
    parser = ConfigParser()
    parser.read_config([str(bundle / name) for name in ("configs/inference.json", "models/model.json")])
    return load_weights(parser.get_parsed_content("network_def"), bundle / "models/model.pt").eval()


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize(
    "shape", [{"num_domains": 2}, {"num_domains": 5, "channels": 16}, {"num_blocks": 6}, {"num_blocks": 1}]
)
def test_a_generator_is_recognised_by_its_tensors(shape: dict[str, int], statistics: bool) -> None:
    wanted = {"num_domains": 2, "channels": 8, "num_blocks": 2, **shape}
    assert recognise(generator(**wanted, statistics=statistics), where="x").definition == {
        "_target_": "stargan_bundle.networks.StarGANGenerator",
        **wanted,
        "in_channels": 1,
        "spatial_dims": 2,
    }


@pytest.mark.parametrize(("name", "num_domains"), [("stargan_g", 2), ("stargan_g_c5", 5)])
def test_the_published_colour_generators_are_recognised_and_wrapped(shared: Path, name: str, num_domains: int) -> None:
    published = recognise(published_keys(shared, name), where="x")
    assert published.definition == {
        "_target_": "stargan_bundle.networks.GreyImages",
        "channels": 3,
        "network": {
            "_target_": "stargan_bundle.networks.StarGANGenerator",
            "num_domains": num_domains,
            "channels": 64,
            "num_blocks": 6,
            "in_channels": 3,
            "spatial_dims": 2,
        },
    }
    assert published.title == f"StarGAN generator of {num_domains} domains, 6 blocks, 64 wide, 3 channels"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("stargan_d", r"the discriminator \(`-D.ckpt`\)"),
        ("stargan_d_128_c5", r"the discriminator \(`-D.ckpt`\)"),
        ("cyclegan_g_resnet9", "keys such as model.1.weight"),
    ],
)
def test_another_published_network_is_refused_by_name(shared: Path, name: str, what: str) -> None:
    with pytest.raises(InputError, match=f"10000-D.ckpt: found {what}.*wanted a generator of the published StarGAN"):
        recognise(published_keys(shared, name), where="10000-D.ckpt")


def test_a_generator_without_two_domains_is_refused() -> None:
    with pytest.raises(InputError, match="found a generator of 1 channels with 1 channels for the label"):
        recognise(generator(num_domains=1), where="x")


@pytest.mark.parametrize("prefix", ["", "module."])
@torch.no_grad()
def test_an_imported_generator_translates_to_the_domains_in_their_order(
    bundle: Path, tmp_path: Path, prefix: str
) -> None:
    state = generator(colours=3)
    report = import_weights(bundle, saved({prefix + key: value for key, value in state.items()}, tmp_path))
    assert "task: the domains ct, mr, as configured; the files do not tell" in report
    assert "dropped, because the published code never evaluates with them" in report
    network, image = network_of(bundle), torch.randn(1, 1, 16, 16)
    assert_close(network.generator.network.stem.conv.weight, state["main.0.weight"])
    for label, name in enumerate(("ct", "mr")):
        made = network.generator.network(image.repeat(1, 3, 1, 1), torch.tensor([label]))
        assert_close(network(image, target=name), made.mean(dim=1, keepdim=True))


def test_the_domains_are_given_by_an_id_and_saved_with_the_weights(bundle: Path, tmp_path: Path) -> None:
    report = import_weights(bundle, saved(generator(num_domains=3), tmp_path), ids={"domains": ["mr", "ct", "t2"]})
    assert "task: the domains mr, ct, t2, as configured" in report
    assert str(network_of(bundle).task) == "the domains mr, ct, t2"


def test_a_generator_of_another_number_of_domains_is_refused_until_they_are_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"domains: found \['ct', 'mr'\]; wanted 5 different names"):
        import_weights(bundle, saved(generator(num_domains=5), tmp_path))
    assert not (bundle / "models").exists()
