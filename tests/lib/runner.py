"""Runs the tests in parallel and counts them. See tests/README."""
import argparse
import concurrent.futures
import fcntl
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SLOTS_MAX = 90
PORTS_LOOKED_AT = 20
SKIPPED = 77  # a test's exit status: it cannot run here, and said why
ASAN = "O=build/asan MUSL=no CFLAGS_EXTRA=-fsanitize=address,undefined".split()
# Sanitizers must fail loudly; leaks are checked by the unit tests, whose processes end by themselves.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
}


class Test:
    """One test: a name, a command, an environment, a limit in seconds."""

    def __init__(self, name, command, env=None, limit=300):
        self.name, self.command, self.env, self.limit = name, command, env or {}, limit
        self.status, self.seconds, self.output = None, 0.0, ""


def scripts(directory):
    for path in sorted((TOP / "tests" / directory).iterdir()):
        if path.is_file() and os.access(path, os.X_OK):
            yield path


def head_option(path, word):
    """A line "# word: value" among the first 15 of a test says something about it."""
    for line in path.read_text(errors="replace").splitlines()[:15]:
        if line.startswith(f"# {word}:"):
            return line.split(":", 1)[1].strip()
    return None


def collect():
    tests = [Test("build/clang", "make -j2 O=build/clang CC=clang MUSL=no all".split(), limit=600)]
    for source in sorted((TOP / "tests/unit").glob("*_test.c")):
        tests.append(Test(f"unit/{source.stem}", [f"build/unit/{source.stem}"]))
        tests.append(Test(f"asan/unit/{source.stem}", [f"build/asan/unit/{source.stem}"],
                          {**SANITIZER_ENV, "ASAN_OPTIONS": "exitcode=99"}))
    for directory in ("dialogue", "system"):
        for path in scripts(directory):
            name = f"{directory}/{path.stem}"
            limit = int(head_option(path, "limit") or 300)
            tests.append(Test(name, [str(path)], {"BUILD": "build"}, limit))
            if head_option(path, "asan") != "no":
                tests.append(Test(f"asan/{name}", [str(path)],
                                  {"BUILD": "build/asan", **SANITIZER_ENV}, limit * 2))
    return tests


def build(tests):
    """Builds what the chosen tests need; a build that fails ends the run."""
    units = [t for t in tests if "unit/" in t.name]
    goals = [["all", "tools", *(f"build/{t.name}" for t in units if t.name.startswith("unit/"))]]
    if any(t.name.startswith("asan/") for t in tests):
        goals.append([*ASAN, "all", "tools", *(f"build/{t.name}" for t in units if t.name.startswith("asan/"))])
    for goal in goals:
        began = time.monotonic()
        made = subprocess.run(["make", "-j2", *goal], cwd=TOP, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if made.returncode:
            print(made.stdout[-6000:])
            print(f"make {' '.join(goal[:3])} failed")
            print("0 passed, 1 failed")
            sys.exit(1)
        print(f"built {'build/asan' if goal[0] in ASAN else 'build'} in {time.monotonic() - began:.0f} s",
              flush=True)


def take_slot(slot):
    """An open file that is locked while the slot is this run's; None if it is somebody's else.

    Several runs may go on beside each other, and one that was killed may have left servers.
    """
    held = open(f"/var/tmp/relay-tests.slot{slot}", "w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for port in range(22000 + 100 * slot, 22000 + 100 * slot + PORTS_LOOKED_AT):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
    except OSError:
        held.close()
        return None
    return held


def take_slots(count):
    """{slot: its lock}"""
    slots = {}
    for slot in range(SLOTS_MAX):
        if len(slots) == count:
            break
        held = take_slot(slot)
        if held:
            slots[slot] = held
    if not slots:
        sys.exit("tests/run: fatal: no free range of ports: other runs have them all")
    return slots


def run_one(test, slots, workspace):
    """A slot is the test's own range of ports and loopback addresses while it runs."""
    slot = slots.get()
    directory = workspace / test.name.replace("/", "-")
    directory.mkdir(mode=0o755)
    env = {**os.environ, **test.env, "TEST_DIR": str(directory), "TEST_SLOT": str(slot),
           "TEST_PORT": str(22000 + 100 * slot), "TEST_NET": f"127.0.{slot + 10}"}
    env["BUILD"] = str(TOP / env.get("BUILD", "build"))
    began = time.monotonic()
    try:
        done = subprocess.run(test.command, cwd=TOP, env=env, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=test.limit)
        test.status, test.output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as e:
        test.status = 124
        test.output = (e.stdout or b"").decode(errors="replace") + f"\nover {test.limit} s"
    test.seconds = time.monotonic() - began
    if (directory / "session").exists():  # a sandbox that the test left behind
        subprocess.run(["tests/sandbox", "down", str(directory)], cwd=TOP, check=False)
    if test.status in (0, SKIPPED):
        shutil.rmtree(directory, ignore_errors=True)  # all queues together are over 10 GB
    slots.put(slot)
    return test


def report(test, workspace):
    word = {0: "ok", SKIPPED: "skipped"}.get(test.status, "FAILED")
    print(f"{word:8}{test.name:48}{test.seconds:7.1f} s", flush=True)
    if word == "skipped":
        print("        " + test.output.strip().splitlines()[-1] if test.output.strip() else "")
    elif word == "FAILED":
        kept = workspace / (test.name.replace("/", "-") + ".output")
        kept.write_text(test.output)
        print(f"        status {test.status}; the whole output: {kept}")
        lines = test.output.splitlines()
        for line in [line for line in lines[:-40] if line.startswith("FAILED")] + lines[-40:]:
            print("        | " + line)
        sys.stdout.flush()
    return word


def main():
    parser = argparse.ArgumentParser(prog="tests/run")
    parser.add_argument("-j", type=int, default=4, metavar="JOBS", help="tests at a time (default 4)")
    parser.add_argument("-l", action="store_true", help="list the names, run nothing")
    parser.add_argument("pattern", nargs="*", help="run what has one of these in its name")
    args = parser.parse_args()
    tests = [t for t in collect() if not args.pattern or any(p in t.name for p in args.pattern)]
    if args.l:
        print("\n".join(t.name for t in tests))
        return 0
    if not tests:
        print("no test has that in its name\n0 passed, 1 failed")
        return 1
    began = time.monotonic()
    build(tests)
    workspace = Path(tempfile.mkdtemp(prefix="relay-tests.", dir="/var/tmp"))
    workspace.chmod(0o755)
    taken = take_slots(args.j)
    slots = queue.Queue()
    for slot in taken:
        slots.put(slot)
    words = []
    # What needs the machine for itself ("# alone: yes") runs after the rest, one at a time.
    alone = [t for t in tests if t.command[0].endswith((".py", ".sh")) and head_option(Path(t.command[0]), "alone") == "yes"]
    rest = [t for t in tests if t not in alone]
    for group, jobs in ((rest, args.j), (alone, 1)):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            running = [pool.submit(run_one, t, slots, workspace) for t in group]
            for done in concurrent.futures.as_completed(running):
                words.append(report(done.result(), workspace))
    failed = words.count("FAILED")
    if not failed:
        shutil.rmtree(workspace, ignore_errors=True)
    print(f"in {time.monotonic() - began:.0f} s")
    skipped = words.count("skipped")
    print(f"{words.count('ok')} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


sys.exit(main())
