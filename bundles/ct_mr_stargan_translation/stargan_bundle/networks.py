"""The networks of StarGAN (Choi et al. 2018, arXiv:1711.09020, tables 4 and 5), and a generator that hears its label.

The published generator is told the target domain by constant channels beside the image. Its first convolution has no
bias and an instance norm follows, which subtracts whatever is constant over the image; so the label enters only where
zero padding breaks that constancy, at the border. ``ConditionalGenerator`` is told by the norms themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.errors import InputError
from transmodal.networks import Task
from transmodal.networks.blocks import check_size


class MultiDomainGenerator(nn.Module):
    """What both generators share: two strided convolutions down, residual blocks, two transposed ones up, tanh.

    As published, no convolution has a bias. Training and evaluation are the same: every norm takes the statistics of
    the image before it.

    Args:
        num_domains: K.
        in_channels: of the image; the translation has as many.
        entering: channels that enter the stem.
        channels: width of the stem; the residual blocks are four times as wide.
        num_blocks: residual blocks.
        spatial_dims: 2 for slices, 3 for volumes.
        norm: makes a norm of so many channels, called with features and domains.
        padding_mode: of the stem, the residual blocks and the head: any mode of ``torch.nn.Conv2d``.
    """

    def __init__(
        self,
        num_domains: int,
        in_channels: int,
        entering: int,
        channels: int,
        num_blocks: int,
        spatial_dims: int,
        norm: Callable[[int], nn.Module],
        padding_mode: str,
    ) -> None:
        super().__init__()
        self.num_domains, self.spatial_dims = num_domains, spatial_dims
        conv, transposed = Conv[Conv.CONV, spatial_dims], Conv[Conv.CONVTRANS, spatial_dims]
        wide, scaled = 4 * channels, {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}
        large = {"kernel_size": 7, "padding": 3, "padding_mode": padding_mode, "bias": False}
        same = {"kernel_size": 3, "padding": 1, "padding_mode": padding_mode, "bias": False}
        self.stem = Stage(conv(entering, channels, **large), norm(channels))
        self.down = nn.ModuleList(
            [
                Stage(conv(channels, 2 * channels, **scaled), norm(2 * channels)),
                Stage(conv(2 * channels, wide, **scaled), norm(wide)),
            ]
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(conv(wide, wide, **same), norm(wide), conv(wide, wide, **same), norm(wide))
            for _ in range(num_blocks)
        )
        self.up = nn.ModuleList(
            [
                Stage(transposed(wide, 2 * channels, **scaled), norm(2 * channels)),
                Stage(transposed(2 * channels, channels, **scaled), norm(channels)),
            ]
        )
        self.head = conv(channels, in_channels, **large)

    def translated(self, features: Tensor, domain: Tensor) -> Tensor:
        """Run what enters the stem, (B, entering, H, W[, D]), through the network; (B, in_channels, H, W[, D])."""
        check_size(features, multiple=4, smallest=8)  # halved twice; the norms of the blocks need two pixels
        features = self.stem(features, domain)
        for down in self.down:
            features = down(features, domain)
        for block in self.blocks:
            features = block(features, domain)
        for up in self.up:
            features = up(features, domain)
        return torch.tanh(self.head(features))


class StarGANGenerator(MultiDomainGenerator):
    """The published generator: the label enters beside the image, and works through the zero padding alone.

    Args:
        num_domains: K.
        channels: width of the stem; the residual blocks are four times as wide.
        num_blocks: residual blocks.
        in_channels: of the image; the translation has as many.
        spatial_dims: 2 for slices, 3 for volumes.
    """

    def __init__(
        self,
        num_domains: int = 2,
        channels: int = 64,
        num_blocks: int = 6,
        in_channels: int = 1,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__(
            num_domains,
            in_channels,
            in_channels + num_domains,
            channels,
            num_blocks,
            spatial_dims,
            norm=InstanceNorm,
            padding_mode="zeros",
        )

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        """Translate each image to its domain.

        Args:
            image: (B, in_channels, H, W[, D]) in [-1, 1]; each size a multiple of 4 and at least 8.
            domain: the target of each, (B,) int64 in [0, K).
        Returns:
            Of the shape of ``image``, in [-1, 1].
        Raises:
            ValueError: if a size does not fit; the published network would round it down in silence (66 becomes 64).
        """
        label = F.one_hot(domain, self.num_domains).to(image.dtype)
        label = label.reshape(list(label.shape) + [1] * self.spatial_dims)
        label = label.expand([-1, -1] + list(image.shape[2:]))  # noqa: RUF005 (TorchScript unpacks no lists)
        return self.translated(torch.cat([image, label], dim=1), domain)


class ConditionalGenerator(MultiDomainGenerator):
    """The same network, told the target domain by every norm: a scale and a shift for each domain and channel.

    Conditional instance norm works alike on all of the image, so nothing depends on the padding, which may reflect.
    Source: V. Dumoulin, J. Shlens, M. Kudlur, A learned representation for artistic style, ICLR 2017, equation 5.

    Args:
        num_domains, channels, num_blocks, in_channels, spatial_dims: as for :class:`StarGANGenerator`.
        padding_mode: of the stem, the residual blocks and the head: any mode of ``torch.nn.Conv2d``.
    """

    def __init__(
        self,
        num_domains: int = 2,
        channels: int = 64,
        num_blocks: int = 6,
        in_channels: int = 1,
        spatial_dims: int = 2,
        padding_mode: str = "reflect",
    ) -> None:
        super().__init__(
            num_domains,
            in_channels,
            in_channels,
            channels,
            num_blocks,
            spatial_dims,
            norm=lambda width: ConditionalInstanceNorm(num_domains, width),
            padding_mode=padding_mode,
        )

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        """Translate each image to its domain, as :meth:`StarGANGenerator.forward` does."""
        return self.translated(image, domain)


class Stage(nn.Module):
    """A convolution, its norm and a rectifier.

    Args:
        conv: without a bias.
        norm: called with features and domains.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, features: Tensor, domain: Tensor) -> Tensor:
        """Make the next ``features``, (B, C, H, W[, D]), for ``domain``, (B,)."""
        return F.relu(self.norm(self.conv(features), domain))


class ResidualBlock(nn.Module):
    """Two normed convolutions around an identity: ``x + norm(conv(relu(norm(conv(x)))))``.

    Args:
        conv1, norm1, conv2, norm2: in the order of their use; norms are called with features and domains.
    """

    def __init__(self, conv1: nn.Module, norm1: nn.Module, conv2: nn.Module, norm2: nn.Module) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv1, norm1
        self.conv2, self.norm2 = conv2, norm2

    def forward(self, features: Tensor, domain: Tensor) -> Tensor:
        """Refine ``features``, (B, C, H, W[, D]), to the same shape for ``domain``, (B,)."""
        hidden = F.relu(self.norm1(self.conv1(features), domain))
        refined: Tensor = self.norm2(self.conv2(hidden), domain)
        return features + refined


class InstanceNorm(nn.Module):
    """Instance norm with one scale and shift for all domains, and no running statistics; in single precision.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, domain: Tensor) -> Tensor:
        """Norm ``features``, (B, C, H, W[, D]); ``domain`` is not looked at."""
        normed = F.instance_norm(features.float(), weight=self.weight, bias=self.bias)
        return normed.to(features.dtype)


class ConditionalInstanceNorm(nn.Module):
    """Instance norm with a scale and a shift for each domain; in single precision.

    Args:
        num_domains: K.
        channels: C.
    """

    def __init__(self, num_domains: int, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Embedding(num_domains, channels), nn.Embedding(num_domains, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, features: Tensor, domain: Tensor) -> Tensor:
        """Norm ``features``, (B, C, H, W[, D]), as their ``domain``, (B,) int64 in [0, K), wants it."""
        normed = F.instance_norm(features.float())
        shape = list(normed.shape[:2]) + [1] * (normed.dim() - 2)
        scale, shift = self.scale(domain).reshape(shape), self.shift(domain).reshape(shape)
        return (normed * scale + shift).to(features.dtype)


class StarGANCritic(nn.Module):
    """The published critic: how real each patch looks, and to which domain the image belongs.

    Args:
        image_size: of the images it judges, one for all axes or one for each; the head of the domains is as large as
            what is left of the image.
        num_domains: K.
        channels: width of the first convolution; each of the others is twice as wide as the one before.
        depth: convolutions, each halving the image.
        in_channels: of the image.
        spatial_dims: 2 for slices, 3 for volumes.
    Raises:
        InputError: if the image cannot be halved that often.
    """

    def __init__(
        self,
        image_size: int | Sequence[int] = 256,
        num_domains: int = 2,
        channels: int = 64,
        depth: int = 6,
        in_channels: int = 1,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        sizes = [image_size] * spatial_dims if isinstance(image_size, int) else [*image_size]
        if len(sizes) != spatial_dims or any(size < 1 or size % 2**depth for size in sizes):
            raise InputError(
                "StarGANCritic, image_size",
                found=f"{image_size} with {depth} convolutions that halve it, in {spatial_dims} dimensions",
                wanted=f"a multiple of 2 ** {depth} = {2**depth} along each axis",
                remedy=f"set the patch to multiples of {2**depth}, or make `depth` smaller",
            )
        conv = Conv[Conv.CONV, spatial_dims]
        widths = [in_channels, *(channels * 2**level for level in range(depth))]
        self.image_size = sizes
        self.convs = nn.ModuleList(
            conv(before, after, kernel_size=4, stride=2, padding=1) for before, after in pairwise(widths)
        )
        left = [size // 2**depth for size in sizes]
        self.patch_head = conv(widths[-1], 1, kernel_size=3, padding=1, bias=False)
        self.domain_head = conv(widths[-1], num_domains, kernel_size=left, bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Judge ``image``, (B, in_channels, H, W[, D]) of the size that the critic was made for, in [-1, 1].

        Returns:
            A score per patch, (B, 1, h, w[, d]), larger for what looks more real; and logits of the domains, (B, K).
        Raises:
            ValueError: for an image of another size.
        """
        if list(image.shape[2:]) != self.image_size:
            raise ValueError(
                f"found an image of size {list(image.shape[2:])}; wanted {self.image_size}, for which the critic was "
                "made. Set `image_size` to the size of the training patches."
            )
        features = image
        for conv in self.convs:
            features = F.leaky_relu(conv(features), 0.01)
        return self.patch_head(features), self.domain_head(features).flatten(1)


class DomainTranslator(nn.Module):
    """One generator for all directions, and the names of the domains in their order; the target is chosen at each call.

    The names are saved among the weights, and weights for other domains or another order are refused.

    Args:
        generator: ``(image, domain) -> translation``.
        domains: name of each domain, in the order of the labels.
    Raises:
        InputError: if there are fewer than two different names, or the generator has another number of domains.
    """

    def __init__(self, generator: nn.Module, domains: Sequence[str] = ("ct", "mr")) -> None:
        super().__init__()
        _check_domains(domains, int(getattr(generator, "num_domains", len(domains))))
        self.generator = generator
        self.domains = [*domains]
        self.task = Task(
            f"the domains {', '.join(domains)}",
            remedy="set `domains` as in the training that made the weights, in the same order",
        )

    def forward(self, image: Tensor, target: str = "ct") -> Tensor:
        """Translate ``image`` to the modality ``target``.

        Args:
            image: any of the other modalities, (B, C, H, W[, D]) in [-1, 1].
            target: one of ``domains``.
        Returns:
            The translation, of the same shape, in [-1, 1].
        Raises:
            ValueError: for another ``target``.
        """
        for label, name in enumerate(self.domains):
            if name == target:
                domain = torch.full([image.shape[0]], label, dtype=torch.long, device=image.device)
                return self.translate(image, domain)
        raise ValueError(
            f"found target '{target}'; wanted one of {', '.join(self.domains)}. "
            "Set `target` to the modality to be made."
        )

    def translate(self, image: Tensor, domain: Tensor) -> Tensor:
        """Translate each image of a batch to a domain of its own, (B,) int64 in the order of ``domains``."""
        translation: Tensor = self.generator(image, domain)
        return translation


class GreyImages(nn.Module):
    """A colour generator as one of grey images, so that published colour checkpoints serve.

    The grey image is repeated in every channel on the way in; the mean of the channels is the grey on the way out.

    Args:
        network: ``(image, domain) -> translation``, (B, channels, H, W[, D]).
        channels: that ``network`` takes.
    """

    def __init__(self, network: nn.Module, channels: int = 3) -> None:
        super().__init__()
        self.network, self.channels = network, channels
        self.num_domains = int(network.num_domains)

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        """Translate ``image``, (B, 1, H, W[, D]) in [-1, 1], to the same shape and range, each to its ``domain``."""
        colour = torch.cat([image] * self.channels, dim=1)
        return self.network(colour, domain).mean(dim=1, keepdim=True)


def _check_domains(domains: Sequence[str], wanted: int) -> None:
    names = [] if isinstance(domains, str) else [*domains]
    named = all(isinstance(name, str) and name for name in names)
    if not named or not 2 <= len(set(names)) == len(names) == wanted:
        raise InputError(
            "DomainTranslator, domains",
            found=repr(domains),
            wanted=f"{wanted} different names, one for each domain of the generator" if wanted > 1 else "two or more",
            remedy="list the domains in the order of the labels, such as ['ct', 'mr'], and set `num_domains` to match",
        )
