"""Measures heatproof against its peers and writes docs/benchmarks.md.

    scripts/benchmark                      every table, about 40 minutes on two cores
    scripts/benchmark --only forward       one table (or several: forward,recipes); the others stay as recorded
    scripts/benchmark --resume             only the tables that are not yet recorded for this commit and machine
    scripts/benchmark --quick              the main ratios against the recorded table, below 3 minutes; exit code 1 when one got worse by more than 15 %
    scripts/benchmark --smoke              that everything runs, on a tiny network, in a minute; its page is build/benchmarks/smoke.md
    scripts/benchmark --kernels [FILTER]   Google Benchmark of single kernels
    scripts/benchmark --page               writes the page again from benchmarks/results.json
"""

import argparse
import os
import sys
import time

from benchmarks import machine, results, tables
from benchmarks.common import ROOT, WORK, Plan, Skip


def parse():
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=tables.NAMES, metavar="TABLE", help=", ".join(tables.NAMES))
    parser.add_argument("--case", default="", metavar="TEXT", help="only cases whose name contains this; prints, records nothing")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both sides (work of tens of seconds: at most 3)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/heatproof"))
    arguments = parser.parse_args()
    for name in arguments.only:
        if name not in tables.NAMES:
            parser.error(f"no table '{name}'; there are {', '.join(tables.NAMES)}")
    if not os.access(arguments.program, os.X_OK):
        parser.error(f"no program {arguments.program}; scripts/build makes it")
    return arguments


def say(row):
    met = {True: "", False: "  above its target", None: ""}[row.met]
    print(f"  {row.work} | {row.peer}: {row.ours_ms:.1f} ms ÷ {row.peer_ms:.1f} ms = {row.ratio:.3f} [{row.low:.3f}…{row.high:.3f}]{met}", flush=True)


def measure(plan, name, text):
    """Rows of one table, and why cases are missing. A case that fails does not end the others."""
    rows, missing, failures = [], [], 0
    for case in tables.table(name).cases(plan):
        if (plan.quick and not case.quick) or text not in case.name:
            continue
        begin = time.monotonic()
        try:
            found = case.measure(plan)
        except Skip as reason:
            missing.append(f"{case.name}: {reason}")
            print(f"  {case.name}: skipped: {reason}", flush=True)
            continue
        except Exception as error:  # whatever went wrong, the other cases are worth measuring
            failures += 1
            missing.append(f"{case.name}: {str(error).strip().splitlines()[-1]}")
            print(f"  {case.name}: FAILED: {error}", flush=True)
            continue
        rows += found
        for row in found:
            say(row)
        print(f"    ({case.name}: {time.monotonic() - begin:.1f} s)", flush=True)
    return rows, missing, failures


def recorded(name, here):
    return results.read()["tables"].get(name, {}).get("machine") == here


def run(plan, arguments):
    """Measures and records; returns the number of failures."""
    here = machine.describe(plan)
    total = 0
    for name in arguments.only:
        if arguments.resume and recorded(name, here):
            print(f"{name}: recorded already")
            continue
        print(f"{name}: {tables.table(name).TITLE}", flush=True)
        rows, missing, failures = measure(plan, name, arguments.case)
        total += failures
        if not arguments.case:
            where = (WORK / "smoke.json", WORK / "smoke.md") if plan.smoke else (results.FILE, results.PAGE)
            results.record(name, rows, missing, here, where[0])
            results.write_page(*where)
    return total


def quick(plan, arguments):
    """Compares with the recorded table; returns the number of failures and of ratios that got worse."""
    rows, total = [], 0
    for name in arguments.only:
        found, _, failures = measure(plan, name, arguments.case)
        rows += found
        total += failures
    lines = results.compare(rows)
    print("\nAgainst the recorded table:", *lines, sep="\n")
    return total + sum(line.strip().startswith("WORSE") for line in lines)


def main():
    arguments = parse()
    if arguments.page:
        results.write_page()
        return
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        os.environ.pop(name, None)  # both sides wait as they do by themselves
    WORK.mkdir(parents=True, exist_ok=True)
    rounds = 1 if arguments.smoke else 3 if arguments.quick else arguments.rounds
    plan = Plan(arguments.program, arguments.threads, rounds, arguments.quick, arguments.smoke)
    begin = time.monotonic()
    failures = quick(plan, arguments) if arguments.quick and not arguments.smoke else run(plan, arguments)
    print(f"{time.monotonic() - begin:.0f} s, {failures} failed or worse")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
