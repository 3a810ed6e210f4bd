"""From a drawn figure to bytes on disk: PNG pictures and GIF films. Stage: figures."""

from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from jaxtyping import Int32, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from timelapse.figures import style

Frame = UInt8[np.ndarray, "height width 3"]
Packed = Int32[np.ndarray, "height width"]
Palette = UInt8[np.ndarray, "color 3"]

SECONDS_PER_FRAME = 0.35
HOLD = 1.5

COLORS = 256
EXACT = 208
"""Colours of the palette that are taken as they are."""
SAMPLED = 2
"""The palette looks at every second pixel across and down."""


def pixels(figure: Figure) -> Frame:
    """Render a figure as red, green and blue."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def write_png(frame: Frame, path: Path) -> None:
    """Write a picture; the same picture gives the same bytes."""
    Image.fromarray(frame).save(path, dpi=(style.DPI, style.DPI))


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
    packed = [_pack(frame) for frame in frames]
    palette = _palette(packed)
    nearest = _nearest(packed, palette)
    times = [*[1000 * seconds_per_frame] * (len(frames) - 1), 1000 * hold]
    imageio.imwrite(
        path,
        [nearest[colors] for colors in packed],
        plugin="pillow",
        extension=".gif",
        mode="L",
        is_batch=True,
        palette=palette.tobytes(),
        duration=times if len(frames) > 1 else times[0],
        loop=0,
    )


def _pack(frame: Frame) -> Packed:
    """Every pixel as one number, 0xRRGGBB."""
    red, green, blue = np.moveaxis(frame.astype(np.int32), -1, 0)
    return (red << 16) | (green << 8) | blue


def _unpack(colors: Int32[np.ndarray, "color"]) -> Palette:
    return np.stack([colors >> 16, colors >> 8, colors], axis=-1).astype(np.uint8)


def _palette(packed: Sequence[Packed]) -> Palette:
    """At most 256 colours for all frames: the commonest exactly, the others by median cut."""
    sample = np.concatenate([colors[::SAMPLED, ::SAMPLED].ravel() for colors in packed])
    colors, counts = np.unique(sample, return_counts=True)
    common = np.argsort(-counts, kind="stable")
    if len(colors) <= COLORS:
        return _unpack(colors)
    exact = colors[common[:EXACT]]
    rest = _unpack(sample[~np.isin(sample, exact)])
    image = Image.fromarray(rest[None]).quantize(COLORS - EXACT, Image.Quantize.MEDIANCUT)
    cut = np.frombuffer(bytes(image.getpalette("RGB") or ()), np.uint8).reshape(-1, 3)
    return np.unique(np.concatenate([_unpack(exact), cut]), axis=0)


def _nearest(packed: Sequence[Packed], palette: Palette) -> UInt8[np.ndarray, "16777216"]:
    """The palette's index for every colour that a frame has."""
    seen = np.zeros(1 << 24, dtype=bool)
    for colors in packed:
        seen[colors] = True
    found = np.flatnonzero(seen).astype(np.int32)
    true, offered = _unpack(found).astype(np.float32), palette.astype(np.float32)
    distance = (offered**2).sum(axis=1) - 2 * true @ offered.T
    index = np.zeros(1 << 24, dtype=np.uint8)
    index[found] = distance.argmin(axis=1)
    return index
