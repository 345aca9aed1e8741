"""Runs that are killed at random moments and started again: in the end the same bytes as of a run that nobody disturbed."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from . import pictures, process
from .runner import LEFT, computed, faults_of_messages


def contents(folder: pathlib.Path) -> dict:
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.rglob("*"))
        if f.is_file()}


class Kills:
    def __init__(self, root, program, folder):
        self.program, self.shapes, self.top = program, root / "assets/shapes", folder
        base = folder / "base"
        base.mkdir(parents=True)
        (base / "images").mkdir()
        for k in range(8):
            (base / f"images/{k}.png").write_bytes(pictures.png_of(pictures.photo(k)))
        for part in ("1/3", "2/3", "3/3"):
            self.call(base, [*process.SELECT, "--metric", "sparseness", "--shard", part, "--out", f"part{part[0]}"])
        for part in "123":
            shutil.move(base / f"part{part}/results.sqlite", base / f"{part}.sqlite")
            shutil.rmtree(base / f"part{part}")
        self.call(base, [*process.SELECT, "--metric", "sparseness", "--out", "whole"])
        shutil.move(base / "whole/results.sqlite", base / "whole.sqlite")
        shutil.rmtree(base / "whole")
        self.base = base
        self.jobs = {
            "select": [*process.SELECT, "--recipe", "edges", "--out", "o"],
            "select_part": [*process.SELECT, "--metric", "sparseness", "--shard", "1/2", "--out", "o"],
            "explain": ["explain", "{S}/shapes.onnx", "images", "--recipe", "lrp_epsilon_plus", "--out", "o", "--raw", "o/r.npy"],
            "merge": ["merge", "1.sqlite", "2.sqlite", "3.sqlite", "--output", "o/m.sqlite"],
            "report": ["report", "whole.sqlite", "--out", "o"],
            "check": ["check", "{S}/shapes.onnx", "images", "--recipe", "gradient", "--metric", "sparseness", "--limit", "2",
            "--out", "o"],
            "run": ["run", "{S}/shapes.onnx", "images", "--output", "o/y.npy"],
        }
        self.whole, self.seconds = {}, {}
        for name, args in self.jobs.items():
            place = self.fresh(f"undisturbed_{name}")
            start = time.monotonic()
            self.call(place, args)
            self.seconds[name] = time.monotonic() - start
            self.whole[name] = contents(place)
            shutil.rmtree(place)

    def fresh(self, name):
        place = self.top / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.base, place)
        (place / "o").mkdir()
        return place

    def command(self, args):
        return [str(self.program), *(a.replace("{S}", str(self.shapes)) for a in args), "--threads", "1"]

    def call(self, folder, args):
        done = subprocess.run(self.command(args), cwd=folder, capture_output=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"})
        if done.returncode != 0:
            raise RuntimeError(f"{args}: {done.stderr.decode()}")

    def attack(self, rng, name):
        """Faults, the command, and the folder where they happened."""
        job = rng.choice(["select"] * 5 + ["explain"] * 3 + ["merge"] * 3 + ["select_part", "report", "check", "run"])
        args, faults, told = self.jobs[job], [], []
        place = self.fresh(name)
        for attempt in range(rng.choice([1, 1, 2, 3, 5])):
            number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
            # Where files are put in their places there is most to break: late moments are tried as often as all others.
            wait = self.seconds[job] * (rng.uniform(0, 1.1) if rng.random() < 0.6 else rng.uniform(0.8, 1.15))
            child = subprocess.Popen(self.command(args), cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={**os.environ, "OMP_WAIT_POLICY": "passive"}, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            time.sleep(wait)
            begun = computed(child.pid) > 0.08  # else it may still be loading libraries
            child.send_signal(number)
            try:
                words = child.communicate(timeout=30)[1]
            except subprocess.TimeoutExpired:
                child.kill()
                faults.append(f"does not end within 30 s of {number.name}")
                break
            told.append(f"{number.name} after {wait:.3f} s: exit {child.returncode}")
            if number == signal.SIGKILL or child.returncode == -number and not words and not begun:
                continue
            if child.returncode not in range(5):
                faults.append(f"{number.name}: ended by it without a word" if child.returncode == -number
                    else f"{number.name}: exit {child.returncode}")
            elif child.returncode == 1 and job.startswith("select") and b"again" not in words and b"resum" not in words:
                faults.append(f"{number.name}: no word on how to resume")
            faults += faults_of_messages(words, max(0, child.returncode)) if child.returncode >= 0 else []
        last = subprocess.run(self.command(args), cwd=place, capture_output=True)
        if last.returncode != 0:
            faults.append(f"the next run ends with {last.returncode}")
        found = contents(place)
        faults += [f"left {''.join(c for c in f if not c.isdigit())}" for f in found if f.endswith((*LEFT, ".new"))]
        faults += [f"other bytes than undisturbed: {f}" for f in self.whole[job] if found.get(f) != self.whole[job][f]]
        return job, sorted(set(faults)), told + [last.stderr.decode("utf-8", "replace")[:500]], place
