"""The bundle that weights are imported into: its inference config, with overlays and single ids over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from contract.bundle import Bundle
from format_json import load
from transmodal.checkpoints import Published
from transmodal.errors import InputError
from verify import find_bundles

CONFIG = "configs/inference.json"


@dataclass(frozen=True)
class Layers:
    """A bundle's inference config, with overlays and single ids over it.

    Args:
        bundle: whose config it is; only while it is importable can networks be built.
        overlays: in their order.
        ids: to their values.
    """

    bundle: Bundle
    overlays: tuple[Path, ...] = ()
    ids: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def parser(self) -> ConfigParser:
        """All layers, read."""
        parser = ConfigParser()
        parser.read_config([str(self.bundle.root / CONFIG), *map(str, self.overlays)])
        for key, value in self.ids.items():
            parser[key] = value
        return parser

    @property
    def network_def(self) -> dict[str, Any]:
        """The network as it is written, with references and macros."""
        files = [self.bundle.root / CONFIG, *self.overlays]
        written: dict[str, Any] = next(
            content["network_def"] for content in map(load, reversed(files)) if "network_def" in content
        )
        return written

    def check_ids(self) -> None:
        """Refuse ids that the config and its overlays do not have.

        Raises:
            InputError: if there are any.
        """
        there = replace(self, ids={}).parser
        if unknown := [f"--{key}" for key in self.ids if key.partition("#")[0] not in there]:
            raise InputError(
                self.bundle.name,
                found=", ".join(unknown),
                wanted=f"options of the tool, or ids of {CONFIG}",
                remedy="correct the name; --help lists the options",
            )

    def needed_by(self, published: Mapping[str, Published]) -> Layers:
        """The same with the settings of checkpoints as further ids.

        Raises:
            InputError: if a checkpoint contradicts another, or an id that is given.
        """
        settings = dict(self.ids)
        for role, each in published.items():
            for key, value in each.settings.items():
                if settings.setdefault(key, value) != value:
                    asked = key in self.ids
                    raise InputError(
                        f"{role}, {each.title}",
                        found=f"{key} {value}",
                        wanted=f"{settings[key]}, as {f'--{key} says' if asked else 'the other checkpoint has it'}",
                        remedy=f"leave --{key} out" if asked else "give checkpoints of one training",
                    )
        return replace(self, ids=settings)

    def changed_ids(self) -> dict[str, Any]:
        """The ids whose values are not those of the config and its overlays."""
        without = replace(self, ids={}).parser
        return {key: value for key, value in self.ids.items() if without.get(key) != value}

    def changed_definitions(self, definitions: Mapping[str, Mapping[str, Any]], network: nn.Module) -> dict[str, Any]:
        """What has to be written where the ids alone do not make the children of checkpoints, by its id.

        That is the id that ``network_def`` names for the child and for no other, or ``network_def`` itself.

        Args:
            definitions: role to the definition of its checkpoint.
            network: made of these definitions.
        """
        try:
            configured = self.build(self.network_def)
            # printed structure, unlike the state dict, also tells dropout and padding apart
            roles = [
                role for role in definitions if str(configured.get_submodule(role)) != str(network.get_submodule(role))
            ]
        except InputError:  # the ids may go with the checkpoints' networks alone
            roles = list(definitions)
        written = list(self.network_def.values())
        changes, inline = dict[str, Any](), dict[str, Any]()
        for role in roles:
            reference = self.network_def[role]
            if isinstance(reference, str) and reference[:1] in "@%" and written.count(reference) == 1:
                changes[reference[1:]] = definitions[role]
            else:
                inline[role] = definitions[role]
        return {**changes, "network_def": {**self.network_def, **inline}} if inline else changes

    def build(self, network_def: Mapping[str, Any], device: str = "meta") -> nn.Module:
        """The bundle's network with this ``network_def``; on ``meta`` without memory for its weights.

        Raises:
            InputError: if it cannot be built.
        """
        self.parser["network_def"] = dict(network_def)
        try:
            with torch.device(device):
                network: nn.Module = self.parser.get_parsed_content("network_def")
        except Exception as error:  # MONAI re-raises around whatever the config or the network has to say
            cause: BaseException = error
            while cause.__cause__ is not None and not isinstance(cause, InputError):
                cause = cause.__cause__
            if isinstance(cause, InputError):
                raise cause from error
            raise InputError(
                ", ".join([CONFIG, *map(str, self.overlays), *(f"--{key} {value}" for key, value in self.ids.items())]),
                found=f"a network that cannot be built, {type(cause).__name__}: {cause}",
                wanted="a config in which all ids go together",
                remedy="check the overlays and ids that were given",
            ) from error
        return network


def importing_bundle(path: str | Path) -> Bundle:
    """The bundle of this path or name.

    Raises:
        InputError: if there is none, or it imports nothing.
    """
    bundle = Bundle(find_bundles(str(path))[0])
    if not (bundle.root / CONFIG).is_file() or not (bundle.root / bundle.package / "published.py").is_file():
        raise InputError(
            path,
            found=f"no {CONFIG}, or no published.py in a package named <method>_bundle",
            wanted="the folder of a bundle that imports published checkpoints",
            remedy="name one, such as ct_mr_cyclegan_translation",
        )
    return bundle
