#!/usr/bin/python3
"""A directory without a log: relay-trace and --once refuse it, followers say so once and wait."""
# limit: 30
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import BUILD, run, run_program, wait_for

ID = "1M8ABG8KN02GQW4V"


def line(text):
    """As multilog t stamps it: TAI64N."""
    now = time.time()
    return f"@{2 ** 62 + 10 + int(now):016x}{int(now % 1 * 1e9):08x} {text}\n"


def commands(test):
    """The programs that read what is there and end."""
    return {"relay-trace": [ID], "relay-rate": ["--once"], "relay-logdb": ["--once", "-s", test.directory / "once.sqlite"]}


def check_refused(test, empty, full):
    for name, words in commands(test).items():
        done = run_program(BUILD / "bin" / name, *words, empty, check=False)
        test.equal((done.returncode, done.stdout), (100, ""), f"{name}: a directory without a log is status 100")
        test.check(f"no log in {empty}" in done.stderr, "and is named", done.stderr)
        done = run_program(BUILD / "bin" / name, *words, empty, full, check=False)
        test.check(done.returncode == (name == "relay-trace") and f"warning: no log in {empty}" in done.stderr,
                   f"{name}: beside one that has a log it is a warning", str(done))
        done = run_program(BUILD / "bin" / name, *words, empty / "nothing", check=False)
        test.check(done.returncode == 111 and "nothing: No such file" in done.stderr, f"{name}: a directory that is not there",
                   str(done))


def start(test, name, *words):
    error = test.path("out") / f"{name}.err"
    process = subprocess.Popen([str(w) for w in (BUILD / "bin" / name, *words)], stdout=open(f"{error}.out", "w"),
                               stderr=open(error, "w"))
    test.stack.callback(lambda: (process.kill(), process.wait()))
    wait_for(lambda: "no log yet" in error.read_text(), f"{name} says that there is no log yet")
    return error


def check_followed(test, directory):
    database = test.directory / "live.sqlite"
    rate = start(test, "relay-rate", "--every", 1, "--json", directory)
    logdb = start(test, "relay-logdb", "-s", database, directory)
    time.sleep(0.4)
    (directory / "current").write_text("".join(
        line(f"7 = {text}") for text in (f"queued id={ID} serial=1 tenant=local:0 from=<a@b.test> size=10 rcpts=1",
                                         f"result id={ID} rcpt=0 verdict=delivered attempts=1")))
    rates = Path(f"{rate}.out")
    wait_for(lambda: any(json.loads(text)["sent"]["total"] == 1 for text in rates.read_text().splitlines(keepends=True)
                         if text.endswith("\n")), "relay-rate counts what came first")

    def loaded():
        with sqlite3.connect(database) as db:
            return db.execute("SELECT position FROM log_files").fetchone()
    size = os.path.getsize(directory / "current")
    wait_for(lambda: (loaded() or [0])[0] == size, "relay-logdb loads what came first")
    test.equal([e.read_text().count("no log yet") for e in (rate, logdb)], [1, 1], "each has said so once")


def main(test):
    full = test.path("full")
    (full / "current").write_text(line("nothing of ours"))
    check_refused(test, test.path("empty"), full)
    check_followed(test, test.path("late"))


run(main)
