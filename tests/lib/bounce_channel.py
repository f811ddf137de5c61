"""A stand-in for relay-queue's end of relay-bounce's channel (lib/bounce.h)."""
import array
import fcntl
import os
import socket
import subprocess
import tempfile

from netstring import fields, ns

SEALS = 0xF  # WRITE, GROW, SHRINK, SEAL
PART = 40
DSN, EIGHT_BIT, SMTPUTF8, DOUBLE = 4, 1, 2, 8
NEVER, SUCCESS, FAILURE, DELAY = 1, 2, 4, 8
RET_FULL, RET_HDRS = 1, 2


def envelope(sender="bob@example.com", rcpts=(("a@example.org", 0, ""),), flags=0, ret=0, envid="",
             tenant="msa1", arrival=1763826309000):
    head = ns(1, "01J8ZK3V7Q2MX0AB", sender, tenant, "", "192.0.2.7", "client.example", "", flags,
              ret, envid, 50, 0, arrival, "", len(rcpts))
    return head + b"".join(ns(*r) for r in rcpts)


def sealed(data):
    fd = os.memfd_create("original", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(fd), "wb") as f:
        f.write(data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    return fd


def outcome(rcpt=0, verdict="f", stage="r", code=550, status="5.1.1",
            host="mx.example.org[192.0.2.1]", reply="550 5.1.1 no such user here", attempts=1,
            when=1763826399000):
    return ns(rcpt, verdict + stage, code, status, host, reply, attempts, when)


class Bounce:
    """relay-bounce, started as relay-start does, with control files of the test's."""

    def __init__(self, program, control=None):
        self.home = tempfile.TemporaryDirectory()
        os.makedirs(self.home.name + "/control")
        os.makedirs(self.home.name + "/run")
        control = {"me": "relay.example", **(control or {})}
        for name, text in control.items():
            with open(f"{self.home.name}/control/{name}", "w", encoding="utf-8") as f:
                f.write(text + "\n")
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(60)
        low = theirs.fileno()
        high = fcntl.fcntl(low, fcntl.F_DUPFD, 50)
        self.process = subprocess.Popen(
            [program, "-d", self.home.name],
            preexec_fn=lambda: os.dup2(high, 6, inheritable=True), close_fds=False,
            stderr=subprocess.PIPE)
        os.close(high)
        theirs.close()

    def send(self, data, fd=None):
        control = []
        if fd is not None:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.sock.sendmsg([data], control)

    def job(self, env, content, outcomes, kind="f", serial=7, now=1763830000000):
        fd = sealed(env + content)
        self.send(ns(kind, serial, len(env), len(content), now, len(outcomes)) +
                  b"".join(outcomes[:PART]), fd)
        os.close(fd)
        for i in range(PART, len(outcomes), PART):
            self.send(ns("+") + b"".join(outcomes[i:i + PART]))
        return self.answer()

    def answer(self):
        """(ok, text, envelope fields, content) of the one answer."""
        data, fds, _, _ = socket.recv_fds(self.sock, 65536, 1)
        serial, ok, env_len, content_len, text = fields(data)
        env = content = None
        if int(ok) == 1:
            assert fcntl.fcntl(fds[0], fcntl.F_GET_SEALS) & SEALS == SEALS
            size = os.fstat(fds[0]).st_size
            assert size == int(env_len) + int(content_len)
            data = os.pread(fds[0], size, 0)
            while len(data) < size:
                data += os.pread(fds[0], size - len(data), len(data))
            env, content = fields(data[:int(env_len)]), data[int(env_len):]
            os.close(fds[0])
        else:
            assert not fds
        self.serial = int(serial)
        return int(ok), text.decode(), env, content

    def end(self):
        self.sock.close()
        status = self.process.wait(10)
        err = self.process.stderr.read().decode()
        self.process.stderr.close()
        self.home.cleanup()
        return status, err
