"""Axes that show themselves in a notebook with alternative text, and outside of pyplot."""

from __future__ import annotations

import base64
import html
import io
import struct
import zlib
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from aiinfra.show.style import DPI

SHOWN_DPI = 100  # pixels of a page for each inch of a figure


class HouseAxes(Axes):
    """Axes that carry their title, alternative text and source line, and show themselves."""

    title_text: str = ""
    alt: str = ""
    source_line: str = ""
    moving: tuple[Artist, ...] = ()  # what an explorer changes; the rest is drawn once and kept
    _still: tuple[float, Any] | None = None

    @property
    def whole(self) -> Any:
        """The figure that holds these axes."""
        return self.get_figure(root=True)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the drawing area in inches."""
        box, (width, height) = self.get_position(), self.whole.get_size_inches()
        return float(box.width * width), float(box.height * height)

    def png(self, dpi: float = DPI, compress_level: int = 9) -> bytes:
        """Draw the whole figure and return it as PNG bytes with the alternative text inside."""
        canvas = self.whole.canvas
        canvas.figure.set_dpi(dpi)
        canvas.draw()
        return encode(canvas.buffer_rgba(), self.alt, compress_level)

    def frame_png(self, dpi: float = 100) -> bytes:
        """Draw one frame of an explorer: only ``moving`` is drawn afresh, for speed."""
        if not self.moving:
            return self.png(dpi, compress_level=1)
        canvas = self.whole.canvas
        if self._still is None or self._still[0] != dpi:
            canvas.figure.set_dpi(dpi)
            for artist in self.moving:
                artist.set_animated(True)
            canvas.draw()
            self._still = (dpi, canvas.copy_from_bbox(canvas.figure.bbox))
            for artist in self.moving:
                artist.set_animated(False)
        canvas.figure.set_dpi(dpi)
        renderer = canvas.get_renderer()
        canvas.restore_region(self._still[1])
        for artist in sorted(self.moving, key=lambda a: a.get_zorder()):
            artist.draw(renderer)
        return encode(canvas.buffer_rgba(), self.alt, compress_level=1)

    def __repr__(self) -> str:
        return f"{self.alt} [{self.source_line}]" if self.alt else super().__repr__()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Offer HTML first: notebooks drop the alternative text of a bare PNG."""
        picture = self.png()
        shape = self.whole.get_size_inches()
        width, height = (round(side * SHOWN_DPI) for side in shape)
        bundle = {
            "text/html": img(picture, self.alt, shape),
            "image/png": base64.b64encode(picture).decode("ascii"),
            "text/plain": repr(self),
        }
        return bundle, {"image/png": {"alt": self.alt, "width": width, "height": height}}


def encode(pixels: Any, alt: str, compress_level: int) -> bytes:
    """Compress RGBA pixels to PNG without the alpha channel (the page is white)."""
    if compress_level == 1:
        return quick_png(np.asarray(pixels)[:, :, :3])
    out, info = io.BytesIO(), PngInfo()
    info.add_itxt("Description", alt)
    picture = Image.fromarray(np.asarray(pixels)[:, :, :3])
    # A file to keep: 256 colours are plenty and take a third of the room.
    picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(out, "png", compress_level=compress_level, pnginfo=info)
    return out.getvalue()


def quick_png(pixels: Any) -> bytes:
    """Write RGB pixels as PNG without row filters: four times as fast, and small for flat areas."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")]
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        parts += [struct.pack(">I", len(body)), name, body]
        parts.append(struct.pack(">I", zlib.crc32(name + body)))
    return b"".join(parts)


def img(picture: bytes, alt: str, inches: Any) -> str:
    """Return PNG bytes as an ``<img>`` that never grows beyond the page."""
    data = base64.b64encode(picture).decode("ascii")
    width, height = (round(float(side) * SHOWN_DPI) for side in inches)
    return (
        f'<img alt="{html.escape(alt, quote=True)}" width="{width}" height="{height}" '
        f'style="max-width:100%;height:auto" src="data:image/png;base64,{data}">'
    )
