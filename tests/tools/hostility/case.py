"""A hostile case: files, a command, and what may come of it."""

import dataclasses
import os
import pathlib
import re

from . import runner

ANY = frozenset(range(5))
REFUSED = frozenset({1, 3, 4})  # too large for this machine, damaged, or not supported
BROKEN = frozenset({3, 4})
USAGE = frozenset({2, 3, 4})
FINE = frozenset({0})


@dataclasses.dataclass
class Case:
    name: str
    args: list
    files: dict = dataclasses.field(default_factory=dict)  # name to bytes, or to what makes them
    codes: frozenset = REFUSED
    words: str = ""           # a pattern that stderr holds
    says: str = ""            # a pattern that stdout holds
    makes: tuple = ()         # what the command may write
    shell: str = 'exec "$0" "$@"'
    prepare: object = None    # called with the folder: pipes, links, what is no regular file
    check: object = None      # called with folder and outcome, gives faults
    quiet_ok: bool = False


def judge(case: Case, folder: pathlib.Path, program, shapes, limits) -> runner.Outcome:
    """Runs a case in an empty folder."""
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data() if callable(data) else data)
    if case.prepare:
        case.prepare(folder)
    args = [a.replace("{S}", str(shapes)) for a in case.args]
    shell = case.shell.replace("{S}", str(shapes))
    outcome = runner.run(program, args, folder, case.makes, shell, limits, case.quiet_ok)
    if outcome.code >= 0 and outcome.code not in case.codes:
        outcome.faults.append(f"exit {outcome.code} instead of {' or '.join(map(str, sorted(case.codes)))}")
    if case.words and not re.search(case.words, outcome.stderr.decode("utf-8", "replace")):
        outcome.faults.append(f"stderr does not say '{case.words}'")
    if case.says and not re.search(case.says, outcome.stdout.decode("utf-8", "replace")):
        outcome.faults.append(f"stdout does not say '{case.says}'")
    if case.check:
        outcome.faults += case.check(folder, outcome)
    return outcome


def hole(path: pathlib.Path, size: int) -> None:
    """A file that is large and takes no room."""
    with open(path, "wb") as file:
        os.truncate(file.fileno(), size)
