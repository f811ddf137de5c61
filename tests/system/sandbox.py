#!/usr/bin/python3
"""tests/sandbox keeps its contract: what it makes, what it leaves, what it says; as root and not."""
# limit: 120
# asan: no
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver
from relaytest import BUILD, TOP, process_stat, run, run_program, wait_for


def sandbox(test, verb, directory, user=None):
    words = [TOP / "tests/sandbox", verb, directory]
    if user:
        words = ["setpriv", "--reuid", user, "--clear-groups", *words]
    return run_program(*words, check=False, env={**os.environ, "BUILD": str(BUILD)})


def session_of(directory):
    return int((directory / "session").read_text().split()[0])


def members(session):
    stats = [(int(p), process_stat(p)) for p in os.listdir("/proc") if p.isdigit()]
    return {pid: s for pid, s in stats if s and s[2] == session and s[3] != "Z"}


def swaks(directory, *words):
    address, port = (directory / "listen").read_text().split()
    return run_program("swaks", "--server", f"{address}:{port}", "--to", "a@b.test", "--from", "s@t.test", *words,
                       check=False, stdin=subprocess.DEVNULL)


def check_life(test, directory, receiver, user=None):
    who = user or "root" if os.geteuid() == 0 else "the caller"
    done = sandbox(test, "up", directory, user)
    test.equal(done.returncode, 0, f"up as {who}: status 0")
    if user:
        test.check("not root" in done.stderr, "up says that it is not root", done.stderr)
    sent = swaks(directory)
    test.check("250 2.0.0" in sent.stdout, "the relay accepts mail when up returns", sent.stdout[-500:])
    receiver.wait(1)
    receiver.messages.clear()
    for log in ("smtpd", "send"):
        path = directory / "log" / log / "current"
        wait_for(lambda: path.exists() and path.stat().st_size > 0, f"log/{log}/current has lines")
        test.check(path.read_text(errors="replace").startswith("@4"), f"log/{log}/current has TAI64N stamps")
    session = session_of(directory)
    again = sandbox(test, "up", directory, user)
    test.check(again.returncode != 0 and "running" in again.stderr, "a second up is refused with a reason", again.stderr)
    test.equal(session_of(directory), session, "and leaves the first alone")
    restart = sandbox(test, "restart", directory, user)
    test.equal(restart.returncode, 0, "restart: status 0")
    test.equal(members(session), {}, "restart leaves nothing of the old session")
    test.check("250 2.0.0" in swaks(directory).stdout, "and the relay accepts mail again")
    receiver.wait(1)
    receiver.messages.clear()
    session = session_of(directory)
    names = {s[0] for s in members(session).values()}
    for name in ("svscan", "supervise", "tcpserver", "multilog", "relay-send", "relay-queue", "relay-remote",
                 "relay-bounce"):
        test.check(name in names, f"{name} runs in the sandbox's session", str(names))
    down = sandbox(test, "down", directory, user)
    test.equal((down.returncode, members(session)), (0, {}), "down: status 0, no process left")
    test.equal(sandbox(test, "down", directory, user).returncode, 0, "down again is no error")


def prepare(test, name, receiver_port, listen=True):
    directory = test.path(name)
    (directory / "control").mkdir(exist_ok=True)
    (directory / "control/smtproutes").write_text(f":127.0.0.1:{receiver_port}\n")
    if listen:
        (directory / "listen").write_text(f"127.0.0.1 {test.port()}\n")
    return directory


def check_defaults(test, directory):
    test.equal((directory / "rules").read_text(), '127.:allow,RELAYCLIENT=""\n:deny\n', "the default DIR/rules")
    test.check((directory / "control/me").exists(), "control/me has a default")
    for name in ("control", "queue", "service/smtpd", "service/send", "log/smtpd", "log/send", "run"):
        test.check((directory / name).is_dir(), f"DIR/{name} is a directory")
    if os.geteuid() == 0:
        test.equal((directory / "queue").stat().st_mode & 0o777, 0o700, "queue/ has mode 700")


def check_refusals(test, port):
    directory = prepare(test, "broken", port)
    (directory / "control/lifetime").write_text("soon\n")
    done = sandbox(test, "up", directory)
    out = done.stdout + done.stderr
    log = directory / "log/send/current"
    said = out + (log.read_text(errors="replace") if log.exists() else "")
    test.check("control/lifetime:1" in said, "a malformed control file is named, with its line", said[-1500:])
    sandbox(test, "down", directory)
    test.equal(sandbox(test, "sideways", directory).returncode, 100, "an unknown verb is status 100")
    bare = run_program(TOP / "tests/sandbox", check=False)
    test.check(bare.returncode == 100 and "up|down" in bare.stderr, "no arguments: usage, status 100", bare.stderr)


def main(test):
    port = test.port()
    receiver = test.ends(Receiver("127.0.0.1", port))
    directory = prepare(test, "own", port)
    test.stack.callback(sandbox, test, "down", directory)
    check_life(test, directory, receiver)
    check_defaults(test, directory)
    check_refusals(test, port)
    if os.geteuid() == 0:
        theirs = prepare(test, "theirs", port)
        run_program("chown", "-R", "nobody", theirs)
        test.stack.callback(sandbox, test, "down", theirs)
        check_life(test, theirs, receiver, "nobody")


run(main, tools=["swaks", "svscan"])
