"""From a drawn figure to bytes on disk: PNG pictures and GIF films."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from timelapse.figures import style

Frame = UInt8[np.ndarray, "height width 3"]

SECONDS_PER_FRAME = 0.35
HOLD = 1.5

_COMPRESSION = 3
"""Of PNG files: a third faster than the default level, and a twentieth larger."""

_SAMPLED = 4
"""The palette of a film is chosen from every fourth pixel across and down."""

_COARSE = 0xFC
"""Pillow finds a colour's place in a palette by the upper six bits of its channels."""


def agg_canvas(figure: Figure) -> FigureCanvasAgg:
    """The canvas that `style.new_figure` gave a figure."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    return canvas


def pixels(figure: Figure) -> Frame:
    """Render a figure as red, green and blue."""
    canvas = agg_canvas(figure)
    canvas.draw()
    return rendered(canvas)


def rendered(canvas: FigureCanvasAgg) -> Frame:
    """A copy of what a canvas shows, as red, green and blue."""
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def write_png(frame: Frame, path: Path) -> None:
    """Write a picture; the same picture gives the same bytes."""
    Image.fromarray(frame).save(
        path, "PNG", dpi=(style.DPI, style.DPI), compress_level=_COMPRESSION
    )


def write_gif(
    frames: Sequence[Frame],
    path: Path,
    seconds_per_frame: float = SECONDS_PER_FRAME,
    hold: float = HOLD,
) -> None:
    """Write a film that loops for ever and rests on its last frame.

    All frames share one palette and are not dithered, so that what stays the same does not flicker.

    Args:
        frames: pictures of one size.
        path: the film's file.
        seconds_per_frame: how long each frame is shown.
        hold: how long the last frame is shown, in seconds.
    """
    coarse = [Image.fromarray(frame & _COARSE) for frame in frames]
    sample = np.concatenate([frame[::_SAMPLED, ::_SAMPLED] for frame in frames])
    palette = Image.fromarray(sample & _COARSE).quantize(
        256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in coarse)
    colors = _mean_colors(sample, palette)
    for image in (first, *others):
        image.putpalette(colors)
    times = [*[1000 * seconds_per_frame] * len(others), 1000 * hold]
    first.save(
        path,
        "GIF",
        save_all=True,
        append_images=others,
        duration=times if others else times[0],
        loop=0,
    )


def _mean_colors(sample: Frame, palette: Image.Image) -> bytes:
    """What each entry of a palette is shown as: the mean of the colours that fall to it.

    Few pixels are nearly white and many are white, so that white stays white.
    """
    chosen = np.frombuffer(bytes(palette.getpalette("RGB") or ()), np.uint8).reshape(-1, 3)
    entries = Image.fromarray(sample & _COARSE).quantize(palette=palette, dither=Image.Dither.NONE)
    entry = np.asarray(entries).ravel()
    counts = np.bincount(entry, minlength=len(chosen))[:, None]
    sums = [
        np.bincount(entry, channel.ravel(), len(chosen)) for channel in np.moveaxis(sample, -1, 0)
    ]
    means = np.rint(np.stack(sums, axis=1) / np.maximum(counts, 1))
    return np.where(counts, means, chosen).astype(np.uint8).tobytes()
