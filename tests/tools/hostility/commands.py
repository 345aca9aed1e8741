"""Random command lines: subcommands and flags as --help tells them, words as `list` tells them, values that fit, almost fit, or do not."""

import re
import subprocess

import numpy as np

from . import pictures
from .attacks import BOUNDARY, words_of
from .attacks import word as declared_word
from .case import ANY, Case

NUMBERS = ["0", "1", "2", "-1", "3", "64", "1e3", "0.5", "4096", "4097", "2147483647", "2147483648", "9223372036854775807",
    "9223372036854775808", "99999999999999999999999", "-9223372036854775808", "nan", "inf", "0x10", "1,2", "1 2", "", " ", "٣"]
TEXTS = ["", "x", "-", "--", "\x1b[31m", "\udcff", "n" * 5000, "é", "a\nb", "*", "/", ".", "..", "%s", "$(id)", "'", "\"", "rgb",
    "bgr", "gray", "auto", "5m", "1s", "-5s", "1/2", "0/2", "3/2", "1/0", "1/999999999999", "512M", "2G", "-1G", "1e9G", "0"]


class Commands:
    def __init__(self, root, program, folder):
        self.words = {w: words_of(program, w) for w in ("recipes", "metrics", "rules")}
        text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
        self.subcommands = re.findall(r"^  ([a-z]+)  ", text[text.index("Subcommands"):], re.M)
        self.common = self.flags(text[:text.index("Subcommands")])
        self.options = {s: self.flags(subprocess.run([program, s, "--help"], capture_output=True, text=True, check=True).stdout)
            for s in self.subcommands}
        self.positionals = {}
        for s in self.subcommands:
            usage = subprocess.run([program, s, "--help"], capture_output=True, text=True, check=True).stdout
            self.positionals[s] = re.findall(r"[A-Z]{2,}", re.search(r"Usage: (.*)", usage)[1].replace("[OPTIONS]", ""))
        x = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
        masks = np.zeros((2, 64, 64), np.float32)
        masks[:, 20:40, 20:40] = 1
        self.files = {"m.onnx": (root / "tests/goldens/cnn.onnx").read_bytes(),
            "s.onnx": (root / "assets/shapes/shapes.onnx").read_bytes(), "x.npy": pictures.npy(x),
            "x.npz": pictures.npz({"x.npy": pictures.npy(x)}), "d/a.png": pictures.png_of(pictures.photo(1)),
                      "d/b.png": pictures.png_of(pictures.photo(2)), "k.npy": pictures.npy(masks),
                      "t.npy": pictures.npy(np.arange(2)), "l.txt": b"a\nb\nc\nd\ne\nf\ng\nh\n",
                      "s.toml": b"recipes = [\"gradient\", \"edges\"]\n", "r.toml": b"recipe = \"gradient\"\n",
                      "bad.onnx": b"\x08\x08\x3a\xff", "bad.npy": b"\x93NUMPY", "bad.png": b"\x89PNG"}

    @staticmethod
    def flags(text):
        """Name to what it takes."""
        return {m[1]: m[2] for m in re.finditer(r"^  (?:-h,)?(--[a-z-]+)(?: ([A-Z]+))?", text, re.M)
            if m[1] not in ("--help", "--version")}

    def value(self, rng, flag, kind):
        if rng.random() < 0.2:
            return rng.choice(TEXTS + NUMBERS + list(self.files))
        fitting = {"--recipe": lambda: declared_word(rng, self.words["recipes"], wild=0.4),
            "--metric": lambda: declared_word(rng, self.words["metrics"], wild=0.4),
            "--target": lambda: rng.choice(["auto", "0", "7", "8", "-1", "t.npy", "a", "bad.npy"]),
                   "--masks": lambda: rng.choice(["k.npy", "d", "bad.npy", "nowhere"]),
                   "--attributions": lambda: rng.choice(["x.npy", "k.npy", "bad.npy"]),
                   "--labels": lambda: rng.choice(["l.txt", "bad.png"]),
                   "--space": lambda: rng.choice(["s.toml", "r.toml", "l.txt"]),
                   "--out": lambda: rng.choice(["o", "o/deep/er", "l.txt", "/proc/x", "/dev/null"]),
                   "--output": lambda: rng.choice(["o.npy", "o/y.npy", "d", "/dev/full"]),
                   "--output-dir": lambda: rng.choice(["o", "l.txt"]), "--raw": lambda: rng.choice(["o.npy", "/dev/full", "d"]),
                   "--input": lambda: rng.choice(["input=x.npy", "x=x.npy", "input=", "=x.npy", "input=bad.npy", "input"]),
                   "--memory": lambda: rng.choice(["512M", "2G", "1", "0", "1K", "-1G", "9999999G"]),
                   "--batch": lambda: rng.choice(["0", "1", "2", "3", "64", "4096", "-1"]),
                   "--channels": lambda: rng.choice(["rgb", "bgr", "gray", "RGB"]),
                   "--motion": lambda: rng.choice(["translation", "rotation", "brightness", "x"]),
                   "--shard": lambda: rng.choice(["1/2", "2/2", "3/2", "0/1", "x"]),
                   "--budget": lambda: rng.choice(["1s", "0", "-1s", "1e9h", "x"]),
                   "--pool": lambda: rng.choice(["sum", "abs", "l2", "max", "positive", "x"]),
                   "--size": lambda: rng.choice(["64", "8", "0", "1", "-3", "100000", "1000000000"]),
                   "--resize": lambda: rng.choice(["64", "0", "1", "-3", "100000", "1000000000"]),
                   "--threads": lambda: rng.choice(["1", "1", "1", "2", "0", "1024", "-1"]),
                   "--limit": lambda: rng.choice(["1", "0", "1000000000", "-1"]),
                   "--count": lambda: rng.choice(["1", "2", "0", "-1"]),
                   "--pixels": lambda: rng.choice(["16", "64", "0", "100000"])}
        if flag in fitting:
            return fitting[flag]()
        return rng.choice(NUMBERS if kind in ("INT", "UINT", "FLOAT") else TEXTS)

    def positional(self, rng, name):
        if rng.random() < 0.08:
            return rng.choice(TEXTS + NUMBERS)
        return {"MODEL": lambda: rng.choice(["s.onnx"] * 5 + ["m.onnx", "bad.onnx", "nowhere.onnx", "d"]),
            "INPUT": lambda: rng.choice(["d", "d/a.png", "x.npy", "x.npz", "bad.npy", "bad.png", "d/b.png"]),
            "RESULTS": lambda: rng.choice(["x.npy", "nowhere.sqlite", "d"]),
                "WHAT": lambda: rng.choice(["recipes", "metrics", "rules", "x"]),
                "NAME": lambda: rng.choice(["conservation", "continuity", "x", ""]),
                "KIND": lambda: rng.choice(["shapes", "watermark", "patches", "x"])}.get(name, lambda: rng.choice(TEXTS))()

    def case(self, rng):
        # bench and demos measure for minutes by themselves: only their refusals are of interest.
        subcommand = rng.choice([s for s in self.subcommands if s not in ("bench", "demo")] * 4 + ["bench", "demo", "nonsense",
            ""])
        options = {**self.options.get(subcommand, {}), **self.common}
        args = [subcommand] if rng.random() < 0.97 else []
        for name in self.positionals.get(subcommand, []):
            if rng.random() < 0.93:
                args.append(self.positional(rng, name))
        needed = {"explain": ["--recipe"], "check": ["--recipe"], "evaluate": ["--recipe", "--metric"], "merge": ["--output"],
            "select": ["--recipe"], "synth": ["--count"]}.get(subcommand, [])
        chosen = [f for f in needed if rng.random() < 0.95 and f in options] + [rng.choice(list(options))
            for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 5]))]
        if subcommand in ("bench", "demo"):
            args[1:] = [rng.choice(TEXTS)]
        for flag in chosen:
            args.append(flag)
            if options[flag] and rng.random() < 0.97:
                args.append(self.value(rng, flag, options[flag]))
        if subcommand in ("select", "explain", "check", "synth", "report", "demo") and "--out" not in args and rng.random() < 0.9:
            args += ["--out", "o"]
        if rng.random() < 0.1:
            rng.shuffle(args)
        if rng.random() < 0.04:
            args.insert(rng.randrange(len(args) + 1), rng.choice(["--help", "--version", "-x", "--", "---", "--recipe=gradient",
                "--nonsense"]))
        args = [a.replace("\0", "") for a in args]
        written = {args[k + 1].split("/")[0] for k, a in enumerate(args[:-1])
            if a in ("--out", "--output", "--raw", "--output-dir")} | {"o", "o.npy", "heatproof-out"}
        if "--input" in args and "--output-dir" not in args:  # outputs would lie in the working folder, under the network's names
            args += ["--output-dir", "o"]
        return Case(args[0] if args else "nothing", args, self.files, ANY,
            makes=tuple(written | {a.split("=", 1)[1].split("/")[0] for a in args if a.startswith(("--out=", "--raw="))}),
            quiet_ok=True)


assert Commands.flags("  -h,--help      x\n  --size INT     y\n  --json        z\n") == {"--size": "INT", "--json": None}
assert BOUNDARY
