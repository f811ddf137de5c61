#!/usr/bin/python3
# limit: 150
"""Hostile peers on the relay's own sockets: run/intake as relayd would send, run/inject as
anybody would, run/ctl as an operator's broken tool. Garbage, cut datagrams, descriptors that
are no sealed memfd, sizes and names that lie, crowds of connections. No daemon ends or grows,
what is wrong is never answered 250, and mail goes on."""
import array
import fcntl
import os
import pwd
import resource
import signal
import socket
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badclient import ANY_SIZE, END, Client, Quiet, envelope, measure, parts, show, undotted, without_received
from badmx import BadMX
from relaytest import BUILD, PATIENCE, TOP, Relay, run, run_program, wait_for
from remote_peer import ALL_SEALS, F_ADD_SEALS, fields, put

SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE = 1, 2, 4, 8, 16
CONTENT = b"Subject: channel\r\n\r\nx\r\n"
EVIL = (b"Subject: injected\r\n\r\na\n.\nb\r\n.\r\nMAIL FROM:<evil@x.test>\r\nc\r.\rd\n.\r\ne\r\n.\n\nMAIL "
        b"FROM:<evil@x.test>\r\nRCPT TO:<x@y>\r\nDATA\r\n.\r\n")
NO_ANSWER = "no answer"  # the connection was closed, or nothing came


def header(ident="0123456789ABCDEF", sender="s@a.test", tenant="tenant", client="192.0.2.7", helo="h",
           flags=0, arrival=1700000000000, nrcpts=1, rcpts=(("b@dest.test", 0, ""),), version="1", rest=b""):
    whole = put(version, ident, sender, tenant, "", client, helo, "", flags, 0, "", 50, 0, arrival, "", nrcpts)
    for rcpt in rcpts:
        whole += put(*rcpt)
    return whole + rest


def memfd(data, seals=ALL_SEALS):
    fd = os.memfd_create("hostile", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Peer:
    """One connection; says what it is told to."""

    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10 * PATIENCE)
        self.sock.connect(str(path))
        if hello:
            self.say(put("H", "hostile", "192.0.2.7"))

    def send(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], ancillary)
        except OSError:
            pass  # it has hung up already, or the datagram is larger than the socket takes

    def answer(self):
        """(verb, code, text), or NO_ANSWER."""
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(64))
        except OSError:
            return NO_ANSWER
        self.fds = [fd for _, _, raw in ancillary for fd in array.array("i", raw[:len(raw) // 4 * 4])]
        if not data:
            return NO_ANSWER
        return tuple(x.decode() for x in fields(data))

    def say(self, data, fds=()):
        self.send(data, fds)
        return self.answer()

    def close(self):
        self.sock.close()


class Channels:
    def __init__(self, test):
        self.v, self.test = Quiet(test), test
        self.mx = BadMX(ANY_SIZE, host=test.address(9))
        self.relay = test.relay(routes=f":[{self.mx.host}]:{self.mx.port}")
        self.run = self.relay.directory / "run"
        self.address = (self.relay.host, self.relay.port)
        self.number = 0

    def alive(self, words):
        """A message through the whole relay."""
        self.number += 1
        mark = b"alive %d" % self.number
        with Client(self.address) as c:
            c.greet().send(envelope(b"a@msa.test", [b"b@dest.test"]) + b"Subject: " + mark + b"\r\n" + END)
            self.v.same([c.code() for _ in range(4)], ["250", "250", "354", "250"], words)
        wait_for(lambda: any(mark in m for m in self.mx.messages), f"mail goes on {words}")

    def refused(self, words, path, data, fds=(), hello=True):
        peer = Peer(path, hello and path.name == "intake")
        got = peer.say(data, fds)
        for fd in fds:
            os.close(fd)
        self.v.check(got == NO_ANSWER or got[0] == "-" or got[1][0] in "45", words, path.name, "was answered", got)
        peer.close()

    def submissions(self, path):
        """Requests that are well-formed but lie. Each must be refused or end its connection."""
        head = header()
        size = (len(head), len(CONTENT))
        whole = head + CONTENT
        def s(envelope_len=size[0], content_len=size[1], name=""):
            return put("S", envelope_len, content_len, name, 0)
        bad = lambda words, data, *fds: self.refused(words, path, data, fds)
        bad("no fd", s())
        for name in ("../../control/me", "x/../../log/1", "a\0b", "lock", "deadbeefdeadbeef", "a" * 32, "a" * 5000, "."):
            bad("name " + name[:20], s(name=name))
            bad("name and fd " + name[:20], s(name=name), memfd(whole))
        for seals in (0, WRITE, FUTURE_WRITE | GROW | SHRINK | SEAL, GROW | SHRINK | SEAL, WRITE | GROW | SHRINK):
            bad(f"seals {seals}", s(), memfd(whole, seals))
        for n in (-1, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 63, 2 ** 64 - 1, 2 ** 64, 10 ** 30):
            bad(f"content size {n}", s(content_len=size[1] + n if abs(n) == 1 else n), memfd(whole))
            bad(f"envelope size {n}", s(envelope_len=size[0] + n if abs(n) == 1 else n), memfd(whole))
        bad("envelope over all", s(envelope_len=len(whole), content_len=0), memfd(whole))
        bad("no envelope", s(envelope_len=0, content_len=len(whole)), memfd(whole))
        bad("envelope one short", s(size[0] - 1, size[1] + 1), memfd(whole))
        bad("envelope one long", s(size[0] + 1, size[1] - 1), memfd(whole))
        bad("empty", s(0, 0), memfd(b""))
        reading, writing = os.pipe()
        os.write(writing, whole)
        bad("a pipe", s(), reading)
        os.close(writing)
        one, other = socket.socketpair()
        bad("a socket", s(), one.detach())
        other.close()
        for file in ("/dev/zero", "/dev/null", "/etc/passwd", "/", "/proc/self/status"):
            bad(file, s(), os.open(file, os.O_RDONLY))
        bad("O_PATH", s(), os.open("/etc/passwd", os.O_PATH))
        bad("an eventfd", s(), os.eventfd(1))
        bad("an fd with H", put("H", "t", "c"), memfd(whole))
        bad("an fd with B", put("B"), memfd(whole))

    def envelopes(self, path):
        """Sealed memfds with envelopes that must not be taken."""
        own = path.name == "inject"  # where some fields are replaced
        odd = [dict(version="2"), dict(ident="../../../x"), dict(ident=""), dict(ident="A" * 100),
               dict(sender="a b@c.test"), dict(sender="a@b.test\r\nRCPT TO:<x@y>"), dict(sender="a" * 400 + "@b.test"),
               dict(sender="a@b\0.test"), dict(rcpts=[("b@dest.test\r\nDATA", 0, "")]), dict(rcpts=[("", 0, "")]),
               dict(rcpts=[("b@dest.test", 999, "")]),
               dict(rcpts=[("b@dest.test", 0, "rfc822;a\r\nX: y")]), dict(rcpts=[], nrcpts=0), dict(nrcpts=2),
               dict(nrcpts=0), dict(nrcpts=2 ** 32), dict(nrcpts=1001, rcpts=[("b@dest.test", 0, "")] * 1001),
               dict(rcpts=[(">b@dest.test", 0, "")]), dict(flags=2 ** 40), dict(flags=-1), dict(arrival=-1),
               dict(rest=b"1:x,"), dict(rest=b"junk"), dict(rest=b"\0" * 100)]
        odd += [] if own else [dict(tenant="a b"), dict(tenant=""), dict(tenant="\x1b[2J"), dict(tenant="t" * 100),
                               dict(client="192.0.2.7\r\nX: y"), dict(helo="h\r\nX: y")]
        for fields_ in odd:
            head = header(**fields_)
            self.refused(f"envelope {str(fields_)[:60]}", path, put("S", len(head), len(CONTENT), "", 0),
                         [memfd(head + CONTENT)])
        head = header(rcpts=[("b@dest.test", 0, ""), ("postmaster", 0, "")], nrcpts=2)
        peer, fd = Peer(path, not own), memfd(head + CONTENT)
        verdict = peer.say(put("S", len(head), len(CONTENT), "", 0), [fd])
        self.v.same(verdict[1:2] + verdict[2:][:1], ("553", "5.1.3 a recipient has no domain"), "without a domain", path.name)
        peer.close()
        os.close(fd)
        head = header()
        for _ in range(100):
            broken = bytearray(head)
            broken[self.v.random.randrange(4, len(head))] = self.v.random.choice(b"\0\r\n:,9\xff")
            peer = Peer(path, path.name == "intake")  # which may be sound by chance
            peer.say(put("S", len(head), len(CONTENT), "", 0), [memfd(bytes(broken) + CONTENT)])
            peer.close()

    def garbage(self, path):
        good = put("S", 100, 100, "", 0)
        for size in (0, 1, 2, 100, 4096, 65535, 65536, 65537, 150000):
            for data in (b"\0" * size, self.v.random.randbytes(size), b"9" * size, b"1:S," * (size // 4)):
                self.refused(f"garbage of {size}", path, data, hello=False)
        for at in range(len(good)):
            self.refused(f"S cut at {at}", path, good[:at])
        for verb in ("", "S", "H", "B", "Q", "SS", "\0", "V", "+"):
            for count in (0, 1, 4, 20):
                self.refused(f"verb {verb!r} with {count}", path, put(verb, *["x"] * count) if (verb, count) != ("B", 0)
                             else b"1:B")

    def descriptors(self, path):
        """Several at once, many in a row, two requests at once, and gone before the verdict."""
        head = header()
        good = put("S", len(head), len(CONTENT), "", 0)
        for count in (2, 10, 200):
            peer = Peer(path, path.name == "intake")
            sent = [memfd(head + CONTENT) for _ in range(count)]
            peer.send(good, sent)
            peer.close()
            for fd in sent:
                os.close(fd)
        for n in range(50):
            peer = Peer(path, path.name == "intake")
            fd = memfd(header(ident=f"{n:016X}") + CONTENT)
            peer.send(good, [fd])
            peer.send(good, [fd])
            os.close(fd)
            peer.close()

    def big_files(self, path):
        """Files in queue/big: not submitted, still open for writing, somebody else's, of a wrong size."""
        for _ in range(20):
            peer = Peer(path, path.name == "intake")
            for _ in range(5):
                peer.say(put("B"))
                for fd in getattr(peer, "fds", []):
                    os.close(fd)
                peer.fds = []
            peer.close()
        head = header(ident="00000000000B1600", sender="big@a.test")
        body = b"Subject: big\r\n\r\n" + b"y" * 78 + b"\r\n"
        for words, keep_open, extra in (("a writer is left", True, 0), ("a wrong size", False, 5)):
            for _ in range(50 * PATIENCE):
                peer = Peer(path, path.name == "intake")
                got = peer.say(put("B"))
                if got[0] == "+":
                    break
                time.sleep(0.1)  # the connections of before still count as this uid's
            if not self.v.check(got[0] == "+", "B", got):
                continue
            file = peer.fds[0]
            os.write(file, head + body)
            if not keep_open:
                os.close(file)
            verdict = peer.say(put("S", len(head), len(body) + extra, got[2], 0))
            self.v.check(verdict == NO_ANSWER or verdict[1][0] in "45", words, verdict)
            peer.close()
            if keep_open:
                os.close(file)

    def crowd(self, user, path, count):
        """Connections that say nothing, and the relay goes on."""
        ready, go = os.pipe(), os.pipe()

        def hold():
            peers = []
            for _ in range(count):
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                sock.settimeout(2)
                try:
                    sock.connect(str(path))
                    peers.append(sock)
                except OSError:
                    sock.close()
            os.write(ready[1], b"%d\n" % len(peers))
            os.read(go[0], 1)
        pid = self.start_as(user, (hold,))
        words = os.read(ready[0], 20).decode().strip()
        self.alive(f"beside {words} connections to run/{path.name}")
        os.write(go[1], b"x")
        self.v.same(os.waitpid(pid, 0)[1], 0, f"connections as {user}")
        for fd in ready + go:
            os.close(fd)

    def control(self):
        path = self.run / "ctl"
        for data in [b"", b"\0" * 100, self.v.random.randbytes(60000), put("stat"), put("stat", "all"), put("stat", "all", "", "x"),
                     put("drop", "id", "../../x", 0), put("bounce", "site", "x" * 399, 0), put("why", "id", "\0", 1),
                     put("nothing", "all", "", 0), put("list", "tenant", "a\r\nb", 2 ** 64 - 1), put("hold", "all", "x" * 401, 0),
                     put("v" * 100, "k" * 100, "v" * 100, 0), put("list", "all", "", 2 ** 64), put("why", "nothing", "x", 0)]:
            peer = Peer(path, hello=False)
            peer.send(data, [memfd(b"x")] if len(data) % 2 else ())
            peer.close()
        deaf = []
        for _ in range(20):  # more, and relay-send closes the next ones: see ctl_server.c
            peer = Peer(path, hello=False)
            peer.send(put("list", "all", "", 0))
            deaf.append(peer)
        self.v.check(self.relay.stat()["messages"] >= 0, "relay-ctl beside peers that do not listen")
        for peer in deaf:
            peer.close()
        self.crowd("root", path, 1000)

    def as_user(self, name, *functions):
        """Runs them in a child of that user; what they find wrong is counted here."""
        _, status = os.waitpid(self.start_as(name, *functions), 0)
        self.v.same(status, 0, f"as {name}: {[f[0].__name__ for f in functions]}")

    def start_as(self, name, *functions):
        user = pwd.getpwnam(name) if os.geteuid() == 0 else None
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            signal.alarm(100)
            status = 1
            try:
                self.test.failures = 0
                if user:
                    os.setgroups([])
                    os.setgid(user.pw_gid)
                    os.setuid(user.pw_uid)
                for function, *arguments in functions:
                    function(*arguments)
                status = 1 if self.test.failures else 0
            except BaseException:  # of a child: to be seen, and nothing of the parent's to run
                print(f"FAILED as {name}: {traceback.format_exc()}")
            finally:
                sys.stdout.flush()
                os._exit(status)
        return pid

    def one_round(self):
        for name, path in (("relayd", self.run / "intake"), ("nobody", self.run / "inject")):
            self.as_user(name, (self.garbage, path), (self.submissions, path), (self.envelopes, path),
                         (self.descriptors, path), (self.big_files, path), (self.one_evil, path))
            self.alive(f"after run/{path.name}")

    def one_evil(self, path):
        """Lines that no SMTP client could send."""
        head, evil = header(ident="00000000000EE1AB"), EVIL
        peer = Peer(path, path.name == "intake")
        peer.say(put("S", len(head), len(evil), "", 0), [memfd(head + evil)])
        peer.close()

    def rounds(self):
        sizes = []
        for n in range(3):
            self.one_round()
            self.crowd("relayd", self.run / "intake", 2000)
            self.crowd("nobody", self.run / "inject", 2000)
            self.control()
            self.alive("after it all")
            self.relay.wait_empty()
            time.sleep(0.5)
            sizes.append(measure(self.relay))
            show(f"round {n}", sizes[-1])
        self.v.grown(sizes[0], sizes[-1])

    def no_descriptors(self):
        """Connections take the last descriptor: no spinning, no flood of log lines, and it recovers."""
        class Few(Relay):
            def sandbox(self, verb):
                return run_program("prlimit", "--nofile=70:70", TOP / "tests/sandbox", verb, self.directory,
                                   env={**os.environ, "BUILD": str(BUILD)})
        few = Few(self.test, name="few", routes=f":[{self.mx.host}]:{self.mx.port}")
        self.test.relays.append(few)
        self.test.stack.callback(few.down)
        few.up()
        size = len(few.log())
        peers = [Peer(few.directory / "run" / name, hello=False) for name in ("intake", "ctl") for _ in range(100)]
        time.sleep(2)
        self.v.check(len(few.log()) < size + 20000, f"the log grew by {len(few.log()) - size} bytes in 2 s")
        for peer in peers:
            peer.close()
        few.wait_ready()
        few.send("a@msa.test", "b@dest.test", "Subject: after few\r\n")
        wait_for(lambda: any(b"after few" in m for m in self.mx.messages), "mail goes on afterwards")

    def what_came_out(self):
        self.v.check(not any(b"evil@" in x for x in self.mx.commands), "a smuggled envelope")
        for message in self.mx.messages:
            self.v.check(b"\r" not in message.replace(b"\r\n", b"") and b"\n" not in message.replace(b"\r\n", b""),
                         "a lone CR or LF went out", message)
        evil = [m for m in self.mx.messages if b"Subject: injected" in m]
        for message in evil:
            lines = without_received(undotted(message))
            self.v.same(lines[:6], [b"Subject: injected", b"", b"a", b".", b"b", b"."], "hostile lines")
        big = self.relay.directory / "queue/big"
        wait_for(lambda: not big.exists() or not os.listdir(big), "no file is left in queue/big")


def main(test):
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    channels = Channels(test)
    names = ("relay-queue", "relay-send", "relay-remote", "relay-bounce")
    before = {name: channels.relay.pids(name)[0] for name in names}
    parts(test, channels.rounds, channels.what_came_out, channels.no_descriptors)
    for name, pid in before.items():
        test.equal(channels.relay.pids(name)[0], pid, f"{name} is the same process")
    log = channels.relay.log()
    test.check(not any(ord(c) < 32 and c not in "\n\t" for c in log), "no control byte in the log")
    test.check(len(log) < 5 << 20, f"a log of {len(log)} bytes")


run(main)
