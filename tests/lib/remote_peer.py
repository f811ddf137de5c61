"""relay-send's side of relay-remote, for tests: starts the real program with a
socketpair on fd 7 and speaks lib/work.h and lib/resolve.h."""

import array
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from netstring import fields, ns as put

F_ADD_SEALS, ALL_SEALS = 1033, 15


def receive(sock, timeout=20):
    """One datagram: (fields, fd or None); None at end of file."""
    sock.settimeout(timeout)
    try:
        data, anc, _flags, _ = sock.recvmsg(65536, socket.CMSG_LEN(4))
    except ConnectionResetError:
        return None
    fd = None
    for level, kind, cdata in anc:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fd = struct.unpack("i", cdata[:4])[0]
    return (fields(data), fd) if data else None


def send(sock, data, fd=None):
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
    sock.sendmsg([data], anc)


OUTCOME = ("rcpt", "letters", "code", "status", "host", "reply")


def outcomes(fs):
    out = []
    for i in range(0, len(fs), len(OUTCOME)):
        o = dict(zip(OUTCOME, (x.decode() for x in fs[i:i + len(OUTCOME)])))
        o["verdict"], o["stage"] = o.pop("letters")
        o["rcpt"], o["code"] = int(o["rcpt"]), int(o["code"])
        out.append(o)
    return out


class Message:
    """A sealed memfd: envelope (lib/envelope.h), then content."""

    def __init__(self, rcpts, content, sender="s@a.example", flags=0, ret=0, envid="",
                 ident="0123456789ABCDEF"):
        self.id = ident
        rcpts = [r if isinstance(r, tuple) else (r, 0, "") for r in rcpts]
        envelope = put("1", ident, sender, "tenant", "", "192.0.2.7", "client.example", "", flags,
                       ret, envid, 50, 0, 1700000000000, "", len(rcpts))
        for address, notify, orcpt in rcpts:
            envelope += put(address, notify, orcpt)
        self.envelope_len, self.content_len = len(envelope), len(content)
        self.rcpts = len(rcpts)
        self.fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        data = envelope + content
        while data:
            data = data[os.write(self.fd, data):]
        fcntl.fcntl(self.fd, F_ADD_SEALS, ALL_SEALS)

    def job(self, token=1, which=None):
        which = list(range(self.rcpts)) if which is None else which
        return put("J", token, self.id, self.envelope_len, self.content_len, len(which), *which)

    def close(self):
        os.close(self.fd)


TIMEOUTS = dict(connect=5, banner=5, helo=5, mail=5, rcpt=5, data=5, block=5, dot=5, quit=2, idle=60)


class Worker:
    def __init__(self, sock, pid):
        self.sock, self.pid, self.token = sock, pid, 0
        self.dot_told = False

    def open(self, hosts, name="relay.example", source4="", source6="", tls=None, **timeouts):
        """tls: a demand (kind, sni, names, reason, pins, session) for each host (lib/work_tls.h)."""
        t = dict(TIMEOUTS, **timeouts)
        tls = [x for demand in tls or [("m", "", "", "", "", "")] * len(hosts) for x in demand]
        flat = [x for h in hosts for x in h]
        send(self.sock, put("O", name, source4, source6, *t.values(), len(hosts), *flat, *tls))
        return self

    def opened(self, timeout=20):
        """("O", host, extensions), or ("N", outcome), or None."""
        got = receive(self.sock, timeout)
        if got is None:
            return None
        f = got[0]
        if f[0] == b"O":
            self.tls = dict(facts=f[5].decode(), broken=f[6].decode(), session=f[7])
            return ("O", f[1].decode(), f[3].decode())
        return ("N", outcomes(f[1:])[0])

    def start(self, message, which=None):
        self.token += 1
        send(self.sock, message.job(self.token, which), message.fd)

    def cancel(self):
        send(self.sock, put("X", self.token))

    def result(self, timeout=20):
        """(outcomes by recipient, end), or None when the worker ended instead."""
        found, self.dot_told = {}, False
        while True:
            got = receive(self.sock, timeout)
            if got is None:
                return None
            f = got[0]
            assert int(f[1]) == self.token, f
            if f[0] == b"D":
                self.dot_told = True
            elif f[0] == b"R":
                part = outcomes(f[3:])
                assert len(part) == int(f[2])
                found.update((o["rcpt"], o) for o in part)
            elif f[0] == b"E":
                names = ("keep", "dsn", "stale", "ms_mail", "ms_rcpt", "ms_dot", "bytes")
                end = dict(zip(names, map(int, f[2:])))
                for name in names[3:6]:
                    end[name] -= 1  # lib/work.c: none travels as 0
                return found, end

    def deliver(self, message, which=None, timeout=20):
        self.start(message, which)
        return self.result(timeout)

    def quit(self):
        send(self.sock, put("Q"))

    def close(self):
        self.sock.close()


class Remote:
    """A running relay-remote in a directory of its own."""

    def __init__(self, program, control=None, log=None, wrapper=()):
        self.dir = tempfile.mkdtemp(prefix="relay-remote-test.")
        os.mkdir(self.dir + "/control")
        os.mkdir(self.dir + "/run")
        for name, text in dict({"me": "relay.example\n"}, **(control or {})).items():
            with open(f"{self.dir}/control/{name}", "w") as f:
                f.write(text)
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log_path = log or self.dir + "/log"
        log_fd = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def plumb():
            os.dup2(theirs.fileno(), 7, inheritable=True)

        self.process = subprocess.Popen([*wrapper, program, "-d", self.dir], stdin=subprocess.DEVNULL,
                                        stderr=log_fd, preexec_fn=plumb, close_fds=True,
                                        pass_fds=(7,))
        os.close(log_fd)
        theirs.close()
        got = receive(self.sock)
        assert got and got[0] == [b"Q"] and got[1] is not None, got
        self.resolver = socket.socket(fileno=got[1])
        self.tokens, self.lock = 0, threading.Lock()

    def worker(self):
        with self.lock:
            self.tokens += 1
            send(self.sock, put("W", self.tokens))
            f, fd = receive(self.sock)
            assert f[0] == b"W", f
            assert int(f[1]) == self.tokens
        return Worker(socket.socket(fileno=fd), int(f[2]))

    def ask(self, name, kind="m", timeout=30, port=25):
        self.tokens += 1
        send(self.resolver, put(kind, self.tokens, name, *([port] if kind in "MH" else [])))
        f, _ = receive(self.resolver, timeout)
        assert int(f[1]) == self.tokens
        hosts, addresses = int(f[5]), int(f[6])
        at = 7
        answer = dict(dane=[], status=f[2].decode(), ttl=int(f[3]), text=f[4].decode(), hosts=[], addresses=[])
        for _ in range(hosts):
            answer["hosts"].append((int(f[at]), f[at + 1].decode()))
            answer["dane"].append((f[at + 2].decode(), f[at + 3].decode(), f[at + 4]))
            at += 5
        for _ in range(addresses):
            answer["addresses"].append((answer["hosts"][int(f[at])][1], f[at + 1].decode()))
            at += 2
        assert at == len(f)
        return answer

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """Ends as relay-send's end does; returns the exit status."""
        self.sock.close()
        self.resolver.close()
        status = self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)
        return status
