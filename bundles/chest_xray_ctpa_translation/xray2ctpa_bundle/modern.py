"""A denoiser that looks at the radiograph patch by patch: MONAI's diffusion U-Net with cross-attention.

The published network is told one vector about the whole radiograph, which has no place. Here each voxel of the coarse
levels asks the patches (Rombach et al., Latent Diffusion, 2022), and with ``plane_channels`` the picture also stands
where its rays passed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import DiffusionModelUNet
from torch import Tensor, nn

from transmodal.errors import InputError
from xray2ctpa_bundle.backprojection import BackProjection
from xray2ctpa_bundle.conditioning import Condition


class CrossAttentionUNet(nn.Module):
    """Predict noise, or velocity, from noisy latents, their time step and the patches of the radiograph.

    Args:
        channels: of the latents, C.
        num_channels: width of each level, the finest first.
        attention: whether each level attends to itself and to the patches; the middle always does.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        num_head_channels: of each head of every attention.
        transformer_layers: of every attention.
        token_dim: of the tokens of the radiograph.
        norm_groups: of every group normalisation, a divisor of every width.
        plane_channels: of the features of the radiograph that are laid into the volume; 0 for none.
        coverage: extent of the volume from feet to head, as a share of that of the radiograph.
    Raises:
        InputError: if the levels are not one width and one flag each, or a width does not fit groups or heads.
    """

    def __init__(
        self,
        channels: int = 4,
        num_channels: Sequence[int] = (64, 128, 256),
        attention: Sequence[bool] = (False, False, True),
        num_res_blocks: int = 2,
        num_head_channels: int = 32,
        transformer_layers: int = 1,
        token_dim: int = 768,
        norm_groups: int = 32,
        plane_channels: int = 0,
        coverage: float = 320 / 384,
    ) -> None:
        super().__init__()
        _check(num_channels, attention, num_head_channels, norm_groups, plane_channels)
        self.spatial_dims, self.in_channels, self.out_channels = 3, channels, channels
        self.token_dim, self.plane_channels = token_dim, plane_channels
        self.multiple = 2 ** (len(num_channels) - 1)
        self.null_token = nn.Parameter(torch.randn(1, 1, token_dim))
        self.back_projection = BackProjection(plane_channels, coverage) if plane_channels > 0 else None
        self.unet = DiffusionModelUNet(
            spatial_dims=3,
            in_channels=channels + plane_channels,
            out_channels=channels,
            num_res_blocks=num_res_blocks,
            channels=num_channels,
            attention_levels=attention,
            norm_num_groups=norm_groups,
            num_head_channels=num_head_channels,
            with_conditioning=True,
            transformer_num_layers=transformer_layers,
            cross_attention_dim=token_dim,
            use_flash_attention=True,
        )

    def forward(self, condition: Condition, noisy: Tensor, timesteps: Tensor, drop: Tensor | None = None) -> Tensor:
        """Predict what the diffusion asks for.

        Args:
            condition: of the radiographs; its tokens are used, and its plane with ``plane_channels``.
            noisy: x_t, (B, C, F, H, W), which can be halved at each level but one.
            timesteps: t, (B,).
            drop: samples that see the learnt null condition instead of theirs, (B,) bool; where all tokens are one and
                the same, attention gives that one, so one is learnt for any number of patches.
        Returns:
            The shape and type of ``noisy``, unbounded.
        Raises:
            InputError: if F, H or W cannot be halved.
        """
        self._check_size(noisy)
        tokens = condition.tokens
        if drop is not None:
            tokens = torch.where(drop[:, None, None], self.null_token.to(tokens.dtype), tokens)
        if self.back_projection is not None:
            noisy = self.back_projection(noisy, condition.plane, drop)
        return self.unet(noisy, timesteps, context=tokens).to(noisy.dtype)

    def _check_size(self, noisy: Tensor) -> None:
        if any(size % self.multiple != 0 for size in noisy.shape[2:]):
            raise InputError(
                "CrossAttentionUNet, noisy",
                found=f"latents of {' × '.join(map(str, noisy.shape[2:]))}",
                wanted=f"multiples of {self.multiple}, so that each level but one halves them",
                remedy="choose another grid of the volumes, or fewer levels in `num_channels`",
            )


def _check(
    num_channels: Sequence[int],
    attention: Sequence[bool],
    num_head_channels: int,
    norm_groups: int,
    plane_channels: int,
) -> None:
    flags = not isinstance(attention, str) and all(isinstance(attends, bool) for attends in attention)
    if not flags or len(num_channels) == 0 or len(attention) != len(num_channels):
        raise InputError(
            "CrossAttentionUNet, num_channels and attention",
            found=f"levels of {list(num_channels)} channels and {attention!r}",
            wanted="as many flags, true or false, as levels, at least one",
            remedy="give each level a width and a flag",
        )
    if norm_groups < 1 or any(width < 1 or width % norm_groups != 0 for width in num_channels):
        raise InputError(
            "CrossAttentionUNet, norm_groups",
            found=f"{norm_groups} groups for {list(num_channels)} channels",
            wanted="a number that shares each of them out evenly",
            remedy="set norm_groups to a divisor of num_channels",
        )
    attending = [*(width for width, attends in zip(num_channels, attention, strict=True) if attends), num_channels[-1]]
    if num_head_channels < 1 or any(width % num_head_channels != 0 for width in attending) or plane_channels < 0:
        raise InputError(
            "CrossAttentionUNet",
            found=f"num_head_channels {num_head_channels} for levels of {attending} channels that attend, "
            f"plane_channels {plane_channels}",
            wanted="a divisor of each of them, and plane_channels of 0 or more",
            remedy="set num_head_channels to such a divisor, the coarsest level among them",
        )
