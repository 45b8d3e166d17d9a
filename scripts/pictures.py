"""Small pictures of pages: a screenshot in its 256 most frequent colours, which looks like the original."""

import base64
import struct
import zlib

from playwright.sync_api import Page

# The browser itself reads the picture and finds its colours; what it answers are width, height, palette and pixels.
_COLOURS = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (char) => char.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = image;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  const often = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    often.set(colour, (often.get(colour) ?? 0) + 1);
  }
  const palette = [...often].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => colour);
  const far = (a, b) => [16, 8, 0].reduce((sum, bits) => sum + (((a >> bits) & 255) - ((b >> bits) & 255)) ** 2, 0);
  const place = new Map(palette.map((colour, at) => [colour, at]));
  for (const colour of often.keys()) {
    if (place.has(colour)) continue;
    let best = 0;
    palette.forEach((other, at) => (best = far(colour, other) < far(colour, palette[best]) ? at : best));
    place.set(colour, best);
  }
  let pixels = "";
  for (let at = 0; at < data.length; at += 4)
    pixels += String.fromCharCode(place.get((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]));
  return { width, height, palette, pixels: btoa(pixels) };
}"""


def small(page: Page, png: bytes) -> bytes:
    """Return the same picture with a palette. `page` must not forbid scripts: about:blank, for example."""
    picture = page.evaluate(_COLOURS, base64.b64encode(png).decode())
    width, height, pixels = picture["width"], picture["height"], base64.b64decode(picture["pixels"])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    palette = b"".join(colour.to_bytes(3, "big") for colour in picture["palette"])
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, data) for kind, data in parts)


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
