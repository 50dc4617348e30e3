"""The two denoisers of MU-Diff and the one network that inference needs.

Source: MU-Diff, a mutual learning diffusion model for synthetic MRI, npj Artificial Intelligence (2025),
doi:10.1038/s44387-025-00016-8. Both denoisers stand on the trunk of NCSN++ and predict the clean target from its noisy
version; they differ in what they make of the sources before the trunk. With F a stem of two convolutions:

1. specific    [F(x), F_1(c_1), ..., F_K(c_K)], each with a stem of its own
2. aware       s = style of the other's prediction;  f_i = F_i(c_i, s);  for each pair (a, b) of sources
               fused = g2 · U(g1 · f_a) + (1 - g2) · f_b,  g1, g2 = gates of [f_1, ..., f_K];  [F(x), fused, ...]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mudiff_bundle.task import TranslationTask
from transmodal.errors import InputError
from transmodal.networks.blocks import (
    AdaptiveGroupNorm,
    LatentMapping,
    TimeEmbedding,
    cropped_to,
    reflected_to_multiple,
)
from transmodal.networks.blocks.adagn import group_count
from transmodal.networks.blocks.ncsn import convolution
from transmodal.networks.nets import NCSNppTrunk


class ContrastSpecificDenoiser(nn.Module):
    """Read each source by a stem of its own and put all features side by side.

    The defaults are the published network for three sources, of 20,472,065 parameters.

    Args:
        num_sources: conditioning contrasts K.
        channels: width of the finest level and of each stem.
        channel_mult: width of each level, the finest first, in multiples of ``channels``.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        attention: whether each level attends to itself; the middle always does.
        latent_dim: length of the latent z.
        style_dim: length of the style made from it.
        mapping_layers: layers of that mapping beyond the first.
        dropout: probability inside each residual block.
    Raises:
        ValueError: if there is no source, or as for ``NCSNppTrunk``.
    """

    def __init__(
        self,
        num_sources: int = 3,
        channels: int = 64,
        channel_mult: Sequence[int] = (1, 2, 4),
        num_res_blocks: int = 2,
        attention: Sequence[bool] = (False, False, False),
        latent_dim: int = 100,
        style_dim: int = 256,
        mapping_layers: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_sources(num_sources)
        time_dim = 4 * channels
        self.time_embedding = TimeEmbedding(channels, time_dim, time_dim)
        self.latent_mapping = LatentMapping(latent_dim, style_dim, mapping_layers)
        self.noisy_stem = Stem(channels)
        self.source_stems = nn.ModuleList(Stem(channels) for _ in range(num_sources))
        self.trunk = NCSNppTrunk(
            stem_channels=(1 + num_sources) * channels,
            pyramid_channels=1,
            out_channels=1,
            channels=channels,
            channel_mult=channel_mult,
            num_res_blocks=num_res_blocks,
            attention=attention,
            time_dim=time_dim,
            style_dim=style_dim,
            dropout=dropout,
        )

    def forward(self, noisy: Tensor, sources: Tensor, timesteps: Tensor, latent: Tensor) -> Tensor:
        """Predict the clean target.

        Args:
            noisy: x_{t+1}, (B, 1, H, W); mirrored up to the size that the levels need, and the prediction cropped.
            sources: (B, K, H, W) in [-1, 1], in the order of the training.
            timesteps: index t of the step t+1 → t, (B,) integers.
            latent: z, (B, latent_dim), standard normal.
        Returns:
            (B, 1, H, W) in [-1, 1].
        """
        height, width = noisy.shape[2], noisy.shape[3]
        noisy = reflected_to_multiple(noisy, self.trunk.size_multiple)
        sources = reflected_to_multiple(sources, self.trunk.size_multiple)
        return cropped_to(self.predict(noisy, sources, timesteps, latent), height, width)

    def predict(self, noisy: Tensor, sources: Tensor, timesteps: Tensor, latent: Tensor) -> Tensor:
        """As :meth:`forward`, of images whose H and W are multiples: the network without its padding, for exports."""
        features = [self.noisy_stem(noisy)]
        for index, stem in enumerate(self.source_stems):
            features.append(stem(sources[:, index : index + 1]))
        time, style = self.time_embedding(timesteps), self.latent_mapping(latent)
        return torch.tanh(self.trunk(torch.cat(features, dim=1), noisy, time, style))


class ContrastAwareDenoiser(nn.Module):
    """Steer the sources' features by the other denoiser's prediction, and fuse them pair by pair through gates.

    Three or more sources are paired in a ring, (1, 2), (2, 3), ..., (K, 1); two make one pair, and one makes none and
    enters as it is. The defaults are the published network for three sources, of 21,399,681 parameters.

    Args:
        num_sources, channels, channel_mult, num_res_blocks, attention, latent_dim, style_dim, mapping_layers, dropout:
            as for :class:`ContrastSpecificDenoiser`.
        stem_style_dim: length of the style made from the other's prediction.
    Raises:
        ValueError: if there is no source, or as for ``NCSNppTrunk``.
    """

    def __init__(
        self,
        num_sources: int = 3,
        channels: int = 64,
        channel_mult: Sequence[int] = (1, 2, 4),
        num_res_blocks: int = 2,
        attention: Sequence[bool] = (False, False, False),
        latent_dim: int = 100,
        style_dim: int = 256,
        mapping_layers: int = 3,
        dropout: float = 0.0,
        stem_style_dim: int = 256,
    ) -> None:
        super().__init__()
        _check_sources(num_sources)
        time_dim = 4 * channels
        pairs = ring(num_sources)
        self.time_embedding = TimeEmbedding(channels, time_dim, time_dim)
        self.latent_mapping = LatentMapping(latent_dim, style_dim, mapping_layers)
        self.guess_stem = GuessStem(channels, stem_style_dim)
        self.noisy_stem = Stem(channels)
        self.source_stems = nn.ModuleList(StyledStem(channels, stem_style_dim) for _ in range(num_sources))
        self.fusion = nn.ModuleList(GatedFusion(num_sources, channels, *pair) for pair in pairs)
        self.trunk = NCSNppTrunk(
            stem_channels=(1 + max(1, len(pairs))) * channels,
            pyramid_channels=1,
            out_channels=1,
            channels=channels,
            channel_mult=channel_mult,
            num_res_blocks=num_res_blocks,
            attention=attention,
            time_dim=time_dim,
            style_dim=style_dim,
            dropout=dropout,
        )

    def forward(self, noisy: Tensor, sources: Tensor, timesteps: Tensor, latent: Tensor, guess: Tensor) -> Tensor:
        """Predict the clean target.

        Args:
            noisy, sources, timesteps, latent: as for :class:`ContrastSpecificDenoiser`.
            guess: the other denoiser's prediction, (B, 1, H, W) in [-1, 1].
        Returns:
            (B, 1, H, W) in [-1, 1].
        """
        height, width = noisy.shape[2], noisy.shape[3]
        multiple = self.trunk.size_multiple
        noisy, sources = reflected_to_multiple(noisy, multiple), reflected_to_multiple(sources, multiple)
        guess = reflected_to_multiple(guess, multiple)
        return cropped_to(self.predict(noisy, sources, timesteps, latent, guess), height, width)

    def predict(self, noisy: Tensor, sources: Tensor, timesteps: Tensor, latent: Tensor, guess: Tensor) -> Tensor:
        """As :meth:`forward`, of images whose H and W are multiples: the network without its padding, for exports."""
        guided = self.guess_stem(guess)
        features: list[Tensor] = []
        for index, stem in enumerate(self.source_stems):
            features.append(stem(sources[:, index : index + 1], guided))
        everything = torch.cat(features, dim=1)
        entering = [self.noisy_stem(noisy)]
        for fusion in self.fusion:
            entering.append(fusion(features, everything))
        if len(entering) == 1:
            entering.append(everything)
        time, style = self.time_embedding(timesteps), self.latent_mapping(latent)
        return torch.tanh(self.trunk(torch.cat(entering, dim=1), noisy, time, style))


class MutualDenoisers(nn.Module):
    """Both denoisers in one module and one state dict, with what they were trained for.

    Args:
        specific: ``(noisy, sources, timesteps, latent) -> prediction``.
        aware: ``(noisy, sources, timesteps, latent, guess) -> prediction``, where the guess is that of ``specific``.
        sources: contrasts in the order of the image's channels.
        target: the contrast that is made.
        num_timesteps: diffusion steps T that the denoisers are trained for.
        latent_dim: length of the latent that they take.
    Raises:
        InputError: if the contrasts are not different names, or a denoiser has stems for another number of them.
    """

    def __init__(
        self,
        specific: nn.Module,
        aware: nn.Module,
        sources: Sequence[str] = ("flair", "t2", "t1"),
        target: str = "t1ce",
        num_timesteps: int = 4,
        latent_dim: int = 100,
    ) -> None:
        super().__init__()
        _check_stems(sources, specific=specific, aware=aware)
        self.specific, self.aware = specific, aware
        self.task = TranslationTask(sources, target, num_timesteps)
        self.num_sources, self.target = len(sources), target
        self.num_timesteps, self.latent_dim = num_timesteps, latent_dim

    def forward(
        self,
        image: Tensor,
        noisy: Tensor | None = None,
        timesteps: Tensor | None = None,
        latent: Tensor | None = None,
        target: str = "",
        separate: bool = False,
    ) -> Tensor:
        """Predict the clean target by both denoisers: one step of the reverse chain.

        What is left out takes the value at which a chain starts, without its randomness: with ``image`` alone the
        result is the first guess of a synthesis, which the sampler refines in the remaining steps.

        Args:
            image: the sources in their order, (B, K, H, W) in [-1, 1].
            noisy: x_{t+1} of the target, (B, 1, H, W); by default 0, the mean of the noise.
            timesteps: index t of the step t+1 → t, (B,) integers in [0, T); by default T - 1, the first step.
            latent: z, (B, latent_dim); by default 0, its mean.
            target: contrast to make, if given; there is only one.
            separate: return both predictions as channels, (B, 2, H, W), instead of their mean.
        Returns:
            The prediction of x_0, (B, 1, H, W) in [-1, 1].
        Raises:
            ValueError: for another ``target`` or another number of sources.
        """
        if target != "" and target != self.target:
            raise ValueError(
                f"found target '{target}'; wanted '{self.target}', the only one that this network makes. "
                "Set `target` to it, or load the weights of the other."
            )
        if image.shape[1] != self.num_sources:
            raise ValueError(
                f"found an image of {image.shape[1]} channels; wanted {self.num_sources}, one for each source. "
                "Stack the sources in the order of `sources`."
            )
        if noisy is None:
            noisy = torch.zeros_like(image[:, :1])
        if timesteps is None:
            timesteps = torch.full((image.shape[0],), self.num_timesteps - 1, dtype=torch.long, device=image.device)
        if latent is None:
            latent = torch.zeros(image.shape[0], self.latent_dim, dtype=image.dtype, device=image.device)
        first = self.specific(noisy, image, timesteps, latent)
        second = self.aware(noisy, image, timesteps, latent, first)
        return torch.cat([first, second], dim=1) if separate else (first + second) / 2


class Stem(nn.Module):
    """Two 3 × 3 convolutions with a plain group norm between them.

    Args:
        channels: of the features made from one image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = group_count(channels)
        self.conv1, self.conv2 = convolution(1, channels), convolution(channels, channels)

    def forward(self, image: Tensor) -> Tensor:
        """Read ``image``, (B, 1, H, W), as (B, channels, H, W)."""
        hidden = self.conv1(image)
        normed = F.group_norm(hidden.float(), self.groups, eps=1e-6).to(hidden.dtype)
        features: Tensor = self.conv2(F.silu(normed))
        return features


class GuessStem(nn.Module):
    """A stem whose features are averaged over the image and turned into a style.

    Args:
        channels: of the features.
        style_dim: of the style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.stem = Stem(channels)
        self.fc = nn.Linear(channels, style_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Read ``image``, (B, 1, H, W), as a style, (B, style_dim)."""
        style: Tensor = self.fc(self.stem(image).mean(dim=(2, 3)))
        return style


class StyledStem(nn.Module):
    """Two 3 × 3 convolutions with a group norm between them that a style steers.

    Args:
        channels: of the features made from one image.
        style_dim: of the style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = convolution(1, channels), convolution(channels, channels)
        self.norm = AdaptiveGroupNorm(channels, style_dim)

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        """Read ``image``, (B, 1, H, W), by ``style``, (B, style_dim), as (B, channels, H, W)."""
        features: Tensor = self.conv2(F.silu(self.norm(self.conv1(image), style)))
        return features


class GatedFusion(nn.Module):
    """Fuse the features of two sources by gates that see those of all sources.

    Args:
        num_sources: sources that the gates see.
        channels: of the features of each.
        first, second: the two, counted from 0.
    """

    def __init__(self, num_sources: int, channels: int, first: int, second: int) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.gate1 = convolution(num_sources * channels, channels)
        self.gate2 = convolution(num_sources * channels, channels)
        self.blend = convolution(channels, channels)

    def forward(self, features: list[Tensor], everything: Tensor) -> Tensor:
        """Fuse two of ``features``, (B, channels, H, W) each, by ``everything``, all of them side by side."""
        blended = self.blend(torch.sigmoid(self.gate1(everything)) * features[self.first])
        return torch.lerp(features[self.second], blended, torch.sigmoid(self.gate2(everything)))


def ring(count: int) -> list[tuple[int, int]]:
    """Pairs of neighbours among ``count`` sources: a ring of three or more, one pair of two, none of one."""
    return [(index, (index + 1) % count) for index in range(count if count > 2 else count - 1)]


def _check_sources(count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"found num_sources={count!r}; wanted an integer of 1 or more. Count the sources.")


def _check_stems(sources: Sequence[str], **denoisers: nn.Module) -> None:
    for name, denoiser in denoisers.items():
        stems = len(getattr(denoiser, "source_stems", sources))
        if stems != len(sources):
            raise InputError(
                "MutualDenoisers",
                found=f"{len(sources)} sources, {', '.join(sources)}, and `{name}` with stems for {stems}",
                wanted="as many sources as stems",
                remedy="give `sources`, or `orders` and `target`, as in the training that made the weights",
            )
