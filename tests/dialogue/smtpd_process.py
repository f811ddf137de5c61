#!/usr/bin/python3
# limit: 200
"""relay-smtpd where a dialogue is not enough: disconnects, cuts, pipes, restarts, privileges."""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from smtpd_process import Home, Session, unprivileged  # noqa: E402

ASAN = "asan" in os.environ.get("BUILD", "")
SCRIPT = (b"EHLO x\r\nMAIL FROM:<a@b.example> SIZE=30\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
          b"Subject: x\r\n\r\n..body\r\n.\r\nQUIT\r\n")
checks = failed = 0


def check(what, good):
    global checks, failed
    checks += 1
    if not good:
        failed += 1
        print("FAILED:", what)


def run(home, pieces, env=None):
    """Sends the pieces one after the other, returns all that came back and the status."""
    s = Session(home, env)
    for piece in pieces:
        s.send(piece)
    s.sock.shutdown(socket.SHUT_WR)
    out = b""
    while line := s.line():
        out += line
    return out, s.close(), s


def without_ids(data):
    return re.sub(rb"2\.0\.0 [0-9A-Z]{16}", b"2.0.0 ID", data)


def disconnect_at_every_byte(home):
    """What was answered 250 was taken, what was not finished was not."""
    dot = SCRIPT.index(b"\r\n.\r\n") + 5
    for at in range(len(SCRIPT)):
        home.intake.messages.clear()
        out, status, s = run(home, [SCRIPT[:at]])
        check(f"status of a cut at {at}", status == 0)
        check(f"messages of a cut at {at}", len(home.intake.messages) == (at >= dot))
        check(f"reply of a cut at {at}", (b" queued" in out) == (at >= dot))
        check(f"end of a cut at {at}", s.log()[-1].partition(" ")[2].startswith("= end reason="))


def split_at_every_byte(home):
    whole = without_ids(run(home, [SCRIPT])[0])
    check("the whole", whole.endswith(b"goodbye\r\n"))
    for at in range(1, len(SCRIPT), 3 if ASAN else 1):
        s = Session(home)
        s.line()
        s.send(SCRIPT[:at])
        time.sleep(0.002)
        s.send(SCRIPT[at:])
        out = b""
        while line := s.line():
            out += line
        s.close()
        check(f"split at {at}", b"220 relay.test ESMTP\r\n" + without_ids(out) == whole)


def pipes(home):
    """Under recordio fd 0 and 1 are pipes."""
    s = Session(home, pipes=True)
    out, _ = s.process.communicate(SCRIPT, timeout=20)
    check("on pipes", without_ids(out).endswith(b"250 2.0.0 ID queued\r\n221 2.0.0 relay.test goodbye\r\n"))
    check("status on pipes", s.process.returncode == 0)


def to_data(s):
    s.line()
    s.send(b"HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    for _ in range(4):
        s.line()


def gone_before_verdict(home):
    """A reset connection takes the message back: the intake connection is closed at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    theirs = listener.accept()[0]
    home.intake.verdicts = [None]
    with open(home.path / "stderr", "wb") as log:
        process = subprocess.Popen([home.program], stdin=theirs, stdout=theirs, stderr=log,
                                   cwd=home.path, env=home.environment({}), **unprivileged())
    theirs.close()
    client.sendall(SCRIPT)
    count = len(home.intake.messages)
    while len(home.intake.messages) == count:
        time.sleep(0.01)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    check("ends when the client is gone", process.wait(timeout=20) == 0)
    log = (home.path / "stderr").read_text()
    check("says so", "= end reason=gone-before-verdict" in log)


def restarted_intake(home):
    """relay-queue may be away for a moment between two messages; away for good is 451, then 421."""
    s = Session(home)
    to_data(s)
    home.intake.stop()
    s.send(b"x\r\n.\r\n")
    time.sleep(0.5)
    home.intake.listen()
    check("after a restart", s.line().startswith(b"250 "))
    home.intake.stop()
    s.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    for _ in range(3):
        s.line()
    began = time.monotonic()
    s.send(b"x\r\n.\r\n")
    check("without intake", s.line().startswith(b"451 4.3.0 "))
    check("soon", time.monotonic() - began < 9)
    s.close()
    s = Session(home)
    check("banner without intake", s.line().startswith(b"421 4.3.0 "))
    s.close()
    home.intake.listen()


def trickle(home):
    """A byte every third of a second meets the deadline of the line, and that of DATA."""
    home.control({"timeoutsmtpd": "1\n"})
    for data in (False, True):
        s = Session(home)
        to_data(s) if data else s.line()
        began = time.monotonic()
        while time.monotonic() - began < 8:
            s.send(b"x")
            s.sock.settimeout(0.3)
            try:
                line = s.line()
                break
            except TimeoutError:
                line = b""
        check(f"trickled (DATA {data})", line.startswith(b"421 4.4.2 "))
        check("not much too late", time.monotonic() - began < 4)
        s.close()
    home.control({})


def privileges(home):
    """While it waits for its first command: nothing open but 0, 1, 2 and the intake; confined."""
    s = Session(home)
    s.line()
    proc = Path(f"/proc/{s.process.pid}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    check("seccomp", status["Seccomp"].strip() == "2")
    check("no new privileges", status["NoNewPrivs"].strip() == "1")
    if os.geteuid() == 0:
        check("not root", status["Uid"].split()[0] != "0")
        if not ASAN:
            check("descriptors", sorted(os.listdir(proc / "fd")) == ["0", "1", "2", "3"])
        # Not dumpable: /proc/PID/mem belongs to root, out of reach of a sibling with the same uid.
        check("not dumpable", (proc / "mem").stat().st_uid == 0)
    s.close()


def disk_full(home):
    """A big file that cannot be written is 452, and the session goes on."""
    home.intake.disk_full = True
    s = Session(home)
    to_data(s)
    s.send(b"Subject: x\r\n\r\n" + (b"x" * 98 + b"\r\n") * 30000 + b".\r\n")
    check("disk full", s.line().startswith(b"452 4.3.1 "))
    home.intake.disk_full = False
    s.send(SCRIPT)
    out = b""
    while line := s.line():
        out += line
    check("after a full disk", b" queued\r\n221 " in out)
    check("status after a full disk", s.close() == 0)


def killed(home):
    s = Session(home)
    to_data(s)
    s.send(b"Subject: x\r\n")
    count = len(home.intake.messages)
    s.process.send_signal(signal.SIGKILL)
    check("killed in DATA", s.line() == b"" and len(home.intake.messages) == count)
    s.close()


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_DIR")) as directory:
        home = Home(directory)
        home.control({})
        for test in (disconnect_at_every_byte, split_at_every_byte, pipes, gone_before_verdict,
                     restarted_intake, trickle, privileges, disk_full, killed):
            test(home)
        check(f"intake: {home.intake.errors}", not home.intake.errors)
    print(f"{checks} checks, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
