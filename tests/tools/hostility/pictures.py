"""Writers of pictures and arrays that trust their caller: sizes that are said need not be those that are there."""

import io
import struct
import zipfile
import zlib

import numpy as np


def chunk(kind: bytes, data: bytes, crc=None) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def raw_zeros(count: int) -> bytes:
    """Deflate's stream of so many zeros, at once: blocks that end with a full flush may be repeated."""
    size = 1 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    return block * (count // size) + rest.compress(bytes(count % size)) + rest.flush()


def zeros(count: int) -> bytes:
    """The same as zlib's stream; Adler's sums of zeros are 1 and their number."""
    return b"\x78\xda" + raw_zeros(count) + struct.pack(">I", count % 65521 << 16 | 1)


def png(width, height, bits=8, color=2, pixels=None, before=b"", after=b"", interlace=0) -> bytes:
    """pixels: bytes of rows with their filter byte, compressed here; None: black, which costs little whatever the size."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 3)
    if pixels is None:
        packed = zeros(height * (1 + (width * bits * channels + 7) // 8))
    else:
        packed = zlib.compress(pixels)
    palette = chunk(b"PLTE", bytes(6)) if color == 3 else b""
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + palette + chunk(b"IDAT", packed) + after + chunk(b"IEND", b"")


def png_header(width, height, bits=8, color=2, interlace=0, data=b"") -> bytes:
    """A header that promises pixels that do not come."""
    return png(width, height, bits, color, data, interlace=interlace)


def png_of(array) -> bytes:
    """[H, W] or [H, W, 3] of uint8 or uint16."""
    array = np.asarray(array)
    bits = 8 * array.dtype.itemsize
    rows = array.astype(array.dtype.newbyteorder(">")).reshape(array.shape[0], -1)
    return png(array.shape[1], array.shape[0], bits, 0 if array.ndim == 2 else 2, b"".join(b"\0" + row.tobytes() for row in rows))


def photo(seed=0, size=64) -> np.ndarray:
    """A picture with something on it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre = rng.uniform(0.3, 0.7, 2) * size
    inside = np.hypot(y - centre[0], x - centre[1]) < rng.uniform(0.15, 0.3) * size
    picture = rng.integers(90, 140, (size, size, 3))
    picture[inside] = rng.integers(0, 256, 3)
    return picture.astype(np.uint8)


def bmp(width, height, bits=24, pixels=None, offset=54, header=40, compression=0, colors=0) -> bytes:
    stride = (abs(width) * bits + 31) // 32 * 4
    body = bytes(min(stride * abs(height), 1 << 20)) if pixels is None else pixels
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, offset & 0xFFFFFFFF) + struct.pack(
        "<IiiHHIIiiII", header, width, height, 1, bits, compression, 0, 2835, 2835, colors, 0) + body


def bmp_of(array) -> bytes:
    return bmp(array.shape[1], array.shape[0], 24, np.ascontiguousarray(array[::-1, :, ::-1]).tobytes())


def pnm(kind, width, height, most=255, body=b"") -> bytes:
    line = f"P{kind}\n{width} {height}\n" + ("" if kind in (1, 4) else f"{most}\n")
    return line.encode() + body


def pnm_of(array) -> bytes:
    return pnm(6 if array.ndim == 3 else 5, array.shape[1], array.shape[0], 255, array.tobytes())


def tiff(width, height, bits=8, samples=3, form=1, compression=1, data=None, rows=None, more=(), tiles=None,
        photometric=None) -> bytes:
    """form: 1 unsigned, 2 signed, 3 floating point; compression: 1 none, 5 LZW, 8 deflate; more: (tag, type, count, value)."""
    body = bytes(min(width * height * samples * bits // 8, 1 << 20)) if data is None else data
    if compression == 8 and data is None:
        body = zlib.compress(body)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression),
            (262, 3, 1, photometric if photometric is not None else 2 if samples == 3 else 1), (277, 3, 1, samples),
            (284, 3, 1, 1), (339, 3, 1, form)]
    if tiles:
        tags += [(322, 4, 1, tiles[0]), (323, 4, 1, tiles[1]), (324, 4, 1, 8), (325, 4, 1, len(body))]
    else:
        tags += [(273, 4, 1, 8), (278, 4, 1, height if rows is None else rows), (279, 4, 1, len(body))]
    replaced = {t[0] for t in more}
    tags = sorted([t for t in tags if t[0] not in replaced] + list(more))
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHI", tag, kind, count & 0xFFFFFFFF) + (struct.pack("<HH", value, 0) if kind == 3 and count == 1
        else struct.pack("<I", value & 0xFFFFFFFF))
        for tag, kind, count, value in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory


def tiff_of(array, compression=1) -> bytes:
    form = 3 if array.dtype.kind == "f" else 1
    body = np.ascontiguousarray(array).tobytes()
    return tiff(array.shape[1], array.shape[0], 8 * array.dtype.itemsize, 1 if array.ndim == 2 else array.shape[2], form,
        compression,
                zlib.compress(body) if compression == 8 else body)


def jpeg(width, height, blocks=None, components=1) -> bytes:
    """Gray of one shade: two bits a block, so that any size costs little; blocks: how many there are instead of all."""
    def segment(mark, data):
        return bytes([0xFF, mark]) + struct.pack(">H", len(data) + 2) + data

    count = -(-width // 8) * -(-height // 8) * components if blocks is None else blocks
    parts = b"".join(bytes([k + 1, 0x11, 0]) for k in range(components))
    tables = segment(0xC4, bytes([0]) + bytes([1] + [0] * 15) + b"\0") + segment(0xC4,
        bytes([0x10]) + bytes([1] + [0] * 15) + b"\0")
    scan = segment(0xDA, bytes([components]) + b"".join(bytes([k + 1, 0]) for k in range(components)) + bytes([0, 63, 0]))
    return (b"\xff\xd8" + segment(0xDB, bytes([0]) + bytes([8] * 64)) + segment(0xC0,
        struct.pack(">BHHB", 8, height, width, components) + parts) +
            tables + scan + bytes(-(-2 * count // 8)) + b"\xff\xd9")


def exif(orientation, count=1, tag=0x0112, kind=3) -> bytes:
    body = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", tag, kind, count, orientation & 0xFFFF, 0) + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


class Bits:
    def __init__(self):
        self.value = self.count = 0

    def put(self, value, count):
        self.value |= value << self.count
        self.count += count
        return self

    def bytes(self):
        return self.value.to_bytes(-(-self.count // 8), "little")


def webp(width, height) -> bytes:
    """One colour, lossless: thirty bytes for any size up to 16384 x 16384."""
    bits = Bits().put(0x2F, 8).put(width - 1, 14).put(height - 1, 14).put(0, 1).put(0, 3).put(0, 1).put(0, 1).put(0, 1)
    for symbol in (90, 120, 60, 255, 0):
        bits.put(1, 1).put(0, 1).put(1, 1).put(symbol, 8) if symbol else bits.put(1, 1).put(0, 1).put(0, 1).put(0, 1)
    data = bits.bytes() + bytes(4)
    data += bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def gif(width, height) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + b"," + struct.pack("<HHHHB", 0, 0, width,
        height, 0) + b"\x02\x02\x44\x01\x00;"


def npy(array=None, header=None, version=1, body=None, length=None) -> bytes:
    """Of an array; header: the text of the dictionary instead of what fits; length: what is said of its length."""
    if array is not None:
        array = np.asarray(array)
        header = header or f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}, }}"
        body = array.tobytes() if body is None else body
    text = header if isinstance(header, bytes) else header.encode("latin1")
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", (len(text) if length is None else length) & (0xFFFF if version == 1
        else 0xFFFFFFFF))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + (body or b"")


def npz(members: dict, compressed=True) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


assert zlib.decompress(zeros(3_000_001)) == bytes(3_000_001)
