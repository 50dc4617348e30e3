"""The three networks of MD-DGA as the one network that inference needs, and the scale of its latents."""

import torch
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.networks import LatentScale


class MDDGA(nn.Module):
    """The autoencoder, the slice net, the volume net and the scale of the latents, in one state dict.

    Args:
        autoencoder: makes latents of ``autoencoder.embedding_dim`` channels, E, and images of them.
        slices: predicts the noise of a slice, ``(image, noisy, timesteps) -> noise``, such as ``SUNet``.
        volume: predicts the noise of latents in the same way; one of the E channels at a time if its
            ``out_channels`` are 1, or all of them at once if they are E.
        num_timesteps: diffusion steps T that both are trained for.
    Attributes:
        scale: a :class:`LatentScale` of E channels.
        joint: whether the volume net takes all channels at once.
        stages: children that a stage of their own trains, before the volume net.
    Raises:
        InputError: if ``volume`` predicts any other number of channels.
    """

    stages = ("autoencoder", "slices")

    def __init__(self, autoencoder: nn.Module, slices: nn.Module, volume: nn.Module, num_timesteps: int = 1000) -> None:
        super().__init__()
        latent_channels, volume_channels = int(autoencoder.embedding_dim), int(volume.out_channels)
        if volume_channels not in (1, latent_channels):
            raise InputError(
                "MDDGA, volume",
                found=f"a network that predicts {volume_channels} channels",
                wanted=f"1 or all {latent_channels} channels of the latents",
                remedy="set `out_channels`, `in_channels` and `condition_channels` of the volume net to 1 or to the "
                "`embedding_dim` of the autoencoder",
            )
        self.autoencoder, self.slices, self.volume = autoencoder, slices, volume
        self.scale = LatentScale(latent_channels)
        self.joint = volume_channels == latent_channels
        self.num_timesteps = num_timesteps

    def forward(
        self,
        image: Tensor,
        noisy: Tensor | None = None,
        timesteps: Tensor | None = None,
        stage: str = "slices",
    ) -> Tensor:
        """Predict the noise of one step of the reverse chain.

        What is left out takes the value at which a chain starts, without its randomness.

        Args:
            image: the condition: slices (B, 1, H, W) in [-1, 1], or for the volume net normalised latents
                (B, C, D, H, W), where C is E if ``joint`` and 1 otherwise.
            noisy: x_t, as ``image``; by default 0, the mean of the noise.
            timesteps: t, (B,) integers in [0, T); by default T - 1, the first step.
            stage: which net predicts, ``slices`` or ``volume``.
        Returns:
            The noise, as ``image``.
        Raises:
            ValueError: for another ``stage``.
        """
        if noisy is None:
            noisy = torch.zeros_like(image)
        if timesteps is None:
            timesteps = torch.full((image.shape[0],), self.num_timesteps - 1, dtype=torch.long, device=image.device)
        if stage == "slices":
            return self.slices(image, noisy, timesteps)
        if stage == "volume":
            return self.volume(image, noisy, timesteps)
        raise ValueError(f"found stage '{stage}'; wanted 'slices' or 'volume'. Set `stage` to the net that predicts.")
