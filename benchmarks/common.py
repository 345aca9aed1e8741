"""What all tables share: cases and rows, repeats in turns, workers that hold a peer, agreement of results.

    case = Case("resnet18 batch 1", lambda plan: [...rows...], quick=True)
    ours, peer = in_turns(plan.rounds, lambda: program.bench(...), lambda: worker.time("run"))
    row = ratio_row("forward.resnet18", "ResNet-18, batch 1", "ONNX Runtime", ours, peer, target=1.0)

A ratio is ours ÷ peer, below 1 where heatproof is faster; it is the median of the rounds' ratios, so that a machine that slows
down meanwhile slows both sides. Peers live in processes of their own, so that peaks of memory belong to one side.
"""

import dataclasses
import multiprocessing
import os
import pathlib
import statistics
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build/benchmarks"  # networks, inputs, attributions


class Skip(Exception):
    """What cannot be measured here, and why; the row says so."""


class Disagree(Exception):
    """Both sides do not compute the same; there is nothing to time."""


@dataclasses.dataclass
class Measure:
    """One side of one round."""
    ms: float
    peak_mb: float | None = None
    value: object = None  # what was computed, where it is wanted
    cpu_ms: float | None = None  # of all threads


@dataclasses.dataclass
class Row:
    key: str   # finds the row again in another run
    work: str
    peer: str
    ours_ms: float | None = None
    peer_ms: float | None = None
    ratio: float | None = None  # ours ÷ peer
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    target: float | None = None    # largest ratio that the project aims at
    limit_ms: float | None = None  # or the longest time
    ours_mb: float | None = None
    peer_mb: float | None = None
    error: float | None = None  # how far the two results are apart, relative to the largest value
    note: str = ""

    @property
    def met(self):
        if self.ratio is not None and self.target is not None:
            return self.ratio <= self.target
        if self.ours_ms is not None and self.limit_ms is not None:
            return self.ours_ms <= self.limit_ms
        return None


@dataclasses.dataclass
class Case:
    """Rows that are measured together. `measure` takes the plan."""
    name: str
    measure: object
    quick: bool = False  # part of the quick comparison


@dataclasses.dataclass
class Plan:
    """How thoroughly to measure, and where."""
    program: str
    threads: int
    rounds: int = 5
    quick: bool = False
    smoke: bool = False

    @property
    def size(self):
        return 32 if self.smoke else 224

    def networks(self, names):
        return ["tiny"] if self.smoke else list(names)

    def few(self, done=0):
        """Rounds of work that takes tens of seconds; less those that are done already."""
        return max(1, min(self.rounds, 2 if self.quick else 3) - done)

    def repeats(self, ms):
        """Runs of one round: about a second of them."""
        return 1 if self.smoke else max(1 if ms > 1000 else 2, min(30, int(1000 / max(ms, 1))))


def in_turns(rounds, *sides):
    """Calls the sides one after the other, `rounds` times, in changing order; returns one list of Measures per side."""
    measures = [[] for _ in sides]
    for i in range(rounds):
        order = list(range(len(sides)))
        for k in order if i % 2 == 0 else reversed(order):
            measures[k].append(sides[k]())
    return measures


def ratio_row(key, work, peer, ours, theirs, **more):
    """A row of two lists of Measures that were taken in turns."""
    ratios = [a.ms / b.ms for a, b in zip(ours, theirs)]
    peak = lambda side: max((m.peak_mb for m in side if m.peak_mb is not None), default=None)  # noqa: E731
    return Row(key, work, peer, statistics.median(m.ms for m in ours), statistics.median(m.ms for m in theirs), statistics.median(ratios),
               min(ratios), max(ratios), len(ratios), ours_mb=peak(ours), peer_mb=peak(theirs), **more)


def distance(ours, theirs):
    """Largest difference over the largest value of the peer's result."""
    import numpy as np
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape:
        raise Disagree(f"results of shapes {a.shape} and {b.shape}")
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))


def agree(ours, theirs, what, tolerance=1e-4):
    """The distance of both results. Throws Disagree when it is above the tolerance."""
    error = distance(ours, theirs)
    if not error <= tolerance:
        raise Disagree(f"{what}: results differ by {error:.1e} of the largest value, more than {tolerance:.0e}")
    return error


def peak_mb():
    """Peak of this process's resident memory in MB (2^20 bytes)."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return None


def _serve(pipe, cls, arguments):
    """In the worker: makes the peer, then calls its methods as asked."""
    try:
        module, name = cls.split(":")
        peer = getattr(__import__(module, fromlist=[name]), name)(**arguments)
        pipe.send(("ok", None))
        while True:
            method, values, repeats = pipe.recv()
            times = []
            for _ in range(repeats):
                begin = time.perf_counter()
                result = getattr(peer, method)(*values)
                times.append(1000 * (time.perf_counter() - begin))
            pipe.send(("ok", Measure(statistics.median(times), peak_mb(), result)))
    except EOFError:
        pass
    except Skip as reason:
        pipe.send(("skip", str(reason)))
    except Exception:  # told to the parent, which stops the row
        pipe.send(("failed", traceback.format_exc()))


class Worker:
    """A peer in a process of its own: Worker("benchmarks.peers:OnnxRuntime", threads, model=...).

    `time` calls a method and returns the median time, the process's peak of memory and the last result.
    """

    def __init__(self, cls, threads, **arguments):
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ[name] = str(threads)  # what the new process reads
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, cls, {"threads": threads, **arguments}), daemon=True)
        self.process.start()
        other.close()
        self._answer()

    def _answer(self):
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"the peer's process ended with {self.process.exitcode}; out of memory?") from None
        if kind == "skip":
            raise Skip(value)
        if kind == "failed":
            raise RuntimeError(value)
        return value

    def time(self, method, *values, repeats=1):
        self.pipe.send((method, values, repeats))
        return self._answer()

    def call(self, method, *values):
        return self.time(method, *values).value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
