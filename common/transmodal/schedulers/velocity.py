"""Networks that predict velocity instead of noise, behind the same call.

Source: T. Salimans, J. Ho, Progressive distillation for fast sampling of diffusion models, ICLR 2022, arXiv:2202.00512,
appendix D. With x_t = √ᾱ x_0 + √(1 - ᾱ) ε:

1. velocity    v = √ᾱ ε - √(1 - ᾱ) x_0
2. noise       ε = √ᾱ v + √(1 - ᾱ) x_t

Where little but noise is left, the noise can be read off x_t, and a network that predicts it is hardly asked what the
image is; there v is -x_0, which only the condition tells. So a short training learns to use the condition.
"""

import torch
from torch import Tensor, nn

from transmodal.schedulers.gaussian import BetaDiffusion

__all__ = ["VelocityNet", "VelocityWeight"]


class VelocityNet(nn.Module):
    """Wraps a network that predicts velocity, and answers with the noise.

    Its weights are told from those of a network that predicts noise by their names, which begin with ``network.``.

    Args:
        network: called as ``network(image, noisy, timesteps)``, such as ``SUNet``, and with ``drop`` as a fourth
            argument where that is given.
        diffusion: schedule that it is trained with.
    """

    signal: Tensor
    noise: Tensor

    def __init__(self, network: nn.Module, diffusion: BetaDiffusion) -> None:
        super().__init__()
        self.network = network
        sizes = ("spatial_dims", "in_channels", "out_channels")
        self.spatial_dims, self.in_channels, self.out_channels = (int(getattr(network, name)) for name in sizes)
        self.register_buffer("signal", diffusion.alphas_cumprod.sqrt().float(), persistent=False)
        self.register_buffer("noise", (1 - diffusion.alphas_cumprod).sqrt().float(), persistent=False)

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor, drop: Tensor | None = None) -> Tensor:
        """The noise in ``noisy``, by equation 2.

        Args:
            image: the condition; unless the network is scripted, whatever it takes, such as a tuple of tensors.
            noisy: x_t, (B, C, *S).
            timesteps: t, (B,).
            drop: samples whose condition is withheld, (B,), true or false; for networks that can do without.
        Returns:
            ε, (B, C, *S), float32.
        """
        if torch.jit.is_scripting() or drop is None:  # type: ignore[attr-defined]
            velocity = self.network(image, noisy, timesteps).float()
        else:
            velocity = self.network(image, noisy, timesteps, drop).float()
        shape = [-1] + [1] * (noisy.ndim - 1)
        signal, noise = self.signal[timesteps].reshape(shape), self.noise[timesteps].reshape(shape)
        noise_pred: Tensor = signal * velocity + noise * noisy.float()
        return noise_pred


class VelocityWeight:
    """1 / √ᾱ_t, by which an error of the noise becomes that of the velocity.

    Args:
        diffusion: schedule of the training.
    """

    def __init__(self, diffusion: BetaDiffusion) -> None:
        self.factors = diffusion.alphas_cumprod.rsqrt().float()

    def __call__(self, timesteps: Tensor) -> Tensor:
        """The weights at ``timesteps`` (B,), on their device."""
        return self.factors.to(timesteps.device)[timesteps]
