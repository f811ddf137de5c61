"""What the tests of bad behaviour share: an SMTP client that sends bytes as they are, and
the memory and descriptors of a sandbox's processes."""

import os
import random
import socket
import time

from relaytest import PATIENCE

END = b"\r\n.\r\n"
# For a BadMX that is to take whatever comes: no SIZE.
ANY_SIZE = {"ehlo": b"250-mx.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"}


class Client:
    """A TCP connection on which nothing is polite unless the caller is."""

    def __init__(self, address, source=None, timeout=30):
        self.sock = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.read.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def reply(self):
        """The next whole reply as bytes; b"" when the server has closed."""
        whole = b""
        while True:
            try:
                line = self.read.readline()
            except ConnectionError:
                line = b""
            whole += line
            if not line or line[3:4] != b"-":
                return whole

    def code(self):
        return self.reply()[:3].decode("ascii", "replace")

    def say(self, line):
        """One command, its reply."""
        self.send(line + b"\r\n")
        return self.reply()

    def greet(self, name=b"client.test"):
        self.reply()
        self.say(b"EHLO " + name)
        return self

    def rest(self):
        """Everything until the server closes."""
        out = b""
        try:
            while True:
                piece = self.sock.recv(65536) if self.read is None else self.read.read1(65536)
                if not piece:
                    return out
                out += piece
        except ConnectionError:
            return out


def envelope(sender, recipients, last=b"DATA\r\n"):
    """A transaction's commands up to DATA, as they are pipelined."""
    lines = [b"MAIL FROM:<" + sender + b">\r\n"]
    lines += [b"RCPT TO:<" + r + b">\r\n" for r in recipients]
    return b"".join(lines) + last


def replies(data):
    """The replies in a run of bytes: [(code, text), ...]."""
    out, whole = [], b""
    for line in data.splitlines(True):
        whole += line
        if line[3:4] != b"-":
            out.append((whole[:3].decode("ascii", "replace"), whole))
            whole = b""
    return out


def undotted(data):
    """What a receiver makes of DATA: lines, leading dots removed (RFC 5321 4.5.2)."""
    return [x[1:] if x[:1] == b"." else x for x in data.split(b"\r\n")[:-1]]


def without_received(lines):
    """Lines behind the Received field (or fields) that relays put in front."""
    at = 0
    while at < len(lines) and (lines[at].startswith(b"Received:")
                               or at and lines[at][:1] in (b" ", b"\t")):
        at += 1
    return lines[at:]


def private_kib(pid):
    """Memory that is this process's alone, from smaps_rollup; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return sum(int(x.split()[1]) for x in rollup if x.startswith("Private_"))
    except OSError:
        return 0


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


DAEMONS = ("relay-queue", "relay-send", "relay-remote", "relay-bounce", "tcpserver")


def measure(relay):
    """{program: (processes, KiB, descriptors)}, of the largest of them."""
    found = {name: relay.pids(name) for name in DAEMONS}
    return {name: (len(pids), max(map(private_kib, pids), default=0), max(map(descriptors, pids), default=0))
            for name, pids in found.items()}


def show(words, sizes):
    print(f"{words:24}" + "  ".join(f"{name} {n}p {kib}K {fds}fd"
                                    for name, (n, kib, fds) in sorted(sizes.items())), flush=True)


class Quiet:
    """Many checks of one Test, of which only the failed ones are printed."""

    def __init__(self, test):
        self.test = test
        self.seed = int(os.environ.get("TEST_SEED", "1"))
        self.random = random.Random(self.seed)
        print(f"seed {self.seed} (TEST_SEED)", flush=True)

    def check(self, good, *words):
        if good:
            self.test.checks += 1
        else:
            self.test.check(False, " ".join(map(str, words))[:1000])
        return bool(good)

    def same(self, got, wanted, *words):
        return self.check(got == wanted, *words, f"got {got!r:.500}, wanted {wanted!r:.500}")

    def grown(self, before, after, kib=4096, fds=20):
        """No daemon has grown by more than kib or fds between two measures."""
        if PATIENCE > 1:
            kib *= 100  # AddressSanitizer keeps for a while what was freed
        for name in before:
            self.check(after[name][1] - before[name][1] <= kib, name, "grew:", before[name], after[name])
            self.check(after[name][2] - before[name][2] <= fds, name, "holds more descriptors:",
                       before[name], after[name])


def parts(test, *functions):
    """Runs the parts of a test one after the other, and says how long each took."""
    for part in functions:
        began = time.monotonic()
        part()
        test.check(True, f"{part.__name__} ({time.monotonic() - began:.1f} s)")
