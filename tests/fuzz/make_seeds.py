#!/usr/bin/env python3
"""Writes the files that the fuzzers start with (tests/fuzz/corpus/TARGET/seed_*): small, valid, of every kind.

    tests/fuzz/make_seeds.py

Needs numpy. Models are those of tests/goldens. What fuzzers found beside them stays as it is.
"""

import hashlib
import io
import math
import pathlib
import random
import sqlite3
import struct
import zlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
MOST = 12_000  # bytes of a model

WORDS = {
    "recipe": "rlrp_epsilon_gamma_box:low=-3,high=3",
    "recipe_plain": "rgradient",
    "grid": "gdeep_taylor:gamma=0/0.25/1,input=zbox",
    "grid_two": "gsmoothgrad:samples=4/8,noise=0.1/0.2",
    "metric": "mpixel_flipping:patch=16",
    "metric_plain": "msparseness",
    "spec": "sname:key=value,other=1.5",
    "alternatives": "xname:a=1/2/3,b=x/y",
    "space": 'Srecipes = ["deep_taylor:gamma=0/0.25/1,input=zbox", "random"]\nobjective = "pixel_flipping:patch=16"\n'
             'diagnostics = ["conservation", "sparseness"]\nheld_back = 0.25\nreliability = true\n',
    "config": 'M[input]\nresize = 256\nsize = [224, 224]\nchannels = "bgr"\nrange = 255\nmean = [123.7, 116.3, 103.5]\n'
              'std = [58.4, 57.1, 57.4]\nlabels = "labels.txt"\n',
    "recipe_file": 'Rrecipe = "lrp_epsilon_plus"\n\n[evidence]\nbeats_controls = true\nscore = 0.5\n',
    "labels": "Ltench\ntench, Tinca tinca\ngoldfish\n7,shark, fish\n",
}


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def arrays() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    images = rng.random((2, 1, 4, 3), dtype=np.float32)
    kinds = {"f4": images, "f8": images.astype("f8")[0], "f2": images.astype("f2")[:, 0], "i8": np.arange(6).reshape(2, 3),
             "u1": np.arange(12, dtype="u1").reshape(1, 2, 2, 3), "b1": np.array([True, False]),
             "big": images.astype(">f4"), "fortran": np.asfortranarray(images[0, 0]), "scalar": np.array(1.5, "f4"),
             "empty": np.zeros((0, 3), "f4")}
    seeds = {f"npy_{name}": b"n" + npy(a) for name, a in kinds.items()}
    seeds |= {f"rows_{name}": b"f" + npy(kinds[name]) for name in ("f4", "u1", "fortran", "b1")}
    seeds |= {f"input_{name}": b"i" + npy(kinds[name]) for name in ("f4", "u1", "big")}
    seeds["npy_version2"] = b"n" + npy(images[0], (2, 0))
    seeds["npy_version3"] = b"n" + npy(images[0], (3, 0))
    for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
        out = io.BytesIO()
        save(out, x=images[0], mask=np.array([[1, 0]], "u1"))
        seeds[f"npz_{name}"] = b"z" + out.getvalue()
    out = io.BytesIO()
    np.savez(out, x=images)
    seeds["input_npz"] = b"p" + out.getvalue()
    return seeds


def png(pixels: np.ndarray, depth: int, kind: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + pixels[y].astype(">u2" if depth == 16 else "u1").tobytes() for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp(pixels: np.ndarray) -> bytes:
    height, width = pixels.shape[:2]
    line = width * 3 + -width * 3 % 4
    rows = b"".join(pixels[y, :, ::-1].astype("u1").tobytes().ljust(line, b"\0") for y in reversed(range(height)))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + head + rows


def tiff(pixels: np.ndarray) -> bytes:
    height, width = pixels.shape[:2]
    data = pixels.astype("<u2").tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 3, 1, height), (279, 4, 1, len(data))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def images() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (7, 9, 3))
    gray = rgb[:, :, 0]
    return {
        "rgb.png": png(rgb, 8, 2), "gray.png": png(gray, 8, 0), "deep.png": png(rgb * 257, 16, 2),
        "alpha.png": png(rng.integers(0, 256, (5, 4, 4)), 8, 6), "rgb.bmp": bmp(rgb), "deep.tif": tiff(gray * 257),
        "rgb.ppm": b"P6\n9 7\n255\n" + rgb.astype("u1").tobytes(), "text.pgm": b"P2\n3 2\n15\n1 2 3\n4 5 15\n",
    }


def sha256(*parts: object) -> bytes:
    """As cells carry it: of texts after their length, and of plain numbers."""
    data = b""
    for part in parts:
        if isinstance(part, bytes):
            data += struct.pack("<Q", len(part)) + part
        else:
            data += struct.pack("<d" if isinstance(part, float) else "<q", part)
    return hashlib.sha256(data).digest()


def results() -> dict[str, bytes]:
    """The schema of src/store/results.cpp, and the one before it, without check sums."""
    def database(cells: list, facts: list, version: int, page: int = 512) -> bytes:
        db = sqlite3.connect(":memory:")
        sums = ", sha256 BLOB" if version == 2 else ""
        db.execute(f"PRAGMA page_size={page}")
        db.executescript(
            f"PRAGMA application_id=0x48454154; PRAGMA user_version={version};"
            "CREATE TABLE cells (model TEXT, input TEXT, target INTEGER, recipe TEXT, metric TEXT, seed INTEGER, "
            f"score REAL, curves BLOB{sums}, PRIMARY KEY (model, input, target, recipe, metric, seed)) WITHOUT ROWID;"
            f"CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB{sums}) WITHOUT ROWID;")
        if version == 2:
            cells = [(*c, sha256(c[0].encode(), c[1].encode(), c[3].encode(), c[4].encode(), c[2], c[5],
                                 math.nan if c[6] is None else c[6], c[7])) for c in cells]
            facts = [(*f, sha256(f[0].encode(), f[1])) for f in facts]
        for table, rows in (("cells", cells), ("facts", facts)):
            for row in rows:
                db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
        db.commit()
        return db.serialize()

    curve = struct.pack("<Q4sQ2d", 4, b"flip", 2, 0.5, 0.25)
    cells = [("m", "i", 1, recipe, "sparseness", 0, score, curve) for recipe, score in
             (("gradient", 0.5), ("random", None), ("uniform", 1.0))]
    seeds = {}
    for version in (1, 2):
        seeds[f"empty_{version}"] = database([], [], version)
        seeds[f"cells_{version}"] = database(cells, [("model", b"name")], version)
    return seeds | {"larger_pages": database(cells, [], 2, 1024)}


def graphs() -> dict[str, bytes]:
    return {f"{seed}": random.Random(seed).randbytes(40 + 20 * seed % 160) for seed in range(12)}


def models() -> dict[str, bytes]:
    files = sorted((TESTS / "goldens").rglob("*.onnx")) + sorted((TESTS.parent / "assets").rglob("*.onnx"))
    seeds = {f.stem: f.read_bytes() for f in files if f.stat().st_size < MOST}
    small: dict[str, bytes] = {}  # of every operator the smallest
    for archive, parts in (("operators", 2), ("imports", 9)):
        with np.load(TESTS / f"goldens/{archive}.npz") as z:
            for key in z:
                name, what = key.split("/", 1)
                if what != "model":
                    continue
                name = "_".join(name.split("_")[:parts])
                data = z[key].tobytes()
                if len(data) < len(small.get(name, data + b"x")):
                    small[name] = data
    return seeds | small


def main() -> None:
    targets = {"words": {name: text.encode() for name, text in WORDS.items()}, "arrays": arrays(), "images": images(),
               "results": results(), "graphs": graphs(), "model": models()}
    for target, seeds in targets.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / f"seed_{name}").write_bytes(data)


if __name__ == "__main__":
    main()
