"""Published names of modules to ours, for networks that are made here and not read from a file."""

from __future__ import annotations

from collections.abc import Sequence

from mudiff_bundle.published import fusion_names, stems
from syndiff_bundle.published import STEMS

from transmodal.checkpoints import KeyMap
from transmodal.published import TRANSPOSED, NCSNppLayout

__all__ = ["ADAPTER", "aware_names", "ncsnpp_key_map", "ncsnpp_names", "patch_critic_names", "specific_names"]

ADAPTER = {"linear": "", "lora_down.weight": "down", "lora_up.weight": "up"}
"""What the published X-ray2CTPA makes of a linear layer that it adapts, to what such a layer has here."""
NO_ATTENTION = (False, False, False)


def ncsnpp_names(attention: Sequence[bool], num_res_blocks: int = 2, mapping_layers: int = 3) -> dict[str, str]:
    """Of NCSN++ to those of ``NCSNpp``.

    Args:
        attention: for each level, the finest first, whether it attends.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        mapping_layers: hidden layers of the mapping of the latent.
    """
    return NCSNppLayout(STEMS, attention, num_res_blocks, mapping_layers).names()


def ncsnpp_key_map(attention: Sequence[bool], num_res_blocks: int = 2, mapping_layers: int = 3) -> KeyMap:
    """From the keys of a published NCSN++ to those of our ``NCSNpp``; arguments as for :func:`ncsnpp_names`."""
    return KeyMap(ncsnpp_names(attention, num_res_blocks, mapping_layers), transposed=TRANSPOSED)


def specific_names(
    num_sources: int = 3, attention: Sequence[bool] = NO_ATTENTION, num_res_blocks: int = 2, mapping_layers: int = 3
) -> dict[str, str]:
    """Of ``gen_diffusive_1`` of MU-Diff to those of ``ContrastSpecificDenoiser``; see :func:`ncsnpp_names`."""
    return NCSNppLayout(stems(num_sources, aware=False), attention, num_res_blocks, mapping_layers).names()


def aware_names(
    num_sources: int = 3, attention: Sequence[bool] = NO_ATTENTION, num_res_blocks: int = 2, mapping_layers: int = 3
) -> dict[str, str]:
    """Of ``gen_diffusive_2`` of MU-Diff to those of ``ContrastAwareDenoiser``; see :func:`ncsnpp_names`."""
    layout = NCSNppLayout(stems(num_sources, aware=True), attention, num_res_blocks, mapping_layers)
    return layout.names() | fusion_names(num_sources)


def patch_critic_names(num_layers: int = 3) -> dict[str, str]:
    """Of a critic of X-ray2CTPA's VQ-GAN to those of ``PatchCritic``.

    Args:
        num_layers: stages between the first one and the logits.
    """
    names = {"model0.0": "initial_conv.conv", f"model{num_layers + 1}.0": "final_conv.conv"}
    for layer in range(num_layers):
        names |= {f"model{layer + 1}.0": f"{layer}.conv", f"model{layer + 1}.1": f"{layer}.adn.N"}
    return names
