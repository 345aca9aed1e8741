"""Runs the program under limits of memory and time, and says what was wrong with its answer."""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import time

ADDRESS_SPACE = 6_000_000  # KiB, as `ulimit -v` takes them
PEAK = 2 << 30             # bytes of resident memory
SECONDS = 20               # of computing
WALL = 120                 # after which it is stopped; more than SECONDS, since other work may share the machine
ASLEEP = 25                # after which it is stopped if it has hardly computed
LINE = 500                 # characters of a message
CODES = frozenset(range(5))
LEFT = (".tmp", "-journal", "-wal", "-shm", ".part")  # how names of temporary files end

# Characters that a terminal obeys instead of showing them: controls, and what turns the direction of text.
OBEYED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


@dataclasses.dataclass
class Limits:
    """What a run may take. A sanitized program takes ten times as long, and its shadow is larger than any address space."""
    address_space: int | None = ADDRESS_SPACE
    peak: int = PEAK
    seconds: float = SECONDS
    wall: float = WALL


SANITIZED = Limits(None, 4 * PEAK, 10 * SECONDS, 10 * SECONDS)


@dataclasses.dataclass
class Outcome:
    command: str
    code: int        # minus the signal's number where one ended it
    stdout: bytes
    stderr: bytes
    seconds: float   # of computing, or of the clock where it was stopped
    peak: int        # bytes
    faults: list

    def symptom(self) -> str:
        """What is equal for runs that fail alike: numbers, names and paths are taken out of the last words."""
        words = self.stderr.decode("utf-8", "replace").strip().splitlines()
        words = re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*|\S*\.(onnx|npy|npz|png|sqlite|toml|jpg|bmp|tif)\b", "_", words[-1] if words
            else "")
        told = "; ".join(re.sub(r"\d[\d.e+-]*", "#", f) for f in self.faults)
        if all("stderr" in f for f in self.faults):  # messages differ in what they say, not in what is wrong with them
            return told if "own" not in told else told + " | " + re.sub(r"\W+|\d+", " ",
                self.stderr.decode("utf-8", "replace"))[:25]
        return told + " | " + re.sub(r"\d[\d.e+-]*", "#", words)[:160]


def snapshot(folder: pathlib.Path) -> dict:
    """Every file of a folder with its kind and a hash of its bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_file():
            try:
                found[name] = ("file", hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size < 1 << 26
                    else path.stat().st_size)
            except PermissionError:
                found[name] = ("file", path.stat().st_mtime)
        else:
            found[name] = ("folder" if path.is_dir() else "other", "")
    return found


def faults_of_files(before: dict, after: dict, makes) -> list:
    """makes: names of files and folders that the command may write or change."""
    def asked(name):
        return any(name == m or name.startswith(m + "/") for m in makes)

    faults = [f"changed or removed its input {name}" for name in before if before[name] != after.get(name) and not asked(name)]
    faults += [f"made {name}, which nobody asked for" for name in after if name not in before and not asked(name)]
    faults += [f"left the temporary file {re.sub(r'[0-9]+', '#', name)}" for name in after if name not in before
        and name.endswith(LEFT) and asked(name)]
    return faults


def faults_of_messages(stderr: bytes, code: int) -> list:
    try:
        text = stderr.decode("utf-8")
    except UnicodeDecodeError:
        return ["stderr is not UTF-8"]
    lines = text.split("\n")
    faults = [] if lines[-1] == "" else ["stderr ends within a line"]
    lines = [line for line in lines if line]
    if any(OBEYED.search(line) for line in lines):
        faults.append("stderr holds control characters")
    if any(len(line) >= LINE for line in lines):
        faults.append(f"a line of {LINE} characters or more on stderr")
    if any(not line.startswith("heatproof: ") for line in lines):
        faults.append("a line on stderr that is not the program's own")
    errors = [line for line in lines if not line.startswith(("heatproof: warning: ", "heatproof: note: "))]
    if code != 0 and len(errors) != 1:
        faults.append(f"exit {code} with {len(errors)} lines of error")
    if len(lines) > 20:
        faults.append("more than 20 lines on stderr")
    return faults


def no_number(word):
    raise ValueError(word)


def faults_of_result(args, stdout: bytes) -> list:
    if not stdout.strip():
        return ["exit 0 without a word on stdout"]
    if "--json" in args and not {"-h", "--help", "--version"} & set(args):
        try:
            json.loads(stdout, parse_constant=no_number)
        except ValueError:
            return ["stdout is no JSON"]
    elif OBEYED.search(stdout.decode("utf-8", "replace").replace("\n", "")):
        return ["stdout holds control characters"]
    return []


def shell_line(program, args, folder, shell, limits) -> str:
    """One line that does it again."""
    words = " ".join(map(shlex.quote, [str(program), *args]))
    memory = f"ulimit -v {limits.address_space}; " if limits.address_space else ""
    body = shell.replace('"$0" "$@"', words).replace("exec ", "")
    return f"(cd {shlex.quote(str(folder))} && {memory}{body})"


def computed(pid: int) -> float:
    """Seconds that a process has computed so far."""
    try:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12]) + int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def watch(pid: int, start: float, limits: Limits):
    """Waits for a process: its status, what it used, and why it was stopped, if it was."""
    stopped, pause = "", 0.001
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return status, usage, stopped
        wall = time.monotonic() - start
        if not stopped and wall > limits.seconds:
            used = computed(pid)
            stopped = ("no end: it computes" if used > limits.seconds else "no end: it waits" if wall > ASLEEP and used < 1 else
                       f"no end within {limits.wall} s" if wall > limits.wall else "")
            if stopped:
                os.killpg(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(0.02, pause * 1.2)


def run(program, args, folder, makes=(), shell='exec "$0" "$@"', limits=Limits(), quiet_ok=False, env=None) -> Outcome:
    """Runs program with args inside folder. `shell` is a line of bash in which "$0" "$@" is the command: redirections, limits.

    makes: what the command may write; quiet_ok: exit 0 may come without output (where stdout goes elsewhere).
    """
    folder = pathlib.Path(folder)
    before = snapshot(folder)
    memory = f"ulimit -v {limits.address_space}; " if limits.address_space else ""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(folder), "LANG": "C.UTF-8", "TMPDIR": str(folder),
                   "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1", "ASAN_OPTIONS": "detect_leaks=0", **(env or {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(["bash", "-c", f"ulimit -c 0; ulimit -t {int(limits.wall)}; {memory}{shell}", str(program),
            *args],
                                 cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                                 start_new_session=True)
        status, usage, stopped = watch(child.pid, start, limits)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read(1 << 26), err.read(1 << 22)
    code = child.returncode if child.returncode <= 128 else 128 - child.returncode  # a shell's word for a signal
    seconds = wall if stopped else usage.ru_utime + usage.ru_stime
    faults = []
    if stopped:
        faults.append(stopped)
    elif code < 0:
        faults.append(f"signal {-code}")
    elif code not in CODES:
        faults.append(f"exit code {code}")
    elif seconds > limits.seconds:
        faults.append("too slow")
    if usage.ru_maxrss * 1024 > limits.peak:
        faults.append("too much memory")
    if not stopped and code >= 0:
        faults += faults_of_messages(stderr, code)
    if code == 0 and not quiet_ok:
        faults += faults_of_result(args, stdout)
    faults += faults_of_files(before, snapshot(folder), makes)
    return Outcome(shell_line(program, args, folder, shell, limits), code, stdout, stderr, seconds, usage.ru_maxrss * 1024,
        faults)


# A check that cannot fail is none.
assert faults_of_messages(b"heatproof: a\nlibpng error: b\n",
    3) and not faults_of_messages(b"heatproof: warning: a\nheatproof: b\n", 3)
assert faults_of_messages(b"heatproof: \x1b[31m\n", 3) and faults_of_messages(b"heatproof: " + b"x" * 600 + b"\n", 3)
assert faults_of_files({"a": 1}, {"a": 2}, []) and faults_of_files({}, {"o/x.7.tmp": 1}, ["o"]) and not faults_of_files({},
    {"o": 1}, ["o"])
assert faults_of_result(["--json"], b'{"a": NaN}') and not faults_of_result(["--json"], b'{"a": null}')
