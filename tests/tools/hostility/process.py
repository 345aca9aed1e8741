"""Hostile surroundings: streams that are closed or full, limits, signals, read-only and damaged databases, parts that do not fit."""

import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

from . import pictures as p
from .case import ANY, FINE, REFUSED, Case

NET = "{S}/shapes.onnx"
SELECT = ["select", NET, "images", "--recipe", "gradient", "--recipe", "lrp_epsilon_plus"]
RESUME = r"(?i)resum|again"


class Base:
    """Results of an undisturbed run that cases copy: done/, part1/, part2/, images/."""

    def __init__(self, folder: pathlib.Path, program, shapes):
        self.folder = folder
        (folder / "images").mkdir(parents=True)
        for k in range(3):
            (folder / f"images/{k}.png").write_bytes(p.png_of(p.photo(k)))
        select = [str(program), *(a.replace("{S}", str(shapes)) for a in SELECT), "--threads", "1", "--quiet"]
        for out, more in [("done", []), ("part1", ["--shard", "1/2"]), ("part2", ["--shard", "2/2"]),
                ("seed2", ["--shard", "2/2", "--seed", "7"]), ("batch2", ["--shard", "2/2", "--size", "64", "--mean", "0.1"])]:
            subprocess.run([*select, "--out", out, *more], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)

    def bytes(self, name):
        return (self.folder / name).read_bytes()

    def images(self):
        return {f"images/{k}.png": self.bytes(f"images/{k}.png") for k in range(3)}


def streams(base):
    images = base.images()
    commands = {"inspect": ["inspect", NET], "graph": ["inspect", NET, "--graph"], "json": ["inspect", NET, "--json"],
        "run": ["run", NET, "images"], "explain": ["explain", NET, "images", "--recipe", "gradient", "--out", "o"],
                "select": [*SELECT, "--out", "o"], "list": ["list", "metrics"], "help": ["--help"], "version": ["--version"],
                "subhelp": ["select", "--help"], "none": ["inspect", "/nope"], "usage": ["inspect"],
                "report": ["report", "r.sqlite", "--out", "o"]}
    done = {**images, "r.sqlite": base.bytes("done/results.sqlite")}
    for name, command in commands.items():
        fails = name in ("none", "usage")
        for way, shell, codes in [("out_full", 'exec "$0" "$@" >/dev/full', frozenset({1})),
                ("out_closed", 'exec "$0" "$@" >&-', frozenset({1})), ("err_full", 'exec "$0" "$@" 2>/dev/full', FINE),
                ("err_closed", 'exec "$0" "$@" 2>&-', FINE),
                                  ("both_closed", 'exec "$0" "$@" >&- 2>&-', frozenset({1})),
                                  ("all_closed", 'exec "$0" "$@" <&- >&- 2>&-', frozenset({1})),
                                  ("in_closed", 'exec "$0" "$@" <&-', FINE)]:
            silent = "2>" in shell

            def check(folder, outcome,
                    silent=silent):  # a file that was opened in the place of a closed stream must not be written into
                return [] if not silent else [f for f in outcome.faults if "sqlite" in f]

            case = Case(f"stream/{name}/{way}", command, done, frozenset({2, 3}) if fails else codes, makes=("o",), shell=shell,
                check=check, quiet_ok=True)
            yield Silent(case) if silent else case
    # A reader that has had enough: quiet, as every tool of Unix.
    for name in ("graph", "json", "list", "run", "select", "explain", "help"):
        yield Case(f"pipe/{name}", commands[name], images, ANY, makes=("o",), shell='"$0" "$@" | true; exit 0', quiet_ok=True,
            check=lambda f, o: ["a closed pipe is not taken quietly"] if b"disk full" in o.stderr
            or b"standard output" in o.stderr else [])
    yield Case("pipe/head", ["inspect", NET, "--graph"], {}, ANY, shell='"$0" "$@" | head -3', check=lambda f,
        o: ["a closed pipe is not taken quietly"] if o.stderr else [])
    yield Case("pipe/code", ["list", "metrics"], {}, ANY,
        shell='"$0" "$@" | true; c=${PIPESTATUS[0]}; [ $c = 141 ] && exit 0; exit $c', quiet_ok=True)


def Silent(case):
    """stderr went elsewhere: how many lines there are cannot be judged."""
    inner = case.check

    def check(folder, outcome):
        outcome.faults[:] = [f for f in outcome.faults if "lines of error" not in f]
        return [] if inner is None else [f for f in inner(folder, outcome) if f not in outcome.faults]

    case.check = check
    return case


def limits(base):
    images = base.images()
    size = 'ulimit -f 1; exec "$0" "$@"'
    yield Case("limit/size_select", [*SELECT, "--out", "o"], images, frozenset({1}), makes=("o",), shell=size)
    yield Case("limit/size_explain", ["explain", NET, "images", "--recipe", "gradient", "--out", "o"], images, frozenset({1}),
        makes=("o",), shell=size)
    yield Case("limit/size_raw", ["explain", NET, "images", "--recipe", "gradient", "--raw", "r.npy"], images, frozenset({1}),
        makes=("r.npy",), shell=size)
    yield Silent(Case("limit/size_run", ["run", NET, "images/0.png", "--output", "r.npy"], images, ANY, makes=("r.npy",),
        shell='ulimit -f 0; exec "$0" "$@" 2>/dev/null', quiet_ok=True))
    yield Case("limit/size_check", ["check", NET, "images", "--recipe", "gradient", "--metric", "sparseness", "--out", "o"],
        images, frozenset({1}), makes=("o",), shell=size)
    yield Case("limit/size_merge", ["merge", "a.sqlite", "b.sqlite", "--output", "o"],
        {"a.sqlite": base.bytes("part1/results.sqlite"), "b.sqlite": base.bytes("part2/results.sqlite")}, frozenset({1}),
        makes=("o",), shell=size)
    yield Case("limit/size_report", ["report", "a.sqlite", "--out", "o"], {"a.sqlite": base.bytes("done/results.sqlite")},
        frozenset({1}), makes=("o",), shell=size)
    for mebi in (400, 800):
        yield Case(f"limit/memory_{mebi}", ["explain", NET, "images", "--recipe", "lrp_epsilon_plus", "--out", "o"], images, ANY,
            makes=("o",), shell=f'ulimit -v {mebi * 1024}; exec "$0" "$@"', quiet_ok=True)
    for count in (4, 6, 10):
        yield Case(f"limit/files_{count}", [*SELECT, "--out", "o"], images, ANY, makes=("o",),
            shell=f'ulimit -n {count}; exec "$0" "$@"', quiet_ok=True)
    yield Case("limit/threads", ["run", NET, "images", "--threads", "4"], images, ANY,
        shell='ulimit -u 1 2>/dev/null; exec "$0" "$@"')
    for variable in ("OMP_NUM_THREADS=-1", "OMP_NUM_THREADS=nonsense", "GOMP_SPINCOUNT=x", "TMPDIR=/nowhere", "HOME=",
            "LC_ALL=xx_YY", "OPENCV_IO_MAX_IMAGE_PIXELS=1", "OPENCV_LOG_LEVEL=VERBOSE", "ONEDNN_VERBOSE=0", "TERM=dumb",
            "COLUMNS=-1"):
        yield Silent(Case(f"environment/{variable}", ["run", NET, "images", "--json"], images, ANY,
            shell=f'exec env {variable} "$0" "$@" 2>/dev/null', quiet_ok=True))


def signals(base):
    """Ends that come from outside: told in one line with how to go on; nothing half-written."""
    images = base.images()
    for name in ("INT", "TERM", "HUP"):
        shell = f'exec timeout --foreground --preserve-status -s {name} 1 "$0" "$@"'
        yield Case(f"signal/{name}/select", ["select", NET, "images", "--out", "o"], images, frozenset({0, 1}), makes=("o",),
            shell=shell, quiet_ok=True, check=told_to_resume)
        yield Case(f"signal/{name}/check", ["check", NET, "images", "--recipe", "lime", "--out", "o"], images, frozenset({0, 1}),
            makes=("o",), shell=shell, quiet_ok=True)


def told_to_resume(folder, outcome):
    outcome.faults[:] = [f for f in outcome.faults
        if not f.endswith("sqlite-journal")]  # by which the next run sets right what was half-written
    if outcome.code == 1 and not re.search(RESUME, outcome.stderr.decode("utf-8", "replace")):
        return ["a signal ended it without a word on how to resume"]
    return []


def alter(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def databases(base):
    done, one, two = (base.bytes(f"{name}/results.sqlite") for name in ("done", "part1", "part2"))
    images = base.images()

    def changed(*statements, name="o/results.sqlite"):
        return lambda folder: alter(folder / name, *statements)

    same = Case("database/report", ["report", "r.sqlite", "--out", "o"], {"r.sqlite": done}, FINE, makes=("o",))
    yield same
    yield Case("database/merge", ["merge", "a.sqlite", "b.sqlite", "--output", "o.sqlite"], {"a.sqlite": one, "b.sqlite": two},
        FINE, makes=("o.sqlite",))

    out = {"report": ["report", "r/r.sqlite", "--out", "o"], "merge": ["merge", "r/r.sqlite", "--output", "o/m.sqlite"]}
    for name, command in out.items():
        for way in ("owner", "nobody"):
            # Whoever is root may write everywhere: that a folder is read-only is seen as somebody else, where that is possible.
            if way == "nobody" and (os.geteuid() != 0 or shutil.which("setpriv") is None):
                continue

            def prepare(folder, way=way):
                (folder / "o").mkdir()
                (folder / "o").chmod(0o777)
                (folder / "r/r.sqlite").chmod(0o444)
                (folder / "r").chmod(0o555)
                if way == "nobody":
                    folder.parent.chmod(0o755)
                    folder.chmod(0o755)

            shell = 'exec "$0" "$@"' if way == "owner" else 'setpriv --reuid 65534 --clear-groups "$0" --version >/dev/null 2>&1 || exec "$0" "$@"; exec setpriv --reuid 65534 --clear-groups "$0" "$@"'
            yield Case(f"database/read_only/{name}/{way}", command, {"r/r.sqlite": done}, FINE, makes=("o",), prepare=prepare,
                shell=shell)
    yield Case("database/link", ["report", "r.sqlite", "--out", "o"], {"x/y.sqlite": done}, FINE, makes=("o",),
        prepare=lambda f: (f / "r.sqlite").symlink_to("x/y.sqlite"))
    yield Case("database/pipe", ["report", "r.sqlite", "--out", "o"], {}, REFUSED, makes=("o",),
        prepare=lambda f: os.mkfifo(f / "r.sqlite"))
    yield Case("database/folder", ["report", "r.sqlite", "--out", "o"], {"r.sqlite/x": b""}, REFUSED, makes=("o",))
    yield Case("database/zero", ["merge", "/dev/zero", "--output", "o.sqlite"], {}, REFUSED, makes=("o.sqlite",))
    yield Case("database/none", ["merge", "nowhere.sqlite", "--output", "o.sqlite"], {}, REFUSED, makes=("o.sqlite",),
        check=lambda f, o: ["made a database of what is not there"] if (f / "nowhere.sqlite").exists() else [])
    yield Case("database/into_itself", ["merge", "a.sqlite", "--output", "a.sqlite"], {"a.sqlite": done}, ANY, makes=())
    for name, data in {"empty": b"", "text": b"hello", "head": done[:100], "half": done[:len(done) // 2 // 4096 * 4096],
            "zeros": bytes(8192), "header": done[:16] + b"\xff" * 84 + done[100:], "page_size": done[:16] + b"\0\0" + done[18:],
                       "wal": done[:18] + b"\2\2" + done[20:], "pages": done[:28] + b"\xff\xff\xff\xff" + done[32:],
                       "free": done[:32] + b"\0\0\0\2\xff\xff\xff\xff" + done[40:]}.items():
        for how, command in {"report": ["report", "r.sqlite", "--out", "o"],
                "merge": ["merge", "r.sqlite", "--output", "o.sqlite"]}.items():
            yield Case(f"database/bytes/{name}/{how}", command, {"r.sqlite": data}, ANY if name in ("wal", "free", "pages")
                else REFUSED, makes=("o", "o.sqlite"))
        yield Case(f"database/bytes/{name}/resume", [*SELECT, "--out", "o"], {**images, "o/results.sqlite": data}, ANY,
            makes=("o",))

    # What somebody changed in a stored cell is noticed, or measured anew: never taken for the truth.
    for name, statement in {
            "score": "UPDATE cells SET score = score + 1", "one_score": "UPDATE cells SET score = 0.5 WHERE recipe = 'gradient'",
            "null": "UPDATE cells SET score = NULL", "text": "UPDATE cells SET score = 'many'",
            "infinite": "UPDATE cells SET score = 9e999", "curve": "UPDATE cells SET curves = x'ffffffffffffffff'",
            "curve_wrap": "UPDATE cells SET curves = x'0100000000000000610000000000000020'",
            "curve_long": "UPDATE cells SET curves = zeroblob(1000000)",
            "input": "UPDATE cells SET input = 'x' || input", "recipe": "UPDATE OR IGNORE cells SET recipe = 'lrp_epsilon_plus'",
            "seed": "UPDATE cells SET seed = -1", "target": "UPDATE cells SET target = 9223372036854775807",
            "version": "PRAGMA user_version = 99", "application": "PRAGMA application_id = 1", "no_cells": "DROP TABLE cells",
            "no_facts": "DROP TABLE facts", "column": "ALTER TABLE cells DROP COLUMN curves",
            "other": "ALTER TABLE cells RENAME COLUMN score TO score2",
            "trigger": "CREATE TRIGGER t AFTER INSERT ON cells BEGIN DELETE FROM cells; END",
            "view": "CREATE VIEW v AS SELECT * FROM cells", "report_text": "UPDATE facts SET value = 'x' WHERE name = 'report'",
            "report_deep": "UPDATE facts SET value = replace(hex(zeroblob(500000)), '0', '[') WHERE name = 'report'",
            "report_empty": "UPDATE facts SET value = '{}' WHERE name = 'report'",
            "report_array": "UPDATE facts SET value = '[]' WHERE name = 'report'",
            "report_null": "UPDATE facts SET value = 'null' WHERE name = 'report'",
            "heatmap": "UPDATE facts SET value = x'00' WHERE name LIKE 'report heatmap%'",
            "photo": "UPDATE facts SET value = x'00' WHERE name LIKE 'report photo%'",
            "no_heatmap": "DELETE FROM facts WHERE name LIKE 'report heatmap%'",
            "names": "UPDATE facts SET name = name || '\x1b[31m'",
            "metric_script": "UPDATE cells SET metric = metric || '<script>alert(1)</script>\x1b[31m'",
            "big": "INSERT INTO facts (name, value) VALUES ('big', zeroblob(300000000))"}.items():
        numbers = name in ("score", "one_score", "null", "text", "infinite")
        for how, command in {"report": ["report", "o/results.sqlite", "--out", "o2"],
                "merge": ["merge", "o/results.sqlite", "b.sqlite", "--output", "m.sqlite"],
                "resume": [*SELECT, "--out", "o"]}.items():
            def check(folder, outcome, how=how):
                if outcome.code != 0 or how != "resume" or base_cells(folder / "o/results.sqlite") == base_cells(base.folder / "done/results.sqlite"):
                    return []
                return ["changed cells were taken for measured ones"]

            yield Case(f"database/changed/{name}/{how}", command, {**images, "o/results.sqlite": done, "b.sqlite": two}, ANY,
                makes=("o2", "m.sqlite", "o" if how == "resume" else "o2"), prepare=changed(statement), check=check if numbers
                else None)
    # Parts of other runs.
    for name in ("seed2", "batch2"):
        yield Case(f"database/parts/{name}", ["merge", "a.sqlite", "b.sqlite", "--output", "o.sqlite"],
            {"a.sqlite": one, "b.sqlite": base.bytes(f"{name}/results.sqlite")}, frozenset({1, 2, 3}), makes=("o.sqlite",))
        yield Case(f"database/parts/{name}_reversed", ["merge", "b.sqlite", "a.sqlite", "--output", "o.sqlite"],
            {"a.sqlite": one, "b.sqlite": base.bytes(f"{name}/results.sqlite")}, frozenset({1, 2, 3}), makes=("o.sqlite",))
    yield Case("database/resume_other_seed", [*SELECT, "--out", "o", "--seed", "9"], {**images, "o/results.sqlite": done}, ANY,
        makes=("o",))

    def remains(folder):  # of runs that are dead: removed by the next one
        (folder / "o").mkdir(exist_ok=True)
        for name in ("results.sqlite.new", ".heatproof-999999-0.tmp"):
            (folder / "o" / name).write_bytes(b"half")

    def removed(folder, outcome):
        left = [f.name for f in (folder / "o").iterdir() if f.name.endswith((".tmp", ".new", ".tmp-journal"))]
        outcome.faults[:] = [f for f in outcome.faults if not f.startswith("left the temporary")]
        return [f"temporary files of dead runs stay: {', '.join(sorted(left))}"] if left else []

    yield Case("remains/select", [*SELECT, "--out", "o"], images, FINE, makes=("o",), prepare=remains, check=removed)
    hot = {**images, "o/results.sqlite": done, "o/results.sqlite-journal": b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\xff" * 600}
    yield Case("remains/journal", [*SELECT, "--out", "o"], hot, ANY, makes=("o",))
    yield Case("remains/locked", [*SELECT, "--out", "o"], {**images, "o/results.sqlite": done}, frozenset({1}), makes=("o",),
        shell='python3 -c "import sqlite3,time; c=sqlite3.connect(\'o/results.sqlite\'); c.execute(\'BEGIN EXCLUSIVE\'); open(\'o/ready\',\'w\'); time.sleep(6)" & while [ ! -e o/ready ]; do sleep 0.05; done; rm o/ready; "$0" "$@"; c=$?; kill %1; exit $c')


def base_cells(path):
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        columns = [r[1] for r in db.execute("PRAGMA table_info(cells)")]
        wanted = ", ".join(c for c in columns if c in ("model", "input", "target", "recipe", "metric", "seed", "score", "curves"))
        return list(db.execute(f"SELECT {wanted} FROM cells ORDER BY 1, 2, 3, 4, 5, 6"))
    except sqlite3.Error:
        return None


def places(base):
    """Where results go: what is not a folder, is read-only, or is somebody else's."""
    images = base.images()
    for name, prepare in {"file": lambda f: (f / "o").write_bytes(b"mine"), "pipe": lambda f: os.mkfifo(f / "o"),
            "circle": lambda f: (f / "o").symlink_to("o"), "null": lambda f: (f / "o").symlink_to("/dev/null"),
            "nowhere": lambda f: (f / "o").symlink_to("/proc/nowhere")}.items():
        for command in ([*SELECT, "--out", "o"], ["explain", NET, "images", "--recipe", "gradient", "--out", "o"],
                ["report", "r.sqlite", "--out", "o"], ["check", NET, "images", "--recipe", "gradient", "--metric", "sparseness",
                "--out", "o"], ["demo", "continuity", "--out", "o"]):
            if command[0] == "demo" and name != "file":
                continue
            yield Case(f"place/{name}/{command[0]}", command, {**images, "r.sqlite": base.bytes("done/results.sqlite")},
                ANY - FINE, prepare=prepare)
    for name, output in {"folder": "images", "deep": "a/" * 3000 + "x.npy", "long": "n" * 300 + ".npy",
            "control": "\x1b[31m\n/x/y.npy", "dev_full": "/dev/full", "nowhere": "/proc/nowhere/x.npy"}.items():
        yield Case(f"place/output/{name}", ["run", NET, "images", "--output", output], images, ANY, makes=("\x1b[31m\n",),
            quiet_ok=True)
        yield Case(f"place/raw/{name}", ["explain", NET, "images", "--recipe", "gradient", "--raw", output], images, ANY,
            makes=("\x1b[31m\n",), quiet_ok=True)
    yield Case("place/over_input", ["explain", NET, "x.npy", "--recipe", "gradient", "--raw", "x.npy"],
        {"x.npy": p.npy(p.photo().transpose(2, 0, 1)[None].astype("f4"))}, ANY, makes=("x.npy",))
    yield Case("place/empty_model", ["select", "", "/nonexistent"], {}, frozenset({2, 3}), makes=("heatproof-out",))
    yield Case("place/empty_both", ["select", "", ""], {}, frozenset({2, 3}), makes=("heatproof-out",))
    yield Case("place/empty_input", ["select", NET, ""], {}, frozenset({2, 3}), makes=("heatproof-out",))
    for flag in ("--out", "--masks", "--space", "--metric", "--recipe", "--target", "--budget", "--shard", "--labels", "--memory",
            "--output-name", "--channels"):
        yield Case(f"place/empty{flag}", [*SELECT, flag, ""], images, frozenset({2, 3}), makes=("heatproof-out",))


def all_cases(base):
    yield from streams(base)
    yield from limits(base)
    yield from signals(base)
    yield from databases(base)
    yield from places(base)
