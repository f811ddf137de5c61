#!/usr/bin/python3
"""Every program that a person runs says how: --help on standard output, status 0; wrong use on
standard error, status 100, or 64 for relay-inject."""
# limit: 60
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import BUILD, TOP, run, run_program

WRONG = {"relay-queue": [["--nonsense"], ["-l"], ["-x", "queue"], ["word"]],
         "relay-ctl": [["--nonsense"], [], ["forget"]],
         "relay-log": [["--nonsense"], ["smtp"], ["imap", "cat"], ["smtp", "-*", "+x"], ["-h", "From:", "smtp", "cat"],
                       ["-h", "From,", "pop3", "cat"]],
         "relay-remote": [["--nonsense"], ["--check"], ["word"]],
         "relay-smtpd": [["--nonsense"], ["word"]],
         "relay-send": [["--nonsense"], ["word"], ["--replies", "word"]],
         "relay-bounce": [["--nonsense"], ["word"]],
         "relay-start": [["--nonsense"], ["word"]],
         "relay-trace": [["--nonsense"], [], ["--limit", "0", "a@b.test"], ["neither"]],
         "relay-rate": [["--nonsense"], ["--every", "0"], ["--once", "--count", "3"]],
         "relay-logdb": [["--nonsense"], [], ["-s", "one", "-m", "two"], ["-s", "one", "-k", "0"]],
         "relay-logdb-conf": [["--nonsense"], ["-k", "never"], ["/nowhere"]],
         "relay-keyd": [["--nonsense"], ["word"]],
         "relay-authd": [["--nonsense"], ["-u"]],
         "relay-conf": [["--nonsense"], ["127.0.0.1", "smtp"], ["1", "2", "3"]],
         "relay-inject": [["--nonsense"], ["-N", "sometimes", "a@b.test"], ["-Z"], []],
         "sendmail": [["--nonsense"]]}


def main(test):
    for name, uses in WRONG.items():
        program = BUILD / "bin" / name
        done = run_program(program, "--help", check=False, cwd="/")
        test.equal((done.returncode, done.stdout[:7], done.stderr), (0, "usage: ", ""), f"{name} --help")
        test.check(max(map(len, done.stdout.splitlines())) <= 100, f"{name}'s help fits a terminal", done.stdout)
        status = 64 if name in ("relay-inject", "sendmail") else 100
        for words in uses:
            done = run_program(program, *words, check=False, cwd="/", stdin=-3)
            test.equal((done.returncode, done.stdout), (status, ""), f"{name} {' '.join(words)}: status {status}")
            test.check("usage: " in done.stderr or "fatal: " in done.stderr, "and it says why", done.stderr)
        test.check("usage: " in run_program(program, "--nonsense", check=False, cwd="/").stderr or name == "relay-ctl",
                   f"{name} --nonsense: the usage")
    done = run_program(TOP / "quickstart", "--help")
    test.check("quickstart" in done.stdout, "quickstart --help")


run(main)
