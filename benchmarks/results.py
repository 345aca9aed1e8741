"""The recorded table: benchmarks/results.json, from which docs/benchmarks.md and its chart are written."""

import dataclasses
import datetime
import json

from benchmarks import tables
from benchmarks.common import ROOT, Row

FILE = ROOT / "benchmarks/results.json"
PAGE = ROOT / "docs/benchmarks.md"
WORSE = 1.15  # a ratio that has grown by more than this is reported


def read(file=FILE):
    """{"machine": {...}, "tables": {name: {"when", "machine", "rows": [...], "skipped": [...]}}}; empty where nothing is recorded."""
    return json.loads(file.read_text()) if file.exists() else {"tables": {}}


def _digits(value):
    return float(f"{value:.4g}") if isinstance(value, float) else value


def record(name, rows, skipped, machine, file=FILE):
    """Puts one table in the place of the one that was there."""
    results = read(file)
    short = [{k: _digits(v) for k, v in dataclasses.asdict(row).items() if v not in (None, "")} for row in rows]
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    results["tables"][name] = {"when": when, "machine": machine, "rows": short, "skipped": skipped}
    results["tables"] = {n: results["tables"][n] for n in tables.NAMES if n in results["tables"]}
    part = file.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    part.rename(file)


def rows_of(table):
    return [Row(**row) for row in table["rows"]]


def compare(rows, file=FILE):
    """Lines about what got worse against the recorded table, by key."""
    recorded = {row.key: row for table in read(file)["tables"].values() for row in rows_of(table)}
    lines = []
    for row in rows:
        old = recorded.get(row.key)
        if old is None or not old.ratio or not row.ratio:
            lines.append(f"  new     {row.work} against {row.peer}: {row.ratio:.2f}" if row.ratio else f"  new     {row.work}")
            continue
        change = row.ratio / old.ratio
        # Noise of a shared machine: the best round must be worse, too.
        worse = change > WORSE and row.low > old.ratio
        lines.append(f"  {'WORSE' if worse else 'ok':<7} {row.work} against {row.peer}: {row.ratio:.2f}, recorded {old.ratio:.2f} ({100 * (change - 1):+.0f} %)")
    return lines


def _time(ms):
    if ms is None:
        return ""
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms" if ms < 2000 else f"{ms / 1000:.2f} s"


def _faster(ratio):
    return f"{ratio:.2f}" if ratio > 0.2 else f"{ratio:.3f}"


def _target(row):
    if row.target is not None:
        return f"≤ {_faster(row.target)}"
    return f"≤ {_time(row.limit_ms)}" if row.limit_ms else ""


def _cells(row):
    met = {True: "yes", False: "**no**", None: ""}[row.met]
    mb = lambda v: f"{v:.0f}" if v else ""  # noqa: E731
    ratio = f"{_faster(row.ratio)} [{_faster(row.low)}…{_faster(row.high)}]" if row.ratio else ""
    return [row.work, row.peer, _time(row.ours_ms), _time(row.peer_ms), ratio, _target(row), met, mb(row.ours_mb), mb(row.peer_mb),
            f"{row.error:.0e}" if row.error is not None else ""]


HEAD = ["work", "against", "heatproof", "peer", "ratio", "target", "met", "peak MB", "peer's", "results differ by"]


def markdown(name, table):
    module = tables.table(name)
    lines = [f"## {module.TITLE}", module.ABOUT, ""]
    rows = rows_of(table)
    columns = [i for i in range(len(HEAD)) if any(_cells(row)[i] for row in rows)]
    line = lambda cells: "| " + " | ".join(cells[i] for i in columns) + " |"  # noqa: E731
    lines += [line(HEAD), "|" + " --- |" * len(columns)] + [line(_cells(row)) for row in rows]
    notes = [f"- {row.work} against {row.peer}: {row.note}" for row in rows if row.note]
    notes += [f"- not measured: {text}" for text in table["skipped"]]
    return lines + ([""] + notes if notes else [])


def write_page(file=FILE, page=PAGE):
    """docs/benchmarks.md, and docs/scaling.svg where there is something to draw."""
    results = read(file)["tables"]
    lines = ["# Benchmarks", "",
             "`scripts/benchmark` measures both sides on the machine at hand, each in processes of its own, in turns and on the same threads, after it has checked that both compute the",
             "same. A ratio is heatproof's time ÷ the peer's: below 1, heatproof is faster. Times are medians; a ratio is the median of the rounds' ratios, [smallest…largest]. Peaks are",
             "of resident memory. Networks are torchvision's with random weights, images 224×224. This page is written by the script; do not edit it.", ""]
    machines = []
    for name, table in results.items():
        if table["machine"] not in machines:
            machines.append(table["machine"])
    for i, machine in enumerate(machines, 1):
        names = ", ".join(f"{n} ({t['when']})" for n, t in results.items() if t["machine"] == machine)
        lines += [f"Machine{f' {i}' if len(machines) > 1 else ''} of {names}: " + "; ".join(f"{k} {v}" for k, v in machine.items()) + ".", ""]
    for name, table in results.items():
        lines += [*markdown(name, table), ""]
    page.write_text("\n".join(lines).rstrip() + "\n")
    if "scaling" in results:
        from benchmarks import chart
        chart.draw(rows_of(results["scaling"]), page.with_name("scaling.svg"))
