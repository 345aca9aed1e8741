"""Hostile arrays, pictures, masks, settings and words."""

import functools
import os
import struct

import numpy as np

from . import pictures as p
from .case import ANY, BROKEN, FINE, REFUSED, USAGE, Case, hole
from .models import IN4
from .wire import model, node, tensor

NET = "{S}/shapes.onnx"
CONV = model([node("Conv", "x w", "t"), node("Flatten", "t", "y")], [tensor("w", np.ones((4, 4, 3, 3), np.float32))])
X = np.zeros((1, 3, 64, 64), np.float32)
TOP = (1 << 63) - 1


def arrays():
    """One file as input, named input, target, masks and relevance."""
    def header(shape="(1, 3, 64, 64)", descr="'<f4'", order="False", more=""):
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}"

    body = X.tobytes()
    deep = "(" * 30_000 + "1" + ")" * 30_000
    files = {
        "long_regex": p.npy(header="{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 21_000 + "), }",
        body=bytes(4)),
        "spaces": p.npy(header=header() + " " * 60_000, body=body),
        "quotes": p.npy(header="{" + "'a': 'b', " * 6000 + "}", body=body),
        "one_word": p.npy(header="{'descr': '" + "a" * 60_000 + "'}", body=body),
        "no_end": p.npy(header="{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1" * 60_000, body=body),
        "backslashes": p.npy(header="{'descr': '" + "\\'" * 30_000, body=body),
        "nested": p.npy(header=header(shape=deep), body=body, version=1),
        "long_v2": p.npy(header=header() + " " * 2_000_000, body=body, version=2),
        "digits_v2": p.npy(header=header(shape="(" + "9, " * 700_000 + ")"), body=body, version=2),
        "length_0": p.npy(header=header(), body=body, length=0), "length_max": p.npy(header=header(), body=body, length=0xFFFF),
        "length_v2": p.npy(header=header(), body=body, version=2, length=0xFFFFFFFF),
        "version_9": p.npy(header=header(), body=body, version=9),
        "shape_zero": p.npy(header=header("(0, 3, 64, 64)")), "shape_none": p.npy(header=header("()"), body=bytes(4)),
        "shape_minus": p.npy(header=header("(-1, 3, 64, 64)"), body=body),
        "shape_wrap": p.npy(header=header("(4294967296, 4294967296, 3, 64)"), body=body),
        "shape_wrap2": p.npy(header=header("(4611686018427387904, 4, 1, 1)"), body=body),
        "shape_top": p.npy(header=header(f"({TOP},)"), body=body),
        "shape_huge": p.npy(header=header("(99999999999999999999999, 1)"), body=body),
        "shape_60GB": p.npy(header=header("(5000000, 3, 64, 64)"), body=body),
        "shape_word": p.npy(header=header("(one, two)"), body=body), "shape_float": p.npy(header=header("(1.0, 3, 64, 64)"),
        body=body), "shape_L": p.npy(header=header("(1L, 3L, 64L, 64L)"), body=body),
        "shape_axes": p.npy(header=header("(" + "1, " * 100 + ")"), body=bytes(4)),
        "short": p.npy(header=header(), body=body[:-1]), "none": p.npy(header=header()),
        "longer": p.npy(header=header(), body=body + b"1"),
        "object": p.npy(header=header(descr="'|O'"), body=b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR."),
        "record": p.npy(header=header(descr="[('a', '<f4'), ('b', '<f4')]"), body=body),
        "text": p.npy(header=header(descr="'<U4'"), body=body * 4), "complex": p.npy(header=header(descr="'<c8'"), body=body * 2),
        "void": p.npy(header=header(descr="'|V0'"), body=body), "f0": p.npy(header=header(descr="'<f0'"), body=body),
        "f2000": p.npy(header=header(descr="'<f2000'"), body=body), "f16": p.npy(header=header(descr="'<f16'"), body=body * 4),
        "big": p.npy(header=header(descr="'>f4'"), body=body), "datetime": p.npy(header=header(descr="'<M8[ns]'"), body=body * 2),
        "fortran": p.npy(header=header(order="True"), body=body), "order": p.npy(header=header(order="Perhaps"), body=body),
        "twice": p.npy(header=header(more="'shape': (9,), "), body=body),
        "control": p.npy(header=header(descr="'\x1b[31m\n'"), body=body),
        "keys": p.npy(header="{}", body=body), "list": p.npy(header="[1, 2]", body=body),
        "empty_header": p.npy(header="", body=body),
        "nan": p.npy(np.full((1, 3, 64, 64), np.nan, np.float32)), "infinite": p.npy(np.full((1, 3, 64, 64), np.inf, np.float32)),
        "huge": p.npy(np.full((1, 3, 64, 64), 3e38, np.float32)),
        "i64": p.npy(np.full((1, 3, 64, 64), TOP)), "u64": p.npy(np.full((1, 3, 64, 64), (1 << 64) - 1, np.uint64)),
        "bool2": p.npy(header=header(descr="'|b1'"), body=bytes([2]) * 12288),
        "magic": b"\x93NUMPY", "empty": b"", "magic_v": b"\x93NUMPY\x01\x00", "html": b"<html>",
    }
    fine = {"fortran", "big", "long_v2", "spaces", "twice", "shape_L", "longer", "i64", "u64", "bool2", "huge", "f16"}
    for name, data in files.items():
        codes = ANY if name in fine else REFUSED
        yield Case(f"npy/{name}/run", ["run", NET, "h.npy", "--json"], {"h.npy": data}, codes)
        if name in ("long_regex", "shape_zero", "shape_wrap", "shape_none", "control", "nan", "object", "digits_v2", "empty",
                "shape_60GB", "i64", "u64", "no_end", "shape_minus", "quotes"):
            for flag, command in uses("h.npy").items():
                yield Case(f"npy/{name}/{flag}", command, {"h.npy": data, "x.npy": p.npy(X), "one/a.png": p.png_of(p.photo())},
                    (ANY if flag in ("target", "masks", "attributions") else codes) | USAGE, makes=("o",), quiet_ok=True)
    yield Case("npy/pipe", ["run", NET, "h.npy"], {}, REFUSED, prepare=lambda f: os.mkfifo(f / "h.npy"))
    yield Case("npy/zero", ["run", NET, "h.npy"], {}, REFUSED, prepare=lambda f: (f / "h.npy").symlink_to("/dev/zero"))
    yield Case("npy/folder", ["run", NET, "h.npy"], {}, REFUSED, prepare=lambda f: (f / "h.npy").mkdir())

    def large(folder):
        start = p.npy(header=header("(90000, 3, 64, 64)"))
        hole(folder / "h.npy", len(start) + 90_000 * X.nbytes)
        with open(folder / "h.npy", "r+b") as file:
            file.write(start)

    yield Case("npy/large_target", ["evaluate", NET, "one", "--recipe", "gradient", "--metric", "sparseness", "--target",
        "h.npy"], {"one/a.png": p.png_of(p.photo())}, REFUSED | USAGE, prepare=large)
    yield Case("npy/large_masks", ["evaluate", NET, "one", "--recipe", "gradient", "--metric", "localisation", "--masks",
        "h.npy"], {"one/a.png": p.png_of(p.photo())}, REFUSED | USAGE, prepare=large)


def uses(file):
    return {
        "input": ["run", NET, "--input", f"input={file}", "--output-dir", "o"],
        "target": ["evaluate", NET, "one", "--recipe", "gradient", "--metric", "sparseness", "--target", file],
        "masks": ["evaluate", NET, "one", "--recipe", "gradient", "--metric", "evidence_share", "--masks", file],
        "attributions": ["evaluate", NET, "one", "--metric", "sparseness", "--attributions", file],
        "explain": ["explain", NET, file, "--recipe", "gradient", "--out", "o"],
        "select": ["select", NET, file, "--recipe", "gradient", "--out", "o", "--budget", "1s"],
    }


def zips():
    good = p.npy(X)
    whole = p.npz({"x.npy": good})
    at = whole.rindex(b"PK\x05\x06")
    first = whole.index(b"PK\x01\x02")

    def end(entries=1, size=None, offset=None, comment=0):
        size = at - first if size is None else size
        offset = first if offset is None else offset
        return whole[:at] + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, entries, entries, size & 0xFFFFFFFF,
            offset & 0xFFFFFFFF, comment)

    def entry(**fields):
        """The central directory's only entry with other numbers."""
        places = {"method": (10, "<H"), "crc": (16, "<I"), "packed": (20, "<I"), "size": (24, "<I"), "name": (28, "<H"),
            "extra": (30, "<H"), "offset": (42, "<I"), "flags": (8, "<H")}
        data = bytearray(whole)
        for key, number in fields.items():
            place, form = places[key]
            struct.pack_into(form, data, first + place, number)
        return bytes(data)

    packed = p.raw_zeros(0xFFFFFFF0)
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, len(packed), 0xFFFFFFF0, 5, 0) + b"x.npy"
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, 0, len(packed), 0xFFFFFFF0, 5, 0, 0, 0, 0, 0,
        0) + b"x.npy"
    big = local + packed + central + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local) + len(packed),
        0)
    files = {
        "bomb": big, "empty": p.npz({}), "no_array": p.npz({"a.txt": b"hello"}), "two": p.npz({"a.npy": good, "b.npy": good}),
        "many": p.npz({f"a{k}.npy": b"" for k in range(20_000)}),
        "control": p.npz({"\x1b[31m\n.npy": good, "b.npy": good}), "up": p.npz({"../x.npy": good}),
        "regex": p.npz({"x.npy": p.npy(header="{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 21_000 + "), }",
        body=bytes(4))}),
        "entries": end(entries=65535), "no_entries": end(entries=0), "dir_size": end(size=0xFFFFFFFF),
        "dir_offset": end(offset=0xFFFFFFFF), "dir_offset2": end(offset=len(whole) + 1), "comment": end(comment=65535),
        "method": entry(method=99), "stored": entry(method=0), "crc": entry(crc=1), "packed": entry(packed=0xFFFFFFFF),
        "size": entry(size=0xFFFFFFFF), "size0": entry(size=0), "size_small": entry(size=100), "name": entry(name=65535),
        "extra": entry(extra=65535),
        "offset": entry(offset=0xFFFFFFFF), "offset2": entry(offset=len(whole) - 2), "encrypted": entry(flags=1),
        "half": whole[:len(whole) // 2], "head": whole[:30], "end_only": whole[at:], "tail": whole[first:],
        "text": b"PK\x03\x04 not a zip", "none": b"",
        "inner_short": p.npz({"x.npy": good[:200]}), "inner_empty": p.npz({"x.npy": b""}),
        "stored_fine": p.npz({"x.npy": good}, False), "same_name": whole[:at] and p.npz({"x.npy": good}),
        "inner_60GB": p.npz({"x.npy": p.npy(header="{'descr': '<f4', 'fortran_order': False, 'shape': (5000000, 3, 64, 64), }",
        body=bytes(100))}),
    }
    for name, data in files.items():
        yield Case(f"npz/{name}/run", ["run", NET, "h.npz"], {"h.npz": data}, FINE if name in ("stored_fine", "same_name")
            else ANY if name in ("crc", "comment", "up", "no_entries", "encrypted", "dir_size") else REFUSED)
        if name in ("bomb", "regex", "control", "size"):
            yield Case(f"npz/{name}/target", uses("h.npz")["target"], {"h.npz": data, "one/a.png": p.png_of(p.photo())},
                ANY - FINE)
            yield Case(f"npz/{name}/attributions", uses("h.npz")["attributions"],
                {"h.npz": data, "one/a.png": p.png_of(p.photo())}, ANY - FINE)


@functools.cache
def damaged() -> dict:
    """Name and bytes of pictures that are no pictures, or too large."""
    a = p.photo()
    good = p.png_of(a)
    cut = good.index(b"IDAT")
    return {
        "0x0.png": p.png_header(0, 0), "0x5.png": p.png_header(0, 5), "minus.png": p.png_header(0xFFFFFFFF, 0xFFFFFFFF),
        "top.png": p.png_header(0x7FFFFFFF, 0x7FFFFFFF), "wide.png": p.png_header(0x7FFFFFFF, 1),
        "million.png": p.png_header(1_000_000, 1_000_000),
        "promise30000.png": p.png_header(30_000, 30_000), "bits3.png": p.png_header(8, 8, 3),
        "color9.png": p.png_header(8, 8, 8, 9), "interlace.png": p.png_header(8, 8, interlace=7),
        "adam7.png": p.png_header(20_000, 20_000, interlace=1),
        "no_data.png": good[:cut - 4] + p.chunk(b"IEND", b""), "half.png": good[:len(good) // 2],
        "bad_crc.png": good[:cut + 10] + bytes([good[cut + 10] ^ 1]) + good[cut + 11:],
        "length.png": good[:cut - 4] + b"\x7f\xff\xff\xff" + good[cut:],
        "head.png": good[:33], "magic.png": good[:8], "empty.png": b"", "text.png": b"hello", "no_end.png": good[:-12],
        "order.png": good[:8] + good[33:] + good[8:33],
        "text_bomb.png": p.png(8, 8, before=p.chunk(b"zTXt", b"a\0\0" + p.zeros(1 << 27)), pixels=bytes(25 * 8)),
        "profile.png": p.png(8, 8, before=p.chunk(b"iCCP", b"a\0\0" + p.zeros(1 << 27)), pixels=bytes(25 * 8)),
        "trailing.png": p.png(8, 8, pixels=bytes(1 << 26)), "palette.png": p.png(64, 64, 8, 3,
        b"".join(b"\0" + bytes([200] * 64) for _ in range(64))), "filter.png": p.png(8, 8, pixels=(bytes([9]) + bytes(24)) * 8),
        "bomb_1bit.png": p.png(30_000, 30_000, 1, 0), "bomb_16bit.png": p.png(12_000, 12_000, 16, 2),
        "bomb_rgba.png": p.png(20_000, 20_000, 8, 6), "bomb_long.png": p.png(1, 1_000_000, 8, 2),
        "bomb_wide.png": p.png(1_000_000, 100, 8, 2), "bomb_palette.png": p.png(30_000, 30_000, 1, 3),
        "0x0.bmp": p.bmp(0, 0), "minus.bmp": p.bmp(-8, -8), "top.bmp": p.bmp(0x7FFFFFFF, 0x7FFFFFFF),
        "low.bmp": p.bmp(-0x80000000, -0x80000000), "big.bmp": p.bmp(40_000, 40_000),
        "offset.bmp": p.bmp(8, 8, offset=0xFFFFFFFF), "offset0.bmp": p.bmp(8, 8, offset=0),
        "header.bmp": p.bmp(8, 8, header=0xFFFFFFF),
        "bits7.bmp": p.bmp(8, 8, 7), "rle.bmp": p.bmp(30_000, 30_000, 8, b"\xff\x01" * 100 + b"\0\1", compression=1),
        "rle_delta.bmp": p.bmp(64, 64, 8, b"\0\2\xff\xff" * 900 + b"\0\1", compression=1, colors=256),
        "colors.bmp": p.bmp(8, 8, 8, colors=0x7FFFFFFF), "compression.bmp": p.bmp(8, 8, compression=77),
        "0x0.ppm": p.pnm(6, 0, 0), "minus.ppm": p.pnm(6, -5, -5), "big.ppm": p.pnm(6, 100_000, 100_000),
        "top.ppm": p.pnm(6, 2147483647, 2147483647), "digits.ppm": b"P6 " + b"9" * 5000 + b" 1 255 ",
        "most.ppm": p.pnm(6, 8, 8, 70_000, bytes(400)), "most0.ppm": p.pnm(6, 8, 8, 0, bytes(400)),
        "short.ppm": p.pnm(6, 64, 64, 255, bytes(100)),
        "ascii.ppm": p.pnm(3, 64, 64, 255, b"1 2 3 x "), "comment.ppm": b"P6\n#" + b"c" * 1_000_000,
        "bits.ppm": p.pnm(4, 30_000, 30_000, body=bytes(100)),
        "pam.ppm": b"P7\nWIDTH 100000\nHEIGHT 100000\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
        "p9.ppm": b"P9\n1 1\n255\n000",
        "f32.tif": p.tiff_of((a / 255).astype(np.float32)), "f64.tif": p.tiff_of((a / 255).astype(np.float64)),
        "i16.tif": p.tiff(64, 64, 16, 3, 2), "u32.tif": p.tiff(64, 64, 32, 3), "0x0.tif": p.tiff(0, 0),
        "top.tif": p.tiff(0x7FFFFFFF, 0x7FFFFFFF), "max.tif": p.tiff(0xFFFFFFFF, 0xFFFFFFFF),
        "big.tif": p.tiff(60_000, 60_000), "short.tif": p.tiff(64, 64, data=bytes(10)), "bits3.tif": p.tiff(64, 64, 3),
        "samples.tif": p.tiff(64, 64, samples=60_000, data=bytes(100)), "samples0.tif": p.tiff(64, 64, samples=0),
        "compression.tif": p.tiff(64, 64, compression=7777), "deflate.tif": p.tiff(64, 64, compression=8, data=b"nonsense"),
        "lzw.tif": p.tiff(64, 64, compression=5, data=bytes(50)), "jpeg.tif": p.tiff(64, 64, compression=7, data=bytes(50)),
        "fax.tif": p.tiff(64, 64, 1, 1, compression=4, data=bytes(50)), "rows0.tif": p.tiff(64, 64, rows=0),
        "rows.tif": p.tiff(64, 64, rows=0xFFFFFFFF), "photometric.tif": p.tiff(64, 64, photometric=999),
        "tags.tif": p.tiff(64, 64, more=[(700, 1, 0xFFFFFFFF, 8), (34675, 7, 0xFFFFFFF, 8)]),
        "unknown.tif": p.tiff(64, 64, more=[(60_000 + k, 3, 1, k) for k in range(50)]),
        "kind.tif": p.tiff(64, 64, more=[(60_000, 99, 1, 0)]), "strip.tif": p.tiff(64, 64, more=[(273, 4, 1, 0xFFFFFFF0)]),
        "tiles.tif": p.tiff(64, 64, tiles=(0, 0)), "tiles_top.tif": p.tiff(64, 64, tiles=(0x7FFFFFF0, 0x7FFFFFF0)),
        "tile_bomb.tif": p.tiff(40_000, 40_000, tiles=(40_000, 40_000), compression=8, data=p.zeros(1_600_000_000)),
        "deflate_bomb.tif": p.tiff(30_000, 30_000, 8, 1, compression=8, data=p.zeros(900_000_000)), "loop.tif": loop(),
        "directory.tif": b"II*\0\xff\xff\xff\xff", "bigtiff.tif": b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 62),
        "motorola.tif": b"MM\0*\0\0\0\x08\xff\xff",
        "gray_alpha.tif": p.tiff(64, 64, 8, 2), "fifty.tif": p.tiff(64, 64, 8, 50),
        "65500.jpg": p.jpeg(65_500, 65_500, 10), "whole20000.jpg": p.jpeg(20_000, 20_000), "0x0.jpg": p.jpeg(0, 0),
        "no_height.jpg": p.jpeg(64, 0, 64), "components.jpg": p.jpeg(64, 64, components=4),
        "two.jpg": p.jpeg(64, 64, components=2), "few.jpg": p.jpeg(64, 64, 1), "magic.jpg": b"\xff\xd8\xff",
        "half.jpg": p.jpeg(64, 64)[:100], "bad_table.jpg": p.jpeg(64, 64).replace(b"\xff\xc4", b"\xff\xc0", 1),
        "exif.jpg": b"\xff\xd8" + p.exif(6) + p.jpeg(64, 32)[2:], "exif_99.jpg": b"\xff\xd8" + p.exif(99) + p.jpeg(64, 64)[2:],
        "exif_count.jpg": b"\xff\xd8" + p.exif(6, 0xFFFFFFFF) + p.jpeg(64, 64)[2:],
        "exif_cut.jpg": b"\xff\xd8" + p.exif(6)[:20] + p.jpeg(64, 64)[2:],
        "markers.jpg": b"\xff\xd8" + b"\xff" * 500_000 + p.jpeg(64, 64)[2:],
        "16384.webp": p.webp(16_384, 16_384), "small.webp": p.webp(1, 1), "half.webp": p.webp(64, 64)[:25],
        "riff.webp": b"RIFF\xff\xff\xff\xffWEBP",
        "vp8x.webp": b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff" * 6 + bytes(20),
        "vp8.webp": b"RIFF\x20\0\0\0WEBPVP8 \x0c\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(10),
        "a.gif.png": p.gif(64, 64), "bomb.gif.png": p.gif(65535, 65535),
        "radiance.png": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n",
        "radiance_line.png": b"#?RADIANCE\n" + b"a" * 1_000_000,
        "exr.png": b"v/1\x01\x02\0\0\0" + b"channels\0chlist\0\xff\xff\xff\x7f",
        "sun.png": b"\x59\xa6\x6a\x95" + struct.pack(">7I", 100_000, 100_000, 24, 0, 1, 0, 0),
        "pfm.png": b"PF\n100000 100000\n-1.0\n", "jp2.png": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
        "j2k.png": b"\xff\x4f\xff\x51" + struct.pack(">HH8I", 47, 0, 0x7FFFFFFF, 0x7FFFFFFF, 0, 0, 1, 1, 0, 0) + bytes(20),
        "ico.png": b"\0\0\1\0\xff\xff" + bytes(40), "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }


def loop():
    """A directory that is followed by itself."""
    data = bytearray(p.tiff(8, 8))
    struct.pack_into("<I", data, len(data) - 4, struct.unpack_from("<I", data, 4)[0])
    return bytes(data)


def images():
    good = p.png_of(p.photo())
    for name, data in damaged().items():
        yield Case(f"image/{name}", ["run", NET, name, "--json"], {name: data}, ANY)
    # A folder with one damaged picture: the message names it, whatever the command.
    for name in ("half.png", "0x0.png", "text.png", "f32.tif", "half.jpg"):
        files = {"d/a.png": good, f"d/b_{name}": damaged()[name], "d/c.png": p.png_of(p.photo(1))}
        named = f"b_{name}".replace(".", r"\.")
        for command in (["run", NET, "d"], ["explain", NET, "d", "--recipe", "gradient", "--out", "o"],
                ["evaluate", NET, "d", "--recipe", "gradient", "--metric", "sparseness"],
                ["select", NET, "d", "--recipe", "gradient", "--out", "o"],
                        ["check", NET, "d", "--recipe", "gradient", "--metric", "sparseness", "--out", "o"]):
            yield Case(f"folder/{name}/{command[0]}", command, files, BROKEN | FINE, named, makes=("o",))
    mask = ["evaluate", NET, "d", "--recipe", "gradient", "--metric", "evidence_share", "--masks", "m"]
    for name in ("half.png", "0x0.png", "bomb_1bit.png", "text.png", "bomb_long.png", "a.gif.png", "top.png"):
        yield Case(f"mask/{name}", mask, {"d/a.png": good, "m/a.png": damaged()[name]}, REFUSED | USAGE)
        yield Case(f"mask/beside/{name}", mask[:-2], {"d/a.png": good, "d/a.mask.png": damaged()[name]}, REFUSED | USAGE)
    yield Case("mask/npy", mask,
        {"d/a.png": good, "m/a.npy": p.npy(header="{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 21_000 + "), }")}, REFUSED | USAGE)
    yield Case("mask/pipe", mask, {"d/a.png": good, "m/x": b""}, ANY - FINE, prepare=lambda f: os.mkfifo(f / "m/a.png"))
    yield Case("folder/pipe", ["run", NET, "d"], {"d/b.png": good}, ANY, prepare=lambda f: os.mkfifo(f / "d/a.png"))
    yield Case("folder/zero", ["run", NET, "d"], {"d/b.png": good}, ANY,
        prepare=lambda f: (f / "d/a.png").symlink_to("/dev/zero"))
    yield Case("folder/circle", ["run", NET, "d"], {"d/b.png": good}, ANY, prepare=lambda f: (f / "d/a.png").symlink_to("a.png"))
    yield Case("folder/folder", ["run", NET, "d"], {"d/b.png": good, "d/a.png/c.png": good}, ANY)
    yield Case("folder/hole", ["run", NET, "d"], {"d/b.png": good}, ANY, prepare=lambda f: hole(f / "d/a.png", 1 << 40))
    yield Case("folder/empty", ["run", NET, "d"], {"d/x.txt": b""}, BROKEN)
    yield Case("folder/names", ["run", NET, "d"], {"d/\x1b[31mred\n.png": good, "d/\udcff\udcfe.png": good, "d/\u202e.png": good},
        ANY)
    yield Case("folder/names_json", ["explain", NET, "d", "--recipe", "gradient", "--json", "--out", "o"],
        {"d/\x1b[31mred\n.png": good, "d/\udcff\udcfe.png": good, "d/\"quote\".png": good}, ANY, makes=("o",))
    yield Case("folder/damaged_name", ["run", NET, "d"], {"d/\x1b[31mred\n.png": b"no", "d/b.png": good}, ANY)

    # Names that become one file.
    for k, group in enumerate([("a b.png", "a_b.png"), ("a.png", "a.jpg"), ("a:b.png", "a?b.png", "a_b.png"),
            ("\u00e9.png", "e\u0301.png"), ("x.png", "x.png.heatmap.png"), ("A.png", "a.png"), ("a\n.png", "a\t.png")]):
        def check(folder, outcome, count=len(group)):
            made = list((folder / "o").rglob("*.heatmap.png")) if (folder / "o").is_dir() else []
            return [f"{count} pictures became {len(made)} heatmaps"] if outcome.code == 0 and len(made) != count else []

        for threads in ("1", "2"):
            yield Case(f"collide/{k}_{threads}", ["explain", NET, "d", "--recipe", "gradient", "--out", "o", "--threads",
                threads], {f"d/{name}": p.png_of(p.photo(i)) for i, name in enumerate(group)}, ANY, makes=("o",), check=check)


def settings():
    """TOML, labels, recipes, metrics and grids."""
    net = {"m.onnx": CONV, **IN4}
    deep = "[" * 50_000
    inline = "{a=" * 20_000
    tomls = {"deep_array": "x = " + deep, "deep_table": "[" + ".".join(["a"] * 20_000) + "]\n", "deep_inline": "x = " + inline,
        "binary": "\x00\x01\x02", "huge": "x = \"" + "y" * 5_000_000 + "\"", "not_utf8": "x = \"\udcff\udcfe\"",
        "control": "\"\x1b[31m\" = 1", "control_escaped": "\"\\u001b[31m\\nx\" = 1",
             "keys": "\n".join(f"k{k} = {k}" for k in range(20_000)), "many_headers": "[a]\n" * 50_000, "empty": "",
             "dotted": "a" + ".a" * 30_000 + " = 1", "string": "x = '''" + "'" * 100_000, "date": "x = 9999-99-99",
             "number": "x = " + "9" * 100_000, "nan": "[input]\nmean = nan\nstd = nan", "zero": "[input]\nstd = 0",
             "size": "[input]\nsize = 9223372036854775807", "size0": "[input]\nsize = 0",
             "minus": "[input]\nsize = -5\nresize = -5", "size_list": "[input]\nsize = [8, 8, 8]",
             "resize": "[input]\nresize = 2000000000", "means": "[input]\nmean = [" + "0.5, " * 10_000 + "]",
             "range": "[input]\nrange = 1e300",
             "labels": "[input]\nlabels = \"../../../../etc/hostname\"", "labels_pipe": "[input]\nlabels = \"fifo\"",
             "labels_zero": "[input]\nlabels = \"/dev/zero\"", "channels": "[input]\nchannels = \"\\u001b[31m\""}

    def pipe(folder):
        os.mkfifo(folder / "fifo")

    for name, text in tomls.items():
        data = text.encode("utf-8", "surrogateescape")
        yield Case(f"toml/{name}/model", ["run", "m.onnx", "in4.npy"], {**net, "m.toml": data}, ANY, prepare=pipe)
        yield Case(f"toml/{name}/photo", ["run", NET.replace("{S}/shapes", "n/s"), "a.png"],
            {"a.png": p.png_of(p.photo()), "n/s.toml": data}, ANY, prepare=lambda f: os.mkfifo(f / "n/fifo"),
            shell='cp {S}/shapes.onnx n/s.onnx && exec "$0" "$@"', makes=("n/s.onnx",))
        yield Case(f"toml/{name}/recipe", ["explain", "m.onnx", "in4.npy", "--recipe", "r.toml"], {**net, "r.toml": data}, USAGE,
            prepare=pipe)
        yield Case(f"toml/{name}/space", ["select", "m.onnx", "in4.npy", "--space", "s.toml", "--out", "o"],
            {**net, "s.toml": data}, ANY, prepare=pipe, makes=("o",))
    for name, text in {"grid": "recipes = [\"lrp_gamma:gamma=" + "/".join(map(str, range(100_000))) + "\"]",
            "grids": "recipes = [\"lrp_gamma:gamma=" + "/".join(map(str, range(999))) + ",epsilon=" + "/".join(map(str,
            range(1, 1000))) + "\"]", "many": "recipes = [" + "\"gradient\", " * 50_000 + "]",
                       "numbers": "recipes = [1, 2]", "none": "recipes = []",
                       "held": "recipes = [\"gradient\"]\nheld_back = 1e300",
                       "held_nan": "recipes = [\"gradient\"]\nheld_back = nan",
                       "held_minus": "recipes = [\"gradient\"]\nheld_back = -1",
                       "objective": "recipes = [\"gradient\"]\nobjective = \"\\u001b\\n\""}.items():
        yield Case(f"space/{name}", ["select", "m.onnx", "in4.npy", "--space", "s.toml", "--out", "o"],
            {**net, "s.toml": text.encode()}, ANY, makes=("o",))
    yield Case("space/pipe", ["select", "m.onnx", "in4.npy", "--space", "s.toml", "--out", "o"], net, USAGE,
        prepare=lambda f: os.mkfifo(f / "s.toml"), makes=("o",))
    yield Case("space/zero", ["select", "m.onnx", "in4.npy", "--space", "s.toml", "--out", "o"], net, USAGE | REFUSED,
        prepare=lambda f: (f / "s.toml").symlink_to("/dev/zero"), makes=("o",))

    words = ["", ":", ",", "=", "gradient:", "gradient:=", "gradient:pool", "gradient:pool=", "gradient:pool=sum,pool=abs",
        "gradient:" + "pool=sum," * 12_000, "lrp_gamma:gamma=" + "9" * 10_000, "lrp_gamma:gamma=nan", "lrp_gamma:gamma=inf",
        "lrp_gamma:gamma=-1", "lrp_gamma:gamma=1e-400", "lrp_gamma:gamma=0x10", "lrp_gamma:gamma=1 2",
             "lrp_epsilon:epsilon=0", "lrp_epsilon:epsilon=-1", "\x1b[31m", "\udcff\udcfe", "a\nb", "n" * 100_000,
             "layers(" * 15_000, "(" * 100_000, "{" * 50_000, "*" * 50_000, "lrp_gamma:gamma=" + "/".join(["1"] * 30_000),
             "lrp_gamma:" + ",".join(f"p{k}=1" for k in range(3000)), "smoothgrad:samples=2000000000", "smoothgrad:samples=0",
             "smoothgrad:samples=-1", "smoothgrad:noise=nan", "occlusion:patch=0", "occlusion:patch=-1",
             "occlusion:patch=9223372036854775807", "occlusion:stride=0", "occlusion:patch=1,stride=1", "rise:masks=2000000000",
             "rise:masks=0", "rise:cells=0", "rise:cells=2000000000", "lime:samples=0", "lime:samples=2000000000",
             "lime:cells=0", "kernel_shap:samples=0",
             "kernel_shap:cells=2000000000", "kernel_shap:samples=2000000000", "integrated_gradients:steps=0",
             "integrated_gradients:steps=2000000000", "integrated_gradients:baseline=nan",
             "integrated_gradients:baseline=\x1b[31m", "smoothgrad:samples=1e18", "deeplift:baseline=nan",
             "grad_cam:layer=" + "x" * 5000, "grad_cam:layer=\x1b[31m",
             "lrp:rules=" + "a" * 5000, "/etc/hostname", "../../x.toml", "r.toml", "."]
    for k, word in enumerate(words):
        yield Case(f"recipe/{k}_{label(word)}", ["explain", "m.onnx", "in4.npy", "--recipe", word], net, ANY)
        if k < 5 or set(word) & set("/({*\x1b"):
            yield Case(f"grid/{k}_{label(word)}", ["select", "m.onnx", "in4.npy", "--recipe", word, "--out", "o", "--budget", "1s"],
                net, ANY, makes=("o",))
    for k, word in enumerate([*words[:5], "pixel_flipping:steps=0", "pixel_flipping:steps=2000000000", "pixel_flipping:patch=-1",
            "pixel_flipping:patch=9223372036854775807", "pixel_flipping:orders=2000000000", "sensitivity_n:sizes=0",
            "sensitivity_n:nr_runs=2000000000", "infidelity:patch_size=2000000000", "infidelity:patch_size=0",
            "faithfulness_correlation:subset_size=0",
                              "faithfulness_correlation:nr_runs=2000000000", "faithfulness_correlation:subset_size=2000000000",
                              "max_sensitivity:nr_samples=2000000000", "road:every=0", "irof:segments=0", "sparseness:x=1",
                              "complexity", "effective_complexity:eps=nan", "continuity:path=2000000000",
                              "continuity:neighbours=0", "random_logit:seed=-1", "\x1b[31m",
                              "\udcff", "n" * 100_000, "x:" + "a=1," * 28_000]):
        yield Case(f"metric/{k}_{label(word)}", ["evaluate", "m.onnx", "in4.npy", "--recipe", "gradient", "--metric", word], net,
            ANY)
    for k, target in enumerate(["", "-1", "9223372036854775807", "99999999999999999999", "1e3", "nan", "auto", "AUTO", " 0",
            "0x1", "\x1b[31m", "\udcff", "n" * 100_000, "no.npy", "m.onnx", "in4.npy", "/dev/zero", "."]):
        yield Case(f"target/{k}_{label(target)}", ["explain", "m.onnx", "in4.npy", "--recipe", "gradient", "--target", target],
            net, ANY)
    for name, data in {"empty": b"", "long": b"x" * 5_000_000, "control": b"\x1b[31m\n\xff\xfe\n\r\r\r\n" * 20,
            "many": b"a\n" * 2_000_000, "nul": b"\0" * 1000, "lines": b"\n" * 300, "text": b"\xe2\x80\xaeab\n" * 144}.items():
        yield Case(f"labels/{name}", ["run", "m.onnx", "in4.npy", "--labels", "l.txt"], {**net, "l.txt": data}, ANY)
        yield Case(f"labels/{name}_explain", ["explain", "m.onnx", "in4.npy", "--recipe", "gradient", "--labels", "l.txt",
            "--json", "--out", "o"], {**net, "l.txt": data}, ANY, makes=("o",))
    yield Case("labels/zero", ["run", "m.onnx", "in4.npy", "--labels", "/dev/zero"], net, ANY - FINE)
    yield Case("labels/pipe", ["run", "m.onnx", "in4.npy", "--labels", "fifo"], net, ANY - FINE, prepare=pipe)


def label(word):
    return "".join(c if c.isalnum() or c in "_=" else "-" for c in word[:24])


def all_cases():
    yield from arrays()
    yield from zips()
    yield from images()
    yield from settings()
