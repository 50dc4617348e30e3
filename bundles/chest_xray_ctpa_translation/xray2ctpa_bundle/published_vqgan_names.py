"""Layer names of the published VQ-GAN and of its critics, and of ours."""

from __future__ import annotations

__all__ = ["FRESH", "TRAINING_ONLY", "vqgan_names"]

RESIDUAL_BLOCK = {"norm1": "norm1", "conv1.conv": "conv1", "norm2": "norm2", "conv2.conv": "conv2"}
CODEBOOK = {"embeddings": "codes", "N": "uses", "z_avg": "sums"}
TRAINING_ONLY = {
    r"(image|video)_discriminator\..*": "critics serve training alone",
    r"perceptual_model\..*": "the perceptual distance serves training alone",
}
FRESH = {r"codebook\.fresh": "a trained codebook is not drawn anew"}


def vqgan_names(num_levels: int = 2) -> dict[str, str]:
    """Published names of the modules of the VQ-GAN to those of ``VQGAN``.

    Args:
        num_levels: strided levels of the encoder, and of the decoder.
    """
    names = {
        "encoder.conv_first.conv": "encoder.stem",
        "encoder.final_block.0": "encoder.norm",
        "pre_vq_conv.conv": "encoder.head",
        "post_vq_conv.conv": "decoder.stem",
        "decoder.final_block.0": "decoder.norm",
        "decoder.conv_last.conv": "decoder.head",
    }
    names |= {f"codebook.{theirs}": f"codebook.{ours}" for theirs, ours in CODEBOOK.items()}
    for level in range(num_levels):
        down, up = f"encoder.conv_blocks.{level}", f"decoder.conv_blocks.{level}"
        names |= {f"{down}.down.conv": f"encoder.levels.{level}.down", f"{up}.up.convt": f"decoder.levels.{level}.up"}
        blocks = {f"{down}.res": f"encoder.levels.{level}.block"}
        blocks |= {f"{up}.res{number}": f"decoder.levels.{level}.block{number}" for number in (1, 2)}
        for theirs, ours in blocks.items():
            names |= {f"{theirs}.{child}": f"{ours}.{name}" for child, name in RESIDUAL_BLOCK.items()}
    return names
