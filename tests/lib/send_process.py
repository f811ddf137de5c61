"""relay-send run alone, with this program as relay-queue, the master of relay-remote, its workers
and the resolver (lib/dispatch.h, work.h, resolve.h). Everything is answered in pump()."""
import array
import contextlib
import fcntl
import os
import random
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = (TOP / os.environ.get("BUILD", "build")).resolve()
PATIENCE = 3 if "asan" in BUILD.name else 1
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SEALS = 0xF  # WRITE, GROW, SHRINK, SEAL


def ns(*fields):
    fields = [f if isinstance(f, bytes) else str(f).encode() for f in fields]
    return b"".join(b"%d:%s," % (len(f), f) for f in fields)


def fields(data):
    out = []
    while data:
        n, data = data.split(b":", 1)
        n = int(n)
        assert data[n:n + 1] == b",", data[:60]
        out.append(data[:n].decode(errors="surrogateescape"))
        data = data[n + 1:]
    return out


def mint():
    return "".join(random.choice(ALPHABET) for _ in range(16))


def memfd(data):
    fd = os.memfd_create("message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, 1033, SEALS)  # F_ADD_SEALS
    return fd


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Result:
    """One dispatch_result of an R."""

    def __init__(self, serial, f):
        self.serial, self.rcpt = serial, int(f[0])
        self.verdict, self.stage = f[1]
        self.code, self.status, self.host, self.reply = int(f[2]), f[3], f[4], f[5]
        self.attempts, self.next, self.due = int(f[6]), int(f[7]), f[8] == "1"

    def __repr__(self):
        return f"<{self.serial}/{self.rcpt} {self.verdict} {self.status} {self.reply!r} due={self.due}>"


class Worker:
    """A stand-in for one MX connection; what it does is Send.mx(worker, job)."""

    def __init__(self, sock, pid):
        self.sock, self.pid, self.hosts, self.jobs, self.host = sock, pid, [], 0, None
        self.token, self.rcpts, self.id, self.cancelled, self.quit = None, [], None, False, False
        self.demands, self.tls = [], ("none", "", "")  # lib/work_tls.h

    def say(self, *words):
        with contextlib.suppress(OSError):
            self.sock.send(ns(*words))

    def greet(self):
        name, ip, _port = self.hosts[0]
        self.host = f"{name}[{ip}]"
        self.say("O", self.host, 3, "PIPELINING DSN", 0, *self.tls)

    def no_session(self, reply="Connection refused", code=0, stage="c"):
        self.say("N", 0, "t" + stage, code, "4.4.1", "", reply)
        self.close()

    def outcomes(self, verdict="d", code=250, status="2.0.0", reply="250 2.0.0 ok", stage=".", rcpts=None):
        words = []
        for r in self.rcpts if rcpts is None else rcpts:
            words += [r, verdict + stage, code, status, self.host, reply]
        self.say("R", self.token, len(words) // 6, *words)

    def dot(self):
        self.say("D", self.token)

    def end(self, keep=1, dsn=1, stale=0):
        token, self.token = self.token, None
        self.say("E", token, keep, dsn, stale, 2, 2, 2, 100)
        if not keep:
            self.close()

    def deliver(self, **how):
        self.dot()
        self.outcomes(**how)
        self.end()

    def close(self):
        self.sock.close()


class Send:
    """The running relay-send; see the module."""

    def __init__(self, directory, control=None):
        self.directory = Path(directory)
        for name in ("control", "run"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for name, value in {"me": "relay.test", **(control or {})}.items():
            (self.directory / "control" / name).write_text(f"{value}\n")
        self.results, self.notices, self.notes, self.questions, self.workers = [], [], {}, [], []
        self._unsent = []
        self.bounced, self.serial, self.pid, self.asked, self.fetched = True, 0, 100000, 0, 0
        self.last = "450 4.2.0 what relay-queue keeps"
        self.mx = lambda worker: worker.deliver()
        self.connect = lambda worker: worker.greet()
        self.quit = lambda worker: worker.close()
        self.resolve = lambda name: ("o", 300, "", [(10, f"mx.{name}")], [(0, "127.0.0.1")])
        self._start()

    def _start(self):
        self.queue, theirs5 = pair()
        self.master, theirs7 = pair()
        path = self.directory / "run" / "ctl"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(path))
        listener.listen(10)
        keep = [s.detach() for s in (listener, theirs5, theirs7)]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in keep]

        def plumb():
            for fd, to in zip(high, (3, 5, 7)):
                os.dup2(fd, to)

        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen([str(BUILD / "bin" / "relay-send"), "-d", str(self.directory)],
                                        stderr=self.log, preexec_fn=plumb, close_fds=False)
        for fd in keep + high:
            os.close(fd)
        self.resolver, theirs = pair()
        self._send(self.master, ns("Q"), theirs.detach())

    def _send(self, sock, data, fd=None):
        """Never blocks for long: what relay-send says meanwhile is read, and answered afterwards."""
        self._unsent.append((sock, data, fd))
        if len(self._unsent) > 1:
            return  # an answer to what was read while another waits to be sent
        while self._unsent:
            self._send_now(*self._unsent[0])
            self._unsent.pop(0)

    def _send_now(self, sock, data, fd):
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        while True:
            try:
                sock.sendmsg([data], anc, socket.MSG_DONTWAIT)
                break
            except BlockingIOError:
                self.turn(0.01)
            except OSError:
                break  # relay-send is gone: the test finds out by its status
        if fd is not None:
            os.close(fd)

    # what relay-queue says

    def message(self, rcpts, sender="s@back.test", tenant="t1", fd=True, age=0, flags=0, source="",
                priority=50, size=100, notify=0, state="p", attempts=0, wait=0, serial=None, told=0,
                through=0):
        """Tells of a message; returns (serial, id). age and wait in seconds."""
        self.serial += 1
        serial, ident = serial or self.serial, mint()
        rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
        now = int(time.time() * 1000)
        for first in range(0, len(rcpts), 100):
            part = rcpts[first:first + 100]
            last = first + 100 >= len(rcpts)
            data = ns("M", serial, ident, sender, tenant, source, "", priority, flags, now - age * 1000, 10, size,
                      len(rcpts), through, int(last), len(part))
            for n, address in enumerate(part):
                data += ns(first + n, address, notify, state, attempts, now + wait * 1000 if wait else 0, told)
            self._send(self.queue, data, memfd(b"x" * (10 + size)) if fd and last else None)
        return serial, ident

    def told(self):
        self._send(self.queue, ns("E"))

    def pause(self, on):
        self._send(self.queue, ns("P", int(on)))

    # what is read

    def _receive(self, sock):
        try:
            data, anc, _flags, _from = sock.recvmsg(65536, socket.CMSG_LEN(4), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return []
        for _level, _kind, cdata in anc:
            os.close(array.array("i", cdata[:4])[0])
        return fields(data) if data else []

    def _from_queue(self, f):
        verb, f = f[0], f[1:]
        if verb == "R":
            self.results += [Result(int(f[0]), f[n:n + 9]) for n in range(1, len(f), 9)]
        elif verb == "G":
            self.fetched += 1
            self._send(self.queue, ns("F", f[0], 1, ""), memfd(b"x" * 110))
        elif verb == "B":
            self.notices.append((int(f[0]), f[1], [int(n) for n in f[3:]]))
            self._send(self.queue, ns("D", f[0], int(self.bounced)))
        elif verb == "Y":
            self._send(self.queue, ns("Y", f[0], self.last))
        elif verb == "N":
            self.notes[f[0]] = f[1]

    def _from_master(self, f):
        ours, theirs = pair()
        self.asked += 1
        self.pid += 1
        self.workers.append(Worker(ours, self.pid))
        self._send(self.master, ns("W", f[1], self.pid), theirs.detach())

    def _from_resolver(self, f):
        kind, token, name = f[:3]
        self.questions.append((kind, name))
        answer = self.resolve(name)
        if answer is None:
            return
        status, ttl, text, hosts, addresses = answer
        data = ns("A", token, status, ttl, text, len(hosts), len(addresses))
        data += b"".join(ns(*(tuple(h) + ("-", "", ""))[:5]) for h in hosts) + b"".join(ns(*a) for a in addresses)
        self._send(self.resolver, data)

    def _from_worker(self, w, f):
        if f[0] == "O":
            count = int(f[14])
            w.hosts = [tuple(f[15 + 3 * n:18 + 3 * n]) for n in range(count)]
            rest = f[15 + 3 * count:]
            w.demands = [dict(zip(("kind", "sni", "names", "reason", "pins", "session"),
                                  rest[6 * n:6 * n + 6])) for n in range(count)]
            self.connect(w)
        elif f[0] == "J":
            w.token, w.id, w.rcpts = int(f[1]), f[2], [int(n) for n in f[6:]]
            w.jobs += 1
            self.mx(w)
        elif f[0] == "X":
            w.cancelled = True
        elif f[0] == "Q":
            w.quit = True
            self.quit(w)

    def turn(self, seconds=0.05):
        alive = [w for w in self.workers if w.sock.fileno() != -1]
        self.workers = alive
        socks = [self.queue, self.master, self.resolver] + [w.sock for w in alive]
        ready, _, _ = select.select([s for s in socks if s.fileno() != -1], [], [], seconds)
        for sock in ready:
            for _ in range(100):
                f = self._receive(sock) if sock.fileno() != -1 else None
                if f is None:
                    break
                if not f:
                    sock.close()
                elif sock is self.queue:
                    self._from_queue(f)
                elif sock is self.master:
                    self._from_master(f)
                elif sock is self.resolver:
                    self._from_resolver(f)
                else:
                    self._from_worker(next(w for w in alive if w.sock is sock), f)

    def pump(self, condition, seconds=10.0):
        """Turns until condition() is true; returns its value, false at the deadline."""
        deadline = time.monotonic() + seconds * PATIENCE
        while True:
            value = condition()
            if value or time.monotonic() > deadline:
                return value
            self.turn()

    def still(self, seconds=0.3):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.turn(0.02)

    def of(self, serial, verdict=None):
        return [r for r in self.results if r.serial == serial and (verdict is None or r.verdict == verdict)]

    def ctl(self, *words):
        """relay-ctl, run while the other channels are served."""
        process = subprocess.Popen([str(BUILD / "bin" / "relay-ctl"), "-d", str(self.directory), *words],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pump(lambda: process.poll() is not None or self._drain(process), 60)
        out, err = process.communicate()
        self._out, out = "", getattr(self, "_out", "") + out
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def _drain(self, process):
        """A list longer than a pipe must not stop relay-ctl."""
        while select.select([process.stdout], [], [], 0)[0]:
            data = os.read(process.stdout.fileno(), 65536).decode()
            if not data:
                break
            self._out = getattr(self, "_out", "") + data
        return False

    def signal(self, number):
        self.process.send_signal(number)

    def ended(self, seconds=10):
        return self.pump(lambda: self.process.poll() is not None, seconds) and self.process.returncode

    def log_text(self):
        return (self.directory / "log").read_text(errors="replace")

    def memory(self):
        """Private resident bytes."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        for sock in [self.queue, self.master, self.resolver] + [w.sock for w in self.workers]:
            sock.close()
