"""Moving previews of generated CTs, marked as synthetic: a GIF, and an MP4 where ffmpeg is installed."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.transforms import Orientation
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from transmodal.errors import InputError
from transmodal.files import write_atomically
from transmodal.handlers.slice_view import PLANES
from xray2ctpa_bundle.outputs import outputs_of

__all__ = ["MARK", "PreviewWriter", "preview_frames"]

logger = logging.getLogger(__name__)

MARK = "synthetic – not for diagnosis"
BAR = 14  # pixels that the mark takes
SMALLEST = 64  # pixels; both pictures side by side are then as wide as the mark

Window = tuple[float, float]


class PreviewWriter:
    """Writes ``<case>/preview.gif`` for each case of an evaluator: the axial slices from the feet to the head.

    The radiograph stands beside them, with a line at the height of the slice. Everything is marked as synthetic inside
    the picture. A preview is for looking only: 8 bits of a window of HU.

    Args:
        output_dir: root of the results.
        window: lowest and highest HU shown; the default suits vessels with contrast agent.
        name: of the files, without extension.
        pixels: height of the picture, even.
        milliseconds: that each slice is shown.
        video: write an MP4 as well where the program ffmpeg is on the path.
    Raises:
        InputError: for arguments that cannot be meant.
    """

    def __init__(
        self,
        output_dir: str | Path,
        window: Sequence[float] = (-250.0, 450.0),
        name: str = "preview",
        pixels: int = 256,
        milliseconds: int = 120,
        video: bool = False,
    ) -> None:
        self.output_dir, self.name = Path(output_dir), name
        if not float(window[0]) < float(window[1]):
            raise _refused("window", window, "lowest and highest HU", "write [-250, 450]")
        self.window = float(window[0]), float(window[1])
        if not _whole(pixels) or pixels < SMALLEST or pixels % 2:
            raise _refused("pixels", pixels, f"an even number from {SMALLEST} on", "write 256")
        if not _whole(milliseconds) or milliseconds < 20:
            raise _refused("milliseconds", milliseconds, "a whole number from 20 on", "write 120")
        if not isinstance(video, bool):
            raise _refused("video", video, "true or false", "in JSON write true; on a command line True")
        self.pixels, self.milliseconds, self.video = pixels, milliseconds, video

    def attach(self, engine: Engine) -> None:
        """Write after each iteration."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._write)

    def _write(self, engine: Engine) -> None:
        for output in outputs_of(engine):
            frames = preview_frames(output.pred, output.affine, output.radiograph, self.window, self.pixels)
            path = self.output_dir / output.case / f"{self.name}.gif"
            write_atomically(path, lambda place, frames=frames: self._write_gif(place, frames))  # type: ignore[misc]
            if self.video:
                self._write_video(path.with_suffix(".mp4"), frames)

    def _write_gif(self, path: Path, frames: Sequence[Image.Image]) -> None:
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=self.milliseconds,
            loop=0,
            comment=MARK.encode(),
        )

    def _write_video(self, path: Path, frames: Sequence[Image.Image]) -> None:
        """Hand the frames to ffmpeg; without it, or where it fails, the GIF has to do."""
        program = shutil.which("ffmpeg")
        if program is None:
            logger.info("no MP4 of the previews: the program ffmpeg is not on the path")
            return
        width, height = frames[0].size
        raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", f"{1000 / self.milliseconds:g}"]
        made = ["-pix_fmt", "yuv420p", "-metadata", f"comment={MARK}"]
        pixels = b"".join(frame.tobytes() for frame in frames)

        def encode(place: Path) -> None:
            command = [program, "-y", "-loglevel", "error", *raw, "-i", "-", *made, str(place)]
            subprocess.run(command, input=pixels, check=True, capture_output=True)

        try:
            write_atomically(path, encode)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()
            logger.warning("no %s of %s: ffmpeg says %r", path.name, path.parent.name, reason)


def preview_frames(
    volume: Tensor, affine: Tensor, radiograph: Tensor, window: Window, pixels: int = 256
) -> list[Image.Image]:
    """Radiograph and axial slice side by side, for each slice from the feet to the head, as 8-bit grey pictures.

    Args:
        volume: CT in HU, (1, F, H, W).
        affine: voxel indices to mm in RAS, (4, 4).
        radiograph: (1, S, S) in [-1, 1], as wide and as high as the volume is wide.
        window: lowest and highest HU shown.
        pixels: height of the picture; its width is even too, as films want it.
    """
    placed = MetaTensor(volume.float(), affine=affine)
    oriented = cast(MetaTensor, Orientation(axcodes="RAS", labels=None)(placed))
    right, front, up = (float(size) * count for size, count in zip(oriented.pixdim, oriented.shape[1:], strict=True))
    axial = PLANES["axial"]
    shown = np.flip(_grey(oriented.as_tensor()[0], window), axial.flipped)
    slices = shown.transpose(axial.normal, axial.rows, axial.columns)
    film = _resized(_grey(radiograph[0], (-1.0, 1.0)), pixels, pixels)
    width = 2 * round(pixels * right / front / 2)
    frames = []
    for number, image in enumerate(slices):
        frame = Image.new("L", (pixels + width, pixels))
        frame.paste(film)
        frame.paste(_resized(image, width, pixels), (pixels, 0))
        above = ((number + 0.5) / len(slices) - 0.5) * up
        frames.append(_marked(frame, pixels, row=round((0.5 - above / right) * pixels)))
    return frames


def _marked(frame: Image.Image, width: int, row: int) -> Image.Image:
    """Draw the height of the slice on the radiograph, and the mark on the bottom right."""
    draw, font, mark = ImageDraw.Draw(frame), ImageFont.load_default(), MARK.replace("–", "-")
    draw.line([(0, row), (width // 16, row)], fill=255)
    draw.line([(width - width // 16, row), (width - 1, row)], fill=255)
    place = frame.width - draw.textlength(mark, font=font) - 4
    draw.rectangle([(place - 4, frame.height - BAR), frame.size], fill=0)
    draw.text((place, frame.height - BAR + 1), mark, fill=255, font=font)
    return frame


def _grey(values: Tensor, window: Window) -> NDArray[np.uint8]:
    low, high = window
    share = ((values.detach().cpu().float() - low) / (high - low)).clamp(0, 1)
    grey: NDArray[np.uint8] = (255 * share).round().to(torch.uint8).numpy()
    return grey


def _resized(image: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refused(name: str, value: object, wanted: str, remedy: str) -> InputError:
    return InputError(f"PreviewWriter, {name}", found=repr(value), wanted=wanted, remedy=remedy)
