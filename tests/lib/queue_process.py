"""relay-queue run alone, with this program as relay-smtpd, relay-inject, relay-send and relay-bounce."""
import array
import ctypes
import fcntl
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from netstring import fields, ns

SEALS = 0xF  # WRITE, GROW, SHRINK, SEAL
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TOP = Path(__file__).resolve().parents[2]


def program():
    return str((TOP / os.environ.get("BUILD", "build")).resolve() / "bin" / "relay-queue")


def mint():
    return "".join(random.choice(ALPHABET) for _ in range(16))


def envelope(mid, sender="a@example.com", rcpts=("b@example.org",), tenant="t1", through=0,
             flags=0):
    head = ns(1, mid, sender, tenant, "", "192.0.2.7", "client.example", "", flags, 0, "", 50,
              through, int(time.time() * 1000), "", len(rcpts))
    return head + b"".join(ns(r, 0, "") for r in rcpts)


def memfd(data, seal=True):
    fd = os.memfd_create("message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if seal:
        fcntl.fcntl(fd, 1033, SEALS)  # F_ADD_SEALS
    return fd


def send(sock, data, fd=-1):
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd != -1 else []
    sock.sendmsg([data], anc)


def receive(sock, seconds=10.0):
    """(fields, fd or -1); None at end of file; TimeoutError."""
    if not select.select([sock], [], [], seconds)[0]:
        raise TimeoutError("no datagram")
    try:
        data, anc, _, _ = sock.recvmsg(65536, socket.CMSG_LEN(4))
    except ConnectionError:
        return None
    fd = -1
    for level, kind, payload in anc:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fd = array.array("i", payload[:4])[0]
    return (fields(data), fd) if data else None


def body(n=200, seed=""):
    line = (f"Subject: {seed}\r\n\r\n" + "x" * 70 + "\r\n").encode()
    return (line * (n // len(line) + 1))[:max(n - 2, 0)] + b"\r\n"


class Client:
    """A connection of run/intake."""

    def __init__(self, queue, path="run/intake", tenant=None):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(str(queue.dir / path))
        self.refused = None
        if tenant is not None:
            self.hello(tenant)

    def hello(self, tenant):
        send(self.sock, ns("H", tenant, "192.0.2.7"))
        f, _ = receive(self.sock)
        self.refused = None if f[0] == b"+" else b" ".join(f[1:]).decode()

    def post(self, env, content, seal=True, through=0):
        """Submits without waiting for the verdict."""
        fd = memfd(env + content, seal)
        send(self.sock, ns("S", len(env), len(content), "", through), fd)
        os.close(fd)

    def verdict(self, seconds=10.0):
        """(code, text), or None if the connection ended."""
        got = receive(self.sock, seconds)
        if got is None:
            return None
        assert got[0][0] == b"V", got
        return int(got[0][1]), got[0][2].decode()

    def submit(self, mid=None, content=None, **words):
        mid = mid or mint()
        self.post(envelope(mid, **words), content if content is not None else body(200, mid))
        return mid, self.verdict()

    def submit_big(self, mid, content, **words):
        send(self.sock, ns("B"))
        f, fd = receive(self.sock)
        if f[0] != b"+":
            return int(f[1]), f[2].decode()
        env = envelope(mid, **words)
        with os.fdopen(fd, "wb") as out:
            out.write(env + content)
        send(self.sock, ns("S", len(env), len(content), f[2], 0))
        return self.verdict()

    def close(self):
        self.sock.close()


class Message:
    def __init__(self, f):
        (self.serial, mid, sender, tenant, _source, _dest, _prio, _flags, _arrival, elen, clen,
         self.total, through, last, here) = f[1:16]
        self.serial = int(self.serial)
        self.id, self.sender, self.tenant = mid.decode(), sender.decode(), tenant.decode()
        self.elen, self.clen, self.total = int(elen), int(clen), int(self.total)
        self.through = int(through)
        self.last, self.fd = last == b"1", -1
        self.rcpts = {}
        self.add(f, int(here))

    def add(self, f, here):
        for i in range(here):
            r = f[16 + 7 * i:23 + 7 * i]
            self.rcpts[int(r[0])] = {"address": r[1].decode(), "state": r[3].decode(),
                                     "attempts": int(r[4]), "next": int(r[5]), "told": r[6] == b"1"}


class Queue:
    """relay-queue in a directory, and what relay-send would know."""

    def __init__(self, directory, env=None, start=True):
        self.dir = Path(directory)
        for name in ("control", "queue", "run"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        me = self.dir / "control/me"
        if not me.exists():
            me.write_text("relay.example\n")
        self.env = env or {}
        self.process = None
        if start:
            self.start()

    def control(self, name, value):
        (self.dir / "control" / name).write_text(f"{value}\n")

    def start(self, until_told=True):
        listeners = []
        for name in ("intake", "inject"):
            path = self.dir / "run" / name
            path.unlink(missing_ok=True)
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.bind(str(path))
            s.listen(4096)
            listeners.append(s)
        self.send_sock, send_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.bounce_sock, bounce_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = [s.fileno() for s in listeners] + [send_end.fileno(), bounce_end.fileno()]
        self.log = open(self.dir / "log", "ab")
        # 3 to 6 may be among the sources: first above all of them, then into place.
        placed = [fcntl.fcntl(fd, fcntl.F_DUPFD, 500 + i) for i, fd in enumerate(fds)]

        def place():
            for i, fd in enumerate(placed):
                os.dup2(fd, 3 + i)
        self.process = subprocess.Popen([program(), "-d", str(self.dir)], stderr=self.log,
                                        preexec_fn=place, close_fds=False,
                                        env={**os.environ, **self.env})
        for fd in placed:
            os.close(fd)
        for s in listeners + [send_end, bounce_end]:
            s.close()
        self.messages, self.notes, self.paused, self.told = {}, {}, False, False
        self.answers = []
        if until_told:
            self.until(lambda: self.told)

    def take_message(self, f):
        """One M, or a part of one, at the head of these fields; returns how many are its."""
        serial, here = int(f[1]), int(f[15])
        if serial in self.messages and not self.messages[serial].last:
            m = self.messages[serial]
            m.add(f, here)
            m.last = f[14] == b"1"
        else:
            self.messages[serial] = Message(f)
        return 16 + 7 * here

    def take(self, seconds=10.0):
        """One datagram of relay-send's channel. False at its end."""
        got = receive(self.send_sock, seconds)
        if got is None:
            return False
        f, fd = got
        verb = f[0]
        if verb == b"M":
            while f:  # at start several in one datagram
                f = f[self.take_message(f):]
            if fd != -1:
                os.close(fd)
        elif verb == b"E":
            self.told = True
        elif verb == b"P":
            self.paused = f[1] == b"1"
        elif verb == b"N":
            self.notes[f[1].decode()] = f[2].decode()
        else:
            self.answers.append((f, fd))
        return True

    def until(self, condition, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.take(max(deadline - time.monotonic(), 0.01)):
                raise EOFError("relay-queue is gone: " + self.log_text()[-2000:])

    def drain(self, seconds=0.05):
        try:
            while self.take(seconds):
                pass
        except TimeoutError:
            pass

    def by_id(self, mid):
        return next((m for m in self.messages.values() if m.id == mid), None)

    def answer(self, verb):
        self.until(lambda: any(a[0][0] == verb for a in self.answers))
        i = next(i for i, a in enumerate(self.answers) if a[0][0] == verb)
        return self.answers.pop(i)

    def result(self, serial, *outcomes):
        """outcomes: (rcpt, verdict, text, attempts, next, due)"""
        out = ns("R", serial)
        for rcpt, verdict, text, attempts, later, due in outcomes:
            out += ns(rcpt, verdict + ".", 250 if verdict == "d" else 550 if verdict == "f" else 450,
                      {"d": "2.0.0", "f": "5.0.0"}.get(verdict, "4.0.0"), "mx.example[192.0.2.9]",
                      text, attempts, later, int(due))
        send(self.send_sock, out)

    def delivered(self, serial, rcpt=0):
        self.result(serial, (rcpt, "d", "250 ok", 1, 0, False))

    def fetch(self, serial):
        """The message's (envelope and content), or None: self.refusal says why."""
        send(self.send_sock, ns("G", serial))
        f, fd = self.answer(b"F")
        assert int(f[1]) == serial
        self.refusal = f[3].decode()
        if fd == -1:
            return None
        size = os.fstat(fd).st_size
        assert fcntl.fcntl(fd, 1034) == SEALS  # F_GET_SEALS
        data = b""
        while len(data) < size:
            data += os.pread(fd, size - len(data), len(data))
        os.close(fd)
        return data

    def words(self, serial, rcpt=0):
        send(self.send_sock, ns("Y", 7, serial, rcpt))
        return self.answer(b"Y")[0][2].decode()

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.wait_killed()

    def wait_killed(self):
        self.process.wait()
        self.shut()

    def end(self):
        """As when relay-send ends: returns the exit status."""
        self.send_sock.shutdown(socket.SHUT_WR)
        status = self.process.wait(60)
        self.shut()
        return status

    def shut(self):
        self.send_sock.close()
        self.bounce_sock.close()
        self.log.close()

    def log_text(self):
        return (self.dir / "log").read_text(errors="replace")

    def listing(self):
        return subprocess.run([program(), "-l", str(self.dir / "queue")], capture_output=True,
                              check=True).stdout.decode()

    def extract(self, mid):
        return subprocess.run([program(), "-x", str(self.dir / "queue"), mid],
                              capture_output=True, check=True).stdout


def shim(directory):
    """tests/shim/queue_shim.c, built: what LD_PRELOAD is to be."""
    out = Path(directory) / "queue_shim.so"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-fPIC", "-shared",
                    str(TOP / "tests/shim/queue_shim.c"), "-o", str(out), "-ldl"], check=True)
    # ASan's runtime must be the first of all; its pwrite() calls the next one, the shim's.
    linked = subprocess.run(["ldd", program()], capture_output=True, check=True).stdout.decode()
    return " ".join([w for w in linked.split() if w.startswith("/") and "libasan" in w] + [str(out)])


class Checks:
    """Counts; the last line of a test says how many."""

    def __init__(self):
        self.count = self.failed = 0

    def __call__(self, good, what):
        self.count += 1
        if not good:
            self.failed += 1
            print(f"FAILED: {what}", flush=True)

    def done(self):
        print(f"{Path(sys.argv[0]).stem}: {self.count} checks, {self.failed} failed")
        sys.exit(1 if self.failed else 0)
