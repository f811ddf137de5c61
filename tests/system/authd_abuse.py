#!/usr/bin/python3
"""The halves of relay-authd: hostile datagrams to the one, and what somebody who has taken that one over
gets from the other: checks of any user and password, so many at once and in a second, and nothing else."""
# limit: 60
# asan: no
import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from netstring import ns
from relaytest import BUILD, memory, process_stat, run, run_program, wait_for

CHECKS, REST = 3, 0.1
PIECE = "Kein-Wort-darueber"
PASSWORD = 13 * PIECE  # long, so that no reuse of a stack hides all of it
# Who asks is written down; ann is right, slow takes its time, all others are wrong.
PROGRAM = """#!/bin/bash
IFS= read -r -d '' user <&3
echo "$user uid=$(id -u) ip=$TCPREMOTEIP" >> SEEN
case $user in ann) exit 0 ;; slow) sleep 50 ;; esac
exit 1
"""


class Authd:
    """A relay-authd without a relay."""

    def __init__(self, test):
        self.directory = test.path("home")
        for name in ("control", "run"):
            (self.directory / name).mkdir(exist_ok=True)
        self.seen = self.directory / "seen"
        self.seen.touch()
        self.seen.chmod(0o666)
        program = self.directory / "check"
        program.write_text(PROGRAM.replace("SEEN", str(self.seen)))
        program.chmod(0o755)
        (self.directory / "control/concurrencyauth").write_text(f"{CHECKS}\n")
        self.program = program
        self.log, self.process = self.directory / "log", None

    def start(self, *options):
        words = [BUILD / "bin/relay-authd", "-d", self.directory, *options, self.program]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(words, stderr=log, stdin=subprocess.DEVNULL)
        self.root = self.process.pid
        self.server = wait_for(lambda: self.children(), "the second process")[0]
        wait_for(lambda: status(self.server, "Seccomp") == "2", "it is confined")
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def children(self):
        return [int(p) for p in Path(f"/proc/{self.root}/task/{self.root}/children").read_text().split()]

    def connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(20)
        sock.connect(str(self.directory / "run/authd"))
        return sock

    def ask(self, *data):
        """As relay-smtpd: what comes back to a datagram each, b"" at the end of the connection."""
        with self.connect() as sock:
            try:
                for d in data:
                    sock.send(d)
                return sock.recv(1000)
            except (ConnectionError, BrokenPipeError):
                return b""

    def channel(self):
        """The server's end of the channel to the other half; the server itself stands still from now on."""
        os.kill(self.server, signal.SIGSTOP)
        libc, pidfd = ctypes.CDLL(None, use_errno=True), os.pidfd_open(self.server)
        for name in os.listdir(f"/proc/{self.server}/fd"):
            if os.readlink(f"/proc/{self.server}/fd/{name}").startswith("socket:"):
                sock = socket.socket(fileno=libc.syscall(438, pidfd, int(name), 0))  # pidfd_getfd
                if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    os.close(pidfd)
                    sock.settimeout(20)
                    return sock
                sock.close()
        raise AssertionError("no channel")


def status(pid, field):
    return re.search(rf"^{field}:[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M).group(1)


def alive(pid):
    stat = process_stat(pid)
    return bool(stat) and stat[3] != "Z"


def ask_of(user, number=1, password="x", form="=IIi16s512s"):
    text = f"{user}\0{password}\0\0".encode()
    return struct.pack(form, number, len(text), socket.AF_INET, bytes([192, 0, 2, 9]), text)


def outcome(sock):
    """(number, exit status or -1)"""
    number, kind, value = struct.unpack("=Iii", sock.recv(100))
    return number, os.waitstatus_to_exitcode(value) if kind == 0 else -1


def check_who(test, authd, user):
    """The second process is relaya; the first, which runs the program, is root or who -u says."""
    uids = {who: run_program("id", "-u", who).stdout.strip() for who in (user, "relaya")}
    test.equal(authd.ask(ns("P", "192.0.2.7", "ann", PASSWORD)), b"1:+,", "a right password")
    test.equal(authd.seen.read_text().splitlines()[-1], f"ann uid={uids[user]} ip=192.0.2.7", f"{user} runs the program")
    for name, pid, who in (("first", authd.root, user), ("second", authd.server, "relaya")):
        test.equal(status(pid, "Uid").split(), [uids[who]] * 4, f"the {name} process is {who}'s, all four uids")
        for probe in ("relaya", "nobody"):
            done = run_program("setpriv", "--reuid", probe, "--clear-groups", "cat", f"/proc/{pid}/environ", check=False)
            test.check(done.returncode != 0, f"{probe} cannot look into it")


def check_wiped(test, authd):
    authd.ask(ns("P", "192.0.2.8", "ben", PASSWORD))
    authd.ask(ns("P", "192.0.2.8", "a b", PASSWORD))
    for name, pid in (("first", authd.root), ("second", authd.server)):
        text = memory(pid)
        test.check(b"relay-authd" in text, "(the memory can be read)")
        test.check(PIECE.encode() not in text, f"no piece of a password is left in the {name} process")


def check_hostile(test, authd):
    """What a relay-smtpd that was taken over may send."""
    seen = authd.seen.read_text()
    good = ns("P", "192.0.2.7", "ann", PASSWORD)
    for data in (b"\0", b"\0" * 60000, b"9" * 60000, good[:-1], good + b"\0", good + good, ns("P", "x", "a\0b", "c"),
                 ns("P", "x", "ann", "c\0d"), ns("P", "x" * 64, "ann", "c"), ns("P", "x", "u" * 65, "c"),
                 ns("P", "x", "ann", "c" * 256), ns("C", "x", "ann", "c"), ns("P", "x", "ann", "c", "d"),
                 b"4294967297:P," + good[4:], b"1:P,99999999999999999999:x,", ask_of("ann"), b"x" * 100000):
        test.equal(authd.ask(data), b"", f"{data[:16]!r}... ({len(data)} bytes) ends the connection")
    test.equal(authd.ask(good, good), b"", "so does a second request")
    with authd.connect() as sock:
        socket.send_fds(sock, [good], [0, 1, 2])
        test.equal(sock.recv(100), b"", "and three descriptors")
    test.check([alive(authd.root), alive(authd.server)] == [True, True], "both processes live")
    test.equal(authd.ask(good), b"1:+,", "and go on")
    users = {line.split()[0] for line in authd.seen.read_text()[len(seen):].splitlines()}
    test.check(users <= {"ann"}, "and the program has seen nothing of it", users)


def check_taken_over(test, authd):
    """The other half gives CHECKS at once, and wrong ones so many in a second."""
    with authd.channel() as sock:
        began, count = time.monotonic(), 0
        for number in range(CHECKS):
            sock.send(ask_of("eve", number))
        while time.monotonic() < began + 1.5:
            number, code = outcome(sock)
            count += code == 1
            sock.send(ask_of("eve", number))
        most = CHECKS * ((time.monotonic() - began) / REST + 1)
        test.check(CHECKS < count <= most, f"a wrong password keeps its place for {REST} s", f"{count}, at most {most}")
        for _ in range(CHECKS):
            outcome(sock)
        test.equal(outcome_of(sock, ask_of("ann", 77)), (77, 0), "a right one is told at once")
        socket.send_fds(sock, [ask_of("ann", 78)], [0])
        test.equal(outcome(sock), (78, 0), "a descriptor that comes along")
        fds = [os.readlink(f"/proc/{authd.root}/fd/{n}") for n in os.listdir(f"/proc/{authd.root}/fd")]
        test.equal(sum(f.startswith("socket:") for f in fds), 1, f"is not taken: {sorted(fds)}")
        for number in range(10):
            sock.send(ask_of("slow", number))
        wait_for(lambda: authd.seen.read_text().count("slow") == CHECKS, "slow ones run")
        time.sleep(0.5)
        test.equal(authd.seen.read_text().count("slow"), CHECKS, f"{CHECKS} at once, others wait")
        slow = [p for p in authd.children() if p != authd.server]
        test.equal(len(slow), CHECKS, "as processes of the first one")
        authd.stop()
    wait_for(lambda: not any(map(alive, [authd.server, *slow])), "with TERM all of them end, a stopped server too")
    test.equal(authd.process.returncode, 0, "with status 0")


def outcome_of(sock, data):
    sock.send(data)
    return outcome(sock)


def check_garbled(test, authd):
    """What the server's own code never sends ends both, before a program has run."""
    seen = authd.seen.read_text()
    for what, data in (("an ask that is cut", ask_of("ann")[:-1]), ("a longer one", ask_of("ann") + b"x"),
                       ("a huge one", b"x" * 60000), ("one without NULs", b"x" * 540), ("NULs alone", bytes(540)),
                       ("a name with a line end", ask_of("ann\nben")), ("one string too many", ask_of("ann", 1, "b\0c"))):
        authd.start()
        with authd.channel() as sock:
            sock.send(data)
            test.equal(authd.process.wait(20), 111, f"{what}: the first process ends, 111")
        wait_for(lambda: not alive(authd.server), "and so does the second")
    test.equal(authd.seen.read_text(), seen, "the program has seen nothing")
    test.check("fatal: garbled request from the server" in authd.log.read_text(), "the log says why")


def check_deaths(test, authd):
    for half in ("server", "root"):
        authd.start()
        count = authd.seen.read_text().count("slow")
        with authd.connect() as sock:
            sock.send(ns("P", "192.0.2.7", "slow", "x"))
            wait_for(lambda: authd.seen.read_text().count("slow") > count, "a check runs")
            family = [authd.root, *authd.children()]
            os.kill(authd.root if half == "root" else authd.server, signal.SIGKILL)
            try:
                test.equal(sock.recv(100), b"", f"{half} dies: the client's connection ends")
            except ConnectionError:
                test.check(True, f"{half} dies: the client's connection ends")
        test.equal(authd.process.wait(20), -9 if half == "root" else 111, "with what status the first one ends")
        wait_for(lambda: not any(map(alive, family)), "both halves and the check end")
    test.check("the server has died, status 9" in authd.log.read_text(), "the log says how the server died")


def main(test):
    authd = test.ends(Authd(test)).start("-u", "nobody")
    check_who(test, authd, "nobody")
    authd.stop()
    wait_for(lambda: not alive(authd.server), "TERM ends both")
    check_who(test, authd.start(), "root")
    check_wiped(test, authd)
    check_hostile(test, authd)
    check_taken_over(test, authd)
    check_garbled(test, authd)
    check_deaths(test, authd)


run(main, root=True, tools=["setpriv"])
