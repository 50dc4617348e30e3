"""The autoencoder of MD-DGA: volumes to a grid of latents, to the nearest of some codes, and back.

Source: van den Oord, Vinyals, Kavukcuoglu, Neural Discrete Representation Learning (2017), section 3, with the gradient
trained codebook of equation 3; widths, depth and activations as in the published MD-DGA code.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn
from torch.nn import functional as F

from mddga_bundle.padding import cropped_to
from transmodal.errors import InputError
from transmodal.networks.blocks.straight_through import straight_through


class VQVAE(nn.Module):
    """Encoder, codebook and decoder; every stage of ``channels`` halves the size of the image.

    Other than published, images whose sizes the stages do not divide keep their size: they are padded by their edge
    values at the end of each axis, and what is decoded is cropped. Where the stages divide the sizes nothing differs.

    Args:
        spatial_dims: 3 for volumes, 2 for slices.
        embedding_dim: channels of the latents, E; 2 and 64 were published.
        num_embeddings: codes of the codebook.
        channels: width of each strided stage, the finest first; two stages make latents of a quarter of the size.
        num_res_blocks: residual blocks of the encoder, and of the decoder.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        embedding_dim: int = 2,
        num_embeddings: int = 512,
        channels: Sequence[int] = (128, 256),
        num_res_blocks: int = 6,
    ) -> None:
        super().__init__()
        if not channels or min(embedding_dim, num_embeddings, *channels) < 1:
            raise InputError(
                "VQVAE",
                found=f"channels {list(channels)}, embedding_dim {embedding_dim}, num_embeddings {num_embeddings}",
                wanted="the width of at least one stage, and positive numbers",
                remedy="set channels as published, [128, 256]",
            )
        self.embedding_dim = embedding_dim
        self.downsampling = 2 ** len(channels)
        self.encoder = Encoder(spatial_dims, embedding_dim, channels, num_res_blocks)
        self.codebook = Codebook(num_embeddings, embedding_dim)
        self.decoder = Decoder(spatial_dims, embedding_dim, channels, num_res_blocks)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct ``image``, (B, 1, *S) in [-1, 1].

        Returns:
            The reconstruction, (B, 1, *S) in [-1, 1]; the latents before quantisation; and the codes that replace them,
            with a gradient to the codebook and none to the latents, both (B, E, *S / 4) with sizes rounded up.
        """
        z = self.encode(image)
        codes = self.codebook(self.codebook.nearest(z))
        reconstruction = self.decode(straight_through(z, codes), image.shape[2:])
        return reconstruction, z, codes

    def encode(self, image: Tensor) -> Tensor:
        """Latents before quantisation, (B, E, *S / 4) with sizes rounded up, of ``image``, (B, 1, *S) in [-1, 1]."""
        z: Tensor = self.encoder(padded(image, self.downsampling))
        return z

    def quantise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Replace latents by their nearest codes.

        Args:
            z: (B, E, …).
        Returns:
            The codes, (B, E, …), whose gradient goes straight through to ``z``; and their numbers, (B, …), int64.
        """
        indices = self.codebook.nearest(z)
        return straight_through(z, self.codebook(indices)), indices

    def decode(self, codes: Tensor, size: list[int] | None = None) -> Tensor:
        """Image of ``codes``, (B, E, …).

        Args:
            codes: quantised latents.
            size: of the image, at most 4 times that of the codes; exactly 4 times if None.
        Returns:
            (B, 1, *size) in [-1, 1].
        """
        image: Tensor = self.decoder(codes)
        return image if size is None else cropped_to(image, size)


class Encoder(nn.Module):
    """Strided convolutions, which take all memory, and the latent part behind them; arguments as for :class:`VQVAE`."""

    def __init__(self, spatial_dims: int, embedding_dim: int, channels: Sequence[int], num_res_blocks: int) -> None:
        super().__init__()
        conv, deepest = Conv[Conv.CONV, spatial_dims], channels[-1]
        self.down = nn.Sequential(
            *(
                _stage(conv(width, wider, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(inplace=True))
                for width, wider in zip([1, *channels[:-1]], channels, strict=True)
            )
        )
        self.conv = conv(deepest, deepest, kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(spatial_dims, deepest) for _ in range(num_res_blocks))
        self.head = conv(deepest, embedding_dim, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Latents of ``image``, (B, 1, *S); sizes that the stages do not divide lose their last voxels."""
        return self.latents(self.down(image))

    def latents(self, features: Tensor) -> Tensor:
        """Latents, (B, E, …), of what the strided convolutions made, (B, channels[-1], …)."""
        features = F.leaky_relu(self.conv(features))
        for block in self.blocks:
            features = block(features)
        return F.leaky_relu(self.head(F.leaky_relu(features)))


class Decoder(nn.Module):
    """The latent part, and the transposed convolutions behind it, which take all memory; as :class:`Encoder`."""

    def __init__(self, spatial_dims: int, embedding_dim: int, channels: Sequence[int], num_res_blocks: int) -> None:
        super().__init__()
        conv, transposed = Conv[Conv.CONV, spatial_dims], Conv[Conv.CONVTRANS, spatial_dims]
        widths = [*reversed(channels), 1]
        self.conv = conv(embedding_dim, widths[0], kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(spatial_dims, widths[0]) for _ in range(num_res_blocks))
        activations = [*(nn.LeakyReLU(inplace=True) for _ in channels[1:]), nn.Tanh()]
        self.up = nn.Sequential(
            *(
                _stage(transposed(width, narrower, kernel_size=4, stride=2, padding=1), activation)
                for width, narrower, activation in zip(widths[:-1], widths[1:], activations, strict=True)
            )
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Image, in [-1, 1], of ``codes``, (B, E, …)."""
        image: Tensor = self.up(self.features(codes))
        return image

    def features(self, codes: Tensor) -> Tensor:
        """What the transposed convolutions start from, (B, channels[-1], …)."""
        features = F.leaky_relu(self.conv(codes))
        for block in self.blocks:
            features = block(features)
        return F.leaky_relu(features)


class ResidualBlock(nn.Module):
    """x + conv2(ReLU(conv1(x))), a convolution of width 3 and one of width 1, both without bias."""

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        self.conv1 = conv(channels, channels, kernel_size=3, padding=1, bias=False)
        self.conv2 = conv(channels, channels, kernel_size=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Refine ``features``; the shape stays."""
        refined: Tensor = self.conv2(F.relu(self.conv1(features)))
        return features + refined


class Codebook(nn.Module):
    """The codes, trained by gradient and started in U(-1 / K, 1 / K).

    Args:
        num_embeddings: codes, K.
        embedding_dim: numbers of a code, E.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.rows = 1 << 14  # of distances at once, 32 MB with 512 codes; all of a volume's are 200 MB
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim))
        nn.init.uniform_(self.weight, -1 / num_embeddings, 1 / num_embeddings)

    def forward(self, indices: Tensor) -> Tensor:
        """Codes, (B, E, …), of these numbers, (B, …)."""
        return F.embedding(indices, self.weight).movedim(-1, 1)

    def nearest(self, z: Tensor) -> Tensor:
        """Number of the code nearest to each latent of ``z``, (B, E, …), in float32 under autocast too: (B, …)."""
        vectors, codes = z.detach().movedim(1, -1).float(), self.weight.detach().float()
        differences = "donot_use_mm_for_euclid_dist"  # of their squares' expansion, small distances would be rounding
        found = [
            torch.cdist(part, codes, compute_mode=differences).argmin(dim=1)
            for part in vectors.flatten(0, -2).split(self.rows)
        ]
        return torch.cat(found).view(vectors.shape[:-1])

    def extra_repr(self) -> str:
        """The number of codes and of their numbers, for the printed network."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


def padded(image: Tensor, multiple: int) -> Tensor:
    """``image``, (B, C, *S), made longer by its edge values at the end of each axis, to multiples of ``multiple``."""
    amounts: list[int] = []
    for size in image.shape[:1:-1]:
        amounts += [0, -size % multiple]
    return F.pad(image, amounts, mode="replicate") if sum(amounts) > 0 else image


def _stage(conv: nn.Module, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=conv, activation=activation))
