"""Kinds of scripts/attack: each makes case after case, of random numbers only, so that a seed and a number tell which."""

import json
import pathlib
import random
import subprocess

import numpy as np

from . import mutants, pictures, process, wire
from .case import ANY, Case

NET = "{S}/shapes.onnx"
SLOW = {"rise": "masks=20", "lime": "samples=30", "kernel_shap": "samples=30", "smoothgrad": "samples=3",
    "integrated_gradients": "steps=3", "occlusion": "patch=4,stride=4"}
BOUNDARY = ["0", "1", "-1", "2", "0.5", "-0.5", "1e-30", "1e30", "nan", "inf", "4294967296", "9223372036854775807", "black",
    "white", "mean", "true", "false", "", "x"]


def words_of(program, what) -> list:
    return json.loads(subprocess.run([program, "list", what, "--json"], capture_output=True, check=True).stdout)


def word(rng, declared, quick=True, wild=0.15) -> str:
    """A recipe or metric, now and then with other parameters than it has by default."""
    entry = rng.choice(declared)
    parts = [SLOW[entry["name"]]] if quick and entry["name"] in SLOW else []
    taken = {p.split("=")[0] for part in parts for p in part.split(",")}
    for parameter in entry["parameters"]:
        if parameter["name"] in taken or rng.random() > 0.15:
            continue
        values = parameter.get("one_of") or [parameter["default"]]
        parts.append(f"{parameter['name']}={rng.choice(BOUNDARY if rng.random() < wild else values)}")
    return entry["name"] + (":" + ",".join(parts) if parts else "")


def networks(root: pathlib.Path, most=400_000) -> dict:
    """Those of the project, and those beside it, by name."""
    found = [*(root / "tests/goldens").glob("*.onnx"), *(root / "assets").glob("*/*.onnx")]
    for up in ("..", "../.."):
        found += (root / up / "shared/data/models").glob("*.onnx")
    return {f.name: f.read_bytes() for f in sorted(found, key=lambda f: f.name) if f.stat().st_size <= most}


def shape_of_input(root: wire.Message):
    """Name and sizes of the first input that is no initializer; open axes are 1."""
    graphs = root.all(7)
    weights = {t.all(8)[0] for g in graphs for t in g.all(5) if t.all(8)}
    for v in (v for g in graphs for v in g.all(11) if isinstance(v, wire.Message)):
        name = v.all(1)[0] if v.all(1) else b""
        if name in weights:
            continue
        dims = [d for t in v.all(2) for tt in t.all(1) if isinstance(tt, wire.Message) for s in tt.all(2) for d in s.all(1)]
        sizes = [(d.all(1) or [1])[0] for d in dims]
        if sizes and all(isinstance(s, int) and 0 < s < 4096 for s in sizes) and np.prod(sizes) < 1 << 22:
            return name, sizes
    return None


class Models:
    """Mutants of the project's networks."""

    def __init__(self, root, program, folder):
        self.files = networks(root)
        self.beside = (root / "tests/goldens/resnet_dynamo.onnx.data").read_bytes()
        self.trees = {name: wire.parse(data) for name, data in self.files.items()}
        self.donors = [t for name, t in self.trees.items() if len(self.files[name]) < 60_000]
        self.names = list(self.files) + [n for n, d in self.files.items() if len(d) < 40_000] * 4  # small ones are quick
        self.recipes, self.metrics = words_of(program, "recipes"), words_of(program, "metrics")

    def case(self, rng):
        name = rng.choice(self.names)
        data = mutants.change_model(rng, self.files[name], self.donors)
        shape = shape_of_input(self.trees[name])
        if rng.random() < 0.3:  # what the mutant asks for
            try:
                shape = shape_of_input(wire.parse(data)) or shape
            except (ValueError, IndexError):
                pass
        title, sizes = shape or (b"x", [1, 4, 8, 8])
        array = np.random.default_rng(rng.randrange(1 << 30)).normal(size=sizes).astype(np.float32)
        files = {"m.onnx": data, "x.npy": pictures.npy(array)}
        if name == "resnet_dynamo.onnx":
            files["resnet_dynamo.onnx.data"] = self.beside
        quick = len(data) > 20_000
        json_ = ["--json"] if rng.random() < 0.5 else []
        way = rng.randrange(10)
        if way < 2:
            args = ["inspect", "m.onnx", *(["--graph"] if rng.random() < 0.3 else ["--recipe", word(rng, self.recipes)]
                if rng.random() < 0.3 else [])]
        elif way < 5:
            args = ["run", "m.onnx", "x.npy", *(["--allow-nonfinite"] if rng.random() < 0.2 else [])]
        elif way < 6:
            args = ["run", "m.onnx", "--input", f"{title.decode('utf-8', 'replace')}=x.npy", "--output-dir", "o"]
        elif way < 9:
            args = ["explain", "m.onnx", "x.npy", "--recipe", word(rng, self.recipes)]
        else:
            cheap = [r for r in self.recipes if r["name"] not in SLOW]
            args = ["evaluate", "m.onnx", "x.npy", "--recipe", word(rng, cheap), "--metric", "sparseness" if quick
                else word(rng, self.metrics)]
        return Case(f"{name}/{args[0]}", args + json_, files, ANY, makes=("o",), quiet_ok="--input" in args)


class Images:
    """Mutants of photos in all formats that are read, and of those of the project."""

    def __init__(self, root, program, folder):
        photos = [pictures.photo(k, size) for k, size in enumerate((64, 64, 33, 100))]
        wide = photos[0].astype(np.uint16) * 257
        self.files = {f"{k}.png": pictures.png_of(a) for k, a in enumerate(photos)}
        self.files |= {"wide.png": pictures.png_of(wide), "gray.png": pictures.png_of(photos[0][:, :, 0]),
            "bit.png": pictures.png(64, 64, 1, 0), "palette.png": pictures.png(64, 64, 8, 3),
            "alpha.png": pictures.png(64, 64, 8, 6)}
        self.files |= {"a.bmp": pictures.bmp_of(photos[0]), "rle.bmp": pictures.bmp(64, 64, 8, b"\x40\1\0\0" * 64 + b"\0\1",
            compression=1, colors=256), "a.ppm": pictures.pnm_of(photos[0]), "a.pgm": pictures.pnm_of(photos[0][:, :, 0].copy()),
            "ascii.ppm": pictures.pnm(3, 8, 8, 255, b"1 2 3 " * 64)}
        self.files |= {"a.tif": pictures.tiff_of(photos[0]), "deflate.tif": pictures.tiff_of(photos[0], 8),
            "wide.tif": pictures.tiff_of(wide), "float.tif": pictures.tiff_of((photos[0] / 255).astype(np.float32)),
            "tiles.tif": pictures.tiff(64, 64, tiles=(64, 64))}
        self.files |= {"a.jpg": pictures.jpeg(64, 64, components=3), "gray.jpg": pictures.jpeg(64, 64),
            "turned.jpg": b"\xff\xd8" + pictures.exif(6) + pictures.jpeg(64, 48)[2:], "a.webp": pictures.webp(64, 64)}
        self.files |= {f"shape{k}.png": f.read_bytes() for k,
            f in enumerate(sorted((root / "assets/shapes/images").glob("*.png"))[:4])}
        for up in ("..", "../.."):
            for folder_ in ("images_small", "images"):
                photos = sorted((root / up / "shared/data" / folder_).glob("*.jpg"), key=lambda f: f.stat().st_size)[:6]
                self.files |= {f"{folder_}_{f.name}": f.read_bytes() for f in photos}
        self.good = pictures.png_of(pictures.photo(9))

    def case(self, rng):
        name = rng.choice(list(self.files))
        data = self.files[name]
        data = mutants.change_png(rng, data) if name.endswith(".png") and rng.random() < 0.6 else mutants.change_bytes(rng, data)
        ending = name[name.rindex("."):]
        if rng.random() < 0.05:
            ending = rng.choice([".png", ".jpg", ".tif", ".bmp", ".webp", ".ppm"])
        file = "m" + ending
        way = rng.randrange(10)
        files = {file: data}
        makes = ("o",)
        if way < 5:
            args = ["run", NET, file, *(["--json"] if rng.random() < 0.5 else [])]
        elif way < 7:
            files = {f"d/{file}": data, "d/a.png": self.good, "d/z.png": self.good}
            args = rng.choice([["run", NET, "d"], ["explain", NET, "d", "--recipe", "gradient", "--out", "o"],
                ["evaluate", NET, "d", "--recipe", "gradient", "--metric", "sparseness"],
                               ["select", NET, "d", "--recipe", "gradient", "--metric", "sparseness", "--out", "o"]])
        elif way < 8:
            args = ["explain", NET, file, "--recipe", "lrp_epsilon_plus", "--out", "o"]
        else:
            files = {"d/a.png": self.good, ("m/a" if way == 8 else "d/a.mask") + ending: data}
            args = ["evaluate", NET, "d", "--recipe", "gradient", "--metric", "evidence_share",
                *(["--masks", "m"] if way == 8 else [])]
        return Case(f"{name}/{args[0]}", args, files, ANY, makes=makes)


class Arrays:
    """Mutants of .npy and .npz in every place that takes them, and of settings in text."""

    def __init__(self, root, program, folder):
        x = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
        self.inputs = {"x.npy": pictures.npy(x), "f8.npy": pictures.npy(x[:1].astype(np.float64)),
            "u1.npy": pictures.npy((x[:1] * 30 + 128).astype(np.uint8)), "f2.npy": pictures.npy(x[:1].astype(np.float16)),
            "big.npy": pictures.npy(x[:1].astype(">f4")),
                       "fortran.npy": pictures.npy(header="{'descr': '<f4', 'fortran_order': True, 'shape': (1, 3, 64, 64), }",
                       body=x[:1].tobytes()), "v2.npy": pictures.npy(x[:1], version=2),
                       "x.npz": pictures.npz({"x.npy": pictures.npy(x)}),
                       "stored.npz": pictures.npz({"images.npy": pictures.npy(x), "labels.npy": pictures.npy(np.arange(2))},
                       False)}
        self.plain = self.inputs["x.npy"]
        self.targets = {"t.npy": pictures.npy(np.arange(2)), "t4.npy": pictures.npy(np.arange(2, dtype=np.int32)),
            "tf.npy": pictures.npy(np.arange(2, dtype=np.float32))}
        masks = np.zeros((2, 64, 64), np.float32)
        masks[:, 20:40, 20:40] = 1
        self.masks = {"m.npy": pictures.npy(masks), "mb.npy": pictures.npy(masks.astype(bool)),
            "mu.npy": pictures.npy((masks * 255).astype(np.uint8))}
        self.relevance = {"a.npy": pictures.npy(x), "ah.npy": pictures.npy(masks + x[:, 0]),
            "a.npz": pictures.npz({"a.npy": pictures.npy(x)})}
        self.texts = {"m.toml": b"[input]\nsize = 64\nchannels = \"rgb\"\nrange = 1\nmean = [0.45, 0.45, 0.45]\nstd = [0.25, 0.25, 0.25]\nlabels = \"l.txt\"\n", "l.txt": "circle\nsquare\ntriangle\nstar\ncross\nring\ncrescent\narrow\n".encode(),
                      "s.toml": b"recipes = [\"gradient\", \"lrp_gamma:gamma=0.1/0.25\"]\nobjective = \"sparseness\"\ndiagnostics = [\"complexity\"]\nheld_back = 0.25\n", "r.toml": b"recipe = \"lrp_gamma:gamma=0.25\"\n[evidence]\nscore = 1.0\n"}
        self.network = (root / "assets/shapes/shapes.onnx").read_bytes()

    def change(self, rng, data):
        if data[:6] == b"\x93NUMPY" and rng.random() < 0.6:
            end = data.index(b"\n") + 1
            header = data[10 if data[6] == 1 else 12:end - 1].rstrip()
            for _ in range(rng.choice([1, 1, 2])):
                tokens = [b"0", b"-1", b"64", b"9223372036854775807", b"4294967296", b"'<f8'", b"'|O'", b"'|b1'", b"'<i8'",
                    b"'>f4'", b"True", b"False", b"None", b"(", b")", b",", b"'", b"\"", b"{", b"}", b"[", b"\\", b"1e5",
                    b"\x1b[31m", b"\xff", b"3L", b" " * 300, b"1, " * 3000]
                at = rng.randrange(len(header) + 1)
                header = header[:at] + rng.choice(tokens) + header[at + rng.choice([0, 1, 3, 8]):]
            return pictures.npy(header=header, version=data[6], body=data[end:])
        return mutants.change_bytes(rng, data)

    def case(self, rng):
        way = rng.randrange(12)

        def one(group):
            name = rng.choice(list(group))
            return name, self.change(rng, group[name])

        files, makes = {"x.npy": self.plain}, ("o",)
        if way < 5:
            name, data = one(self.inputs)
            files[name] = data
            args = rng.choice([["run", NET, name, "--json"], ["run", NET, name],
                ["run", NET, "--input", f"input={name}", "--output-dir", "o"],
                ["explain", NET, name, "--recipe", "gradient", "--out", "o"],
                ["select", NET, name, "--recipe", "gradient", "--metric", "sparseness", "--out", "o"]])
        elif way < 9:
            group, flag = [(self.targets, "--target"), (self.masks, "--masks"), (self.relevance, "--attributions"),
                (self.targets, "--target")][way - 5]
            name, data = one(group)
            files[name] = data
            args = ["evaluate", NET, "x.npy", "--metric", "evidence_share" if flag == "--masks" else "sparseness",
                *(["--recipe", "gradient"] if flag != "--attributions" else []), flag, name]
        else:
            name, data = one(self.texts)
            files |= self.texts | {name: data, "m.onnx": self.network, "p.png": pictures.png_of(pictures.photo())}
            args = {"m.toml": ["run", "m.onnx", "p.png"], "l.txt": ["run", "m.onnx", "p.png", "--json"],
                "s.toml": ["select", "m.onnx", "x.npy", "--space", "s.toml", "--out", "o"],
                "r.toml": ["explain", "m.onnx", "x.npy", "--recipe", "r.toml"]}[name]
        return Case(f"{name}/{args[0]}", args, files, ANY, makes=makes, quiet_ok="--input" in args)


class Databases:
    """Mutants of results: what is told of them is refused, or is what an undisturbed run tells."""

    def __init__(self, root, program, folder):
        self.base = process.Base(folder, program, root / "assets/shapes")
        self.done = {name: self.base.bytes(f"{name}/results.sqlite") for name in ("done", "part1", "part2")}
        self.images = self.base.images()
        self.cells = process.base_cells(self.base.folder / "done/results.sqlite")
        merged = folder / "m"
        merged.mkdir()
        subprocess.run([program, "merge", "../part1/results.sqlite", "../part2/results.sqlite", "--output", "m.sqlite"],
            cwd=merged, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.merged = process.base_cells(merged / "m.sqlite")

    def change(self, rng, data):
        data = bytearray(data)
        if rng.random() < 0.5:  # bytes
            for _ in range(rng.choice([1, 1, 4, 30])):
                at = rng.randrange(len(data)) if rng.random() < 0.8 else rng.randrange(100)
                data[at] = rng.choice([0, 0xFF, data[at] ^ 1 << rng.randrange(8), rng.randrange(256)])
        elif rng.random() < 0.5:  # pages
            size, pages = 4096, len(data) // 4096
            a, b = rng.randrange(pages), rng.randrange(pages)
            data[a * size:(a + 1) * size] = data[b * size:(b + 1) * size] if rng.random() < 0.6 else bytes(size)
        else:
            return mutants.change_bytes(rng, bytes(data))
        return bytes(data)

    def case(self, rng):
        way = rng.randrange(10)
        same = None
        if way < 4:
            files = {"r.sqlite": self.change(rng, self.done["done"])}
            args, makes = ["report", "r.sqlite", "--out", "o"], ("o",)
        elif way < 7:
            files = {"a.sqlite": self.done["part1"], "b.sqlite": self.change(rng, self.done["part2"])}
            args, makes = ["merge", *rng.choice([["a.sqlite", "b.sqlite"], ["b.sqlite", "a.sqlite"]]), "--output",
                "m.sqlite"], ("m.sqlite",)
            same = ("m.sqlite", self.merged)
        else:
            files = {**self.images, "o/results.sqlite": self.change(rng, self.done[rng.choice(["done", "part1"])])}
            args, makes = [*process.SELECT, "--out", "o"], ("o",)
            same = ("o/results.sqlite", self.cells)

        def check(folder, outcome):
            if outcome.code == 0 and same and process.base_cells(folder / same[0]) not in (same[1], None):
                return ["changed bytes became other results, in silence"]
            return []

        return Case(args[0], args, files, ANY, makes=makes, check=check)


KINDS = {"models": Models, "images": Images, "arrays": Arrays, "databases": Databases}


def generator(kind: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{kind} {seed} {number}")
