#!/usr/bin/python3
"""./quickstart --once in a clean copy of the tree: status 0, and it shows what it promises."""
# limit: 300
# asan: no
# alone: yes
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import TOP, run


def main(test):
    tree = test.directory / "tree"
    shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git"), symlinks=True)
    test.stack.callback(shutil.rmtree, tree, True)
    done = subprocess.run(["./quickstart", "--once"], cwd=tree, text=True, errors="replace", check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280)
    print(done.stdout)
    test.equal(done.returncode, 0, "quickstart --once: status 0")
    for words in ("built, in ", "relay-ctl stat", "relay-ctl list", "relay-ctl why", "tai64nlocal", "What arrived",
                  "Where everything is", "queue/log", "log/smtpd/current", "waits.example", "The mail has arrived."):
        test.check(words in done.stdout, f"its output has {words!r}")
    test.check("Subject: two recipients" in done.stdout, "it shows the mail that arrived")
    unknown = subprocess.run(["./quickstart", "--nonsense"], cwd=tree, capture_output=True, check=False)
    test.equal(unknown.returncode, 100, "an unknown option: status 100")


run(main)
