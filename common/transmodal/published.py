"""Layer names of published networks that several methods share, by which their checkpoints are read.

The published CycleGAN code numbers the layers of its networks; SynDiff took two of those networks over.
"""

from __future__ import annotations


def resnet_generator_names(num_blocks: int, dropout: bool = False) -> dict[str, str]:
    """Published module names of the ResNet generator, which number its layers, to those of ``ResNetGenerator``."""
    names = {"model.1": "stem.conv", "model.2": "stem.norm"}
    names |= {"model.4": "down.0.conv", "model.5": "down.0.norm", "model.7": "down.1.conv", "model.8": "down.1.norm"}
    second = 6 if dropout else 5
    for index in range(num_blocks):
        published, ours = f"model.{10 + index}.conv_block", f"blocks.{index}"
        names |= {f"{published}.1": f"{ours}.conv1", f"{published}.2": f"{ours}.norm1"}
        names |= {f"{published}.{second}": f"{ours}.conv2", f"{published}.{second + 1}": f"{ours}.norm2"}
    tail = 10 + num_blocks
    names |= {f"model.{tail}": "up.0.conv", f"model.{tail + 1}": "up.0.norm"}
    names |= {f"model.{tail + 3}": "up.1.conv", f"model.{tail + 4}": "up.1.norm", f"model.{tail + 7}": "head"}
    return names


def patch_discriminator_names(num_layers: int = 3) -> dict[str, str]:
    """Published module names of the PatchGAN discriminator to those of MONAI's ``PatchDiscriminator``.

    Args:
        num_layers: ``num_layers_d``; behind the first convolution a norm and an activation follow each.
    """
    names = {"model.0": "initial_conv.conv"}
    names |= {f"model.{2 + 3 * index}": f"{index}.conv" for index in range(num_layers)}
    return names | {f"model.{2 + 3 * num_layers}": "final_conv.conv"}
