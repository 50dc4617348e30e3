"""What a whole volume costs: calls of each network, FLOPs and times, and from them minutes here and seconds on GPUs.

Nothing of this is the time of a translation: it is calls times the median of one call. On GPUs it is FLOPs over a share
of what the makers state for dense bfloat16 products, for no such device is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contestants import subject_of
from benchmarks.measuring import milliseconds
from benchmarks.reporting import aligned
from benchmarks.setting import Setting
from contract.bundle import Bundle

GPUS = {"NVIDIA A100": 312.0, "NVIDIA H100 SXM, H200": 989.0, "NVIDIA RTX 4090": 165.0}
"""Dense bfloat16 products of each, in 10¹² FLOPs a second, from the data sheets."""
SHARES = (0.1, 0.4)
"""Of that peak, assumed of such networks: few channels at full size are bound by memory, wide layers are not."""
DTYPES = ("float32", "bf16 autocast")
GRID = "grid"


@dataclass(frozen=True)
class Part:
    """One of the networks that a volume goes through.

    Args:
        name: which.
        calls: of one volume.
        gigaflop: of one call, in 10⁹; a product and its sum are two.
        milliseconds: of one call, by arithmetic.
    """

    name: str
    calls: int
    gigaflop: float
    milliseconds: Mapping[str, float]

    @property
    def teraflop(self) -> float:
        """Of all calls."""
        return self.calls * self.gigaflop / 1000

    def minutes(self, dtype: str) -> float:
        """All calls take."""
        return self.calls * self.milliseconds[dtype] / 60_000


def estimated(setting: Setting, slices: int, rows: Sequence[Mapping[str, Any]], repeats: int) -> dict[str, Any]:
    """Describe a volume's translation by MD-DGA or X-ray2CTPA.

    Args:
        setting: the bundle, its overlays, and the size of what the table is of.
        slices: of the volume; for X-ray2CTPA the latents of ``setting`` tell them.
        rows: of the network's table; the first is one by one in float32, of bfloat16 the fastest counts.
        repeats: timed calls of the other networks, in each arithmetic.
    Returns:
        For JSON: ``volume``, ``steps``, ``parts``, ``minutes`` by arithmetic, ``teraflop`` and ``gpus``.
    """
    per_call = {dtype: min(1000 / row["per_second"] for row in kind) for dtype, kind in _kinds(rows).items()}
    if subject_of(Bundle(setting.root).name).picture is not None:
        return of_radiograph(setting, per_call, repeats)
    return of_slices(setting, slices, per_call, repeats)


@torch.no_grad()
def of_radiograph(setting: Setting, per_call: Mapping[str, float], repeats: int) -> dict[str, Any]:
    """What a radiograph goes through: its encoder, then the denoiser in every step, then the decoder in chunks.

    Args:
        setting: the bundle, its overlays, and the size of the latents.
        per_call: time of the denoiser in ms, by arithmetic.
        repeats: timed calls of encoder and decoder, in each arithmetic.
    """
    factors = setting.content("autoencoder_def").factors
    volume = [length * factor for length, factor in zip(setting.resolution, factors, strict=True)]
    sized = replace(setting, ckpt_path=None, overrides=(*setting.overrides, (GRID, volume)))  # that file is of a part
    network, _ = sized.for_volumes()
    steps, guidance = int(setting.content("num_steps")), float(setting.content("guidance"))
    picture = setting.volume(1).to(setting.device)
    noisy = torch.randn(1, network.autoencoder.latent_channels, *setting.resolution, device=setting.device)
    chunk = getattr(network.autoencoder, "slices_at_once", None) or setting.resolution[0]
    condition, timesteps = network.condition(picture), torch.zeros(1, dtype=torch.long, device=setting.device)

    def denoiser_call() -> Tensor:
        return network.predict(condition, noisy, timesteps)

    def encoder_call() -> Tensor:
        return network.condition(picture)[0]

    def decoder_call() -> Tensor:
        return network.autoencoder.decode(noisy[:, :, :chunk])

    calls = steps * (2 if guidance not in (0, 1) else 1)  # with guidance each step is taken without condition too
    parts = [
        Part("denoiser", calls, counted(denoiser_call), per_call),
        measured("encoder of the radiograph", 1, encoder_call, repeats, setting.device),
        measured("decoder", -(-setting.resolution[0] // chunk), decoder_call, min(repeats, 2), setting.device),
    ]
    return described(parts, volume, steps)


def of_slices(setting: Setting, slices: int, per_slice: Mapping[str, float], repeats: int) -> dict[str, Any]:
    """What a volume goes through in MD-DGA: the slice net in every step, then the latent net, then the autoencoder.

    Args:
        setting: the bundle, its overlays, and the size of a slice.
        slices: of the volume.
        per_slice: time of the slice net in ms, by arithmetic.
        repeats: timed calls of the other two networks, in each arithmetic.
    """
    steps = int(setting.content("num_steps"))
    network, _ = replace(setting, ckpt_path=None).for_volumes()  # that file is of the slice net
    volume = setting.volume(slices).clamp(-1, 1).to(setting.device)
    latents = network.autoencoder.embedding_dim
    together = latents if network.joint else 1
    size = [-(-length // network.autoencoder.downsampling) for length in volume.shape[2:]]
    axis = subject_of(Bundle(setting.root).name).slice_axis
    timesteps = torch.zeros(1, dtype=torch.long, device=setting.device)

    def slice_call() -> Tensor:
        one = volume.select(axis + 2, 0)
        return network.slices(one, torch.randn_like(one), timesteps)

    def latent_call() -> Tensor:
        one = torch.randn(1, together, *size, device=setting.device)
        return network.volume(one, torch.randn_like(one), timesteps)

    def reconstruction() -> Tensor:
        return _reconstruct(setting)(volume, network.autoencoder)

    parts = [
        Part("slice net", steps * slices, counted(slice_call), per_slice),
        measured("latent net", steps * latents // together, latent_call, repeats, setting.device),
        measured("autoencoder, there and back", 1, reconstruction, min(repeats, 2), setting.device),
    ]
    return described(parts, list(volume.shape[2:]), steps)


def described(parts: Sequence[Part], volume: Sequence[int], steps: int) -> dict[str, Any]:
    """Sum the parts up, for JSON."""
    teraflop = sum(part.teraflop for part in parts)
    return {
        "volume": list(volume),
        "steps": steps,
        "parts": [
            {"name": part.name, "calls": part.calls, "gigaflop": part.gigaflop, "ms": dict(part.milliseconds)}
            for part in parts
        ],
        "minutes": {dtype: sum(part.minutes(dtype) for part in parts) for dtype in DTYPES},
        "teraflop": teraflop,
        "gpus": [
            {"name": name, "peak_teraflops": peak, "shares": SHARES, "seconds": [teraflop / peak / s for s in SHARES]}
            for name, peak in GPUS.items()
        ],
    }


def estimate_table(estimate: Mapping[str, Any]) -> str:
    """A row for each part and their sum, and a line for each GPU."""
    header = [
        "part",
        "calls",
        "GFLOP each",
        "TFLOP",
        *(f"{unit}, {dtype}" for dtype in DTYPES for unit in ("ms", "min")),
    ]
    parts = [Part(each["name"], each["calls"], each["gigaflop"], each["ms"]) for each in estimate["parts"]]
    rows = [
        [part.name, str(part.calls), f"{part.gigaflop:.1f}", f"{part.teraflop:.1f}"]
        + [text for dtype in DTYPES for text in (f"{part.milliseconds[dtype]:.0f}", f"{part.minutes(dtype):.1f}")]
        for part in parts
    ]
    total = ["all", "", "", f"{estimate['teraflop']:.1f}"]
    total += [text for dtype in DTYPES for text in ("", f"{estimate['minutes'][dtype]:.1f}")]
    size = "×".join(map(str, estimate["volume"]))
    low, high = (f"{share:.0%}" for share in SHARES)
    return "\n".join(
        [
            f"a volume of {size} in {estimate['steps']} steps, estimated from medians of single calls, not translated:",
            aligned([header, *rows, total]),
            f"{parts[0].name} in float32: one by one, as in the first row; in bf16: as in the fastest row.",
            f"on GPUs, by FLOPs alone, assuming {low} to {high} of the data sheet's bf16 peak; none was measured:",
            *(
                f"{gpu['name']} ({gpu['peak_teraflops']:.0f} TFLOP/s): {gpu['seconds'][1]:.1f} to "
                f"{gpu['seconds'][0]:.1f} s"
                for gpu in estimate["gpus"]
            ),
        ]
    )


@torch.no_grad()
def counted(run: Callable[[], Tensor]) -> float:
    """FLOPs of convolutions and products in one call, in 10⁹; attention by its products, which fused kernels hide."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


@torch.no_grad()
def measured(name: str, calls: int, run: Callable[[], Tensor], repeats: int, device: str) -> Part:
    """Count and time one call, in float32 and under autocast in turns; the first call of each is not timed."""
    gigaflop = counted(run)
    kind = torch.device(device)
    times: dict[str, list[float]] = {dtype: [] for dtype in DTYPES}
    for _ in range(repeats + 1):
        for dtype, taken in times.items():
            with torch.autocast(kind.type, dtype=torch.bfloat16, enabled=dtype != "float32"):
                taken.append(milliseconds(run, kind))
    return Part(name, calls, gigaflop, {dtype: median(taken[1:]) for dtype, taken in times.items()})


def _kinds(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    return {"float32": [rows[0]], "bf16 autocast": [row for row in rows if row["dtype"] == "bf16 autocast"]}


def _reconstruct(setting: Setting) -> Callable[..., Tensor]:
    """The bundle's own inferer of its autoencoder, in slabs as configured."""
    inferer = {"_target_": "mddga_bundle.inferer.Reconstruction", "slab": setting.content("slab")}
    with Bundle(setting.root).importable():
        found: Callable[..., Tensor] = ConfigParser({"it": inferer}).get_parsed_content("it")
    return found
