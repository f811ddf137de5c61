#!/usr/bin/python3
# limit: 200
"""Malformed configuration: every control file and every variable of tcprules. At start the
program says file, line and why, and does not run; relay-smtpd says 421 and logs; on HUP
the old values stay. What is repaired works without further help."""
import itertools
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badclient import END, Client, Quiet, envelope, parts
from badmx import BadMX
from relaytest import run, wait_for

LONG = "x" * 1001
# program: control file, contents, the line that must be named (0: the file as a whole)
AT_START = {
    "relay-queue": [
        ("queuesegmentbytes", "1", 1), ("queuefree", "-1", 1), ("queuefreeinodes", "many", 1),
        ("concurrencyincoming", "0", 1), ("injectconcurrency", "1e3", 1), ("injectbytes", "", 1),
        ("databytes", "99999999999999999999", 1), ("queuefree", "1 2", 1)],
    "relay-send": [
        ("retry", "300\n600\nsoon", 3), ("retry", "# nothing", 1), ("retry", "300 0", 1),
        ("lifetime", "5d", 1), ("delaywarn", "4h", 1), ("concurrencyremote", "0", 1),
        ("concurrencysite", "\x07", 1), ("windowinitial", "x", 1), ("connectionmessages", "-5", 1),
        ("probefirst", "0", 1), ("probemax", "0.5", 1), ("lookups", "none", 1), ("lookupstenant", "0", 1),
        ("timeoutterm", "4000", 1), ("timeoutremote", "0", 1), ("timeoutconnect", "fast", 1),
        ("timeoutbanner", "300s", 1), ("timeoutdot", LONG, 1), ("helohost", "not a host", 1),
        ("smtproutes", "# ok\nok.test:host.test:25\nbad.test", 3), ("smtproutes", "x.test:host.test:70000", 1),
        ("smtproutes", "x.test:host.test\nx.test:other.test", 2), ("smtproutes", "x.test:[192.0.2]:25", 1),
        ("smtproutes", "ok.test:host.test\n" + LONG, 2), ("smtproutes", "a b:host.test", 1),
        ("sites", "one", 1), ("sites", "\x00", 1), ("doublebounceto", "nobody", 1),
        ("ceilingfirst", "0", 1), ("ceilingmax", "1h", 1), ("pausefirst", "", 1), ("pausemax", "-1", 1),
        ("replies", "# ours\n\nrate mail * 4?? *x*\nslow mail * *", 4), ("replies", "rate * *", 1),
        ("replies", "rate mail,end * *", 1), ("replies", "rate * * " + "x" * 501, 1),
        ("sources", "# ok\nout1 192.0.2.1 - -\nout2 192.0.2.2", 3), ("sources", "out1 - - mail.test", 1),
        ("sources", "out1 2001:db8::1 - -", 1), ("sources", "out1 192.0.2.1 - a_b", 1),
        ("sources", "out1 192.0.2.1 - -\nout1 192.0.2.2 - -", 2)],
    "relay-remote": [
        ("resolver", "127.0.0.1\nlocalhost", 2), ("resolver", "127.0.0.1:99999", 1), ("ipme", "192.0.2.300", 1),
        ("mxlocal", "127.0.0.0/33", 1), ("mxlocal", "# x\n\nall", 3)],
    "relay-bounce": [
        ("bouncefrom", "a b", 1), ("bouncehost", "-", 1), ("doublebounceto", "nobody", 1),
        ("bouncemaxbytes", "lots", 1), ("bouncetext", "ok\n\xff", 2), ("bouncetext", "l\n" * 1000, None),
        ("lifetime", "0", 1)],
}
SHARED = {"lifetime", "doublebounceto"}
IN_SESSION = [
    ("timeoutsmtpd", "never", 1), ("databytes", "1M", 1), ("postmaster", "root", 1), ("me", "not a domain", 1),
    ("me", "a\x00b", 1), ("rcpthosts", "ok.test\n" + LONG, 2), ("badmailfrom", "a@b.test\n\x01", 2),
    ("badrcptto", "\x7f", 1)]
VARIABLES = [("RELAYTENANT", "a b"), ("RELAYTENANT", "t" * 65), ("RELAYTENANT", ""), ("DATABYTES", "abc"),
             ("DATABYTES", "-1"), ("DATABYTES", "1 "), ("RELAYPRIORITY", "100"), ("RELAYBARELF", "maybe"),
             ("RELAYTHROUGH", "soon"), ("RELAYTHROUGH", "541"), ("RELAYTHROUGH", "only:"), ("RELAYTHROUGH", "only:x"),
             ("RELAYMODE", "transparently"), ("RELAYMODE", ""), ("RELAYSOURCE", "out9"), ("RELAYSOURCE", "a b"),
             ("RELAYCLIENT", "a b"), ("RELAYCLIENT", "@" + "x" * 300)]


class Config:
    def __init__(self, test):
        self.v, self.test = Quiet(test), test
        self.mx, self.mx2 = BadMX({}, host=test.address(9)), BadMX({}, host=test.address(10))
        rules = [f'{test.address(20 + i)}:allow,RELAYCLIENT="",{name}="{value}"'
                 for i, (name, value) in enumerate(VARIABLES)]
        # Their clients are no relay clients: rcpthosts is read.
        rules += [f"{test.address(3)}:allow", '127.:allow,RELAYCLIENT=""', ":deny"]
        self.relay = test.relay(routes=self.route(self.mx), rules="\n".join(rules) + "\n",
                                control={"timeoutterm": 1})
        self.address = (self.relay.host, self.relay.port)
        self.number = 0

    def route(self, mx):
        return f":[{mx.host}]:{mx.port}"

    def banner(self, source=None):
        with Client(self.address, source) as c:
            return c.reply().decode()

    def works(self, mx, words):
        self.number += 1
        mark = b"works %d" % self.number
        with Client(self.address) as c:
            c.greet().send(envelope(b"a@msa.test", [b"b@dest.test"]) + b"Subject: " + mark + b"\r\n" + END)
            self.v.same([c.code() for _ in range(4)], ["250", "250", "354", "250"], words)
        wait_for(lambda: any(mark in m for m in mx.messages), f"mail goes {words}")

    def break_file(self, name, contents):
        path = self.relay.directory / "control" / name
        kept = path.read_bytes() if path.exists() else None
        path.write_bytes(contents.encode("latin-1") + b"\n")
        path.chmod(0o644)
        return path, kept

    def repair(self, path, kept):
        if kept is None:
            path.unlink()
        else:
            path.write_bytes(kept)

    def named(self, log, program, name, line):
        where = f"control/{name}" + (r"(:\d+)?" if line is None else f":{line}" if line else "") + ": "
        return re.search(rf"{program}: fatal: {where}(.{{1,2000}})", log)

    @staticmethod
    def turns():
        """[(program, file, contents, line), ...] to be broken together; what two programs read, alone."""
        every = {p: [(p, *f) for f in files] for p, files in AT_START.items()}
        yield from ([f] for files in every.values() for f in files if f[1] in SHARED)
        for turn in itertools.zip_longest(*([f for f in files if f[1] not in SHARED] for files in every.values())):
            yield [f for f in turn if f]

    def start(self):
        """One broken file for each program at a time: it is named, the relay does not run, then it does."""
        for turn in self.turns():
            seen = len(self.relay.log())
            broken = [self.break_file(name, contents) for _, name, contents, _ in turn]
            self.relay.svc("-t")
            for program, name, contents, line in turn:
                wait_for(lambda: self.named(self.relay.log()[seen:], program, name, line),
                         f"{program} names control/{name}:{line} ({contents[:20]!r})", 15)
                self.v.check(True)
            for path, kept in reversed(broken):
                self.repair(path, kept)
        self.relay.wait_ready()
        self.works(self.mx, "after all that")

    def refused(self):
        """While it does not start, clients hear 421, and nothing of it runs."""
        broken = self.break_file("retry", "soon")
        self.relay.svc("-t")
        wait_for(lambda: not self.relay.pids("relay-send") and not self.relay.pids("relay-queue"), "nothing runs")
        self.v.check(self.banner().startswith("421 4.3.0 "), "421 without relay-queue")
        self.repair(*broken)
        self.relay.wait_ready()
        self.works(self.mx, "after a repair")

    def sessions(self):
        for name, contents, line in IN_SESSION:
            seen = len(self.relay.log("smtpd"))
            broken = self.break_file(name, contents)
            got = self.banner(self.test.address(3))
            self.v.check(got.startswith("421 4.3.5 ") or line is None, f"control/{name} {contents[:20]!r}:", got)
            wait_for(lambda: self.named(self.relay.log("smtpd")[seen:], "relay-smtpd", name, line),
                     f"relay-smtpd names control/{name}:{line}", 5)
            self.repair(*broken)
            self.v.check(self.banner(self.test.address(3)).startswith("220 "), f"control/{name} repaired")
        if os.geteuid() == 0:
            path, kept = self.break_file("badmailfrom", "x@y.test")
            path.chmod(0o600)
            self.v.check(self.banner().startswith("421 4.3.5 "), "control/badmailfrom cannot be read")
            self.repair(path, kept)

    def environment(self):
        for i, (name, value) in enumerate(VARIABLES):
            source, seen = self.test.address(20 + i), len(self.relay.log("smtpd"))
            got = self.banner(source)
            self.v.check(got.startswith("421 4.3.5 "), name, repr(value), got)
            wait_for(lambda: f"relay-smtpd: fatal: environment variable {name} is malformed: "
                     in self.relay.log("smtpd")[seen:], f"relay-smtpd names {name}", 5)
        self.works(self.mx, "for others")

    def hangup(self):
        """HUP: malformed files leave everything as it was; sound ones are taken."""
        pid = self.relay.pids("relay-send")
        for name, contents, line in AT_START["relay-send"]:
            seen = len(self.relay.log())
            broken = self.break_file(name, contents)
            self.relay.svc("-h")
            def told():
                return re.search(rf"relay-send: .*control/{name}:{line}: ", self.relay.log()[seen:])
            wait_for(told, f"HUP names control/{name}:{line}", 5)
            self.v.check(True)
            if name == "smtproutes":
                self.works(self.mx, "by the old routes")
            self.repair(*broken)
        self.relay.control("smtproutes", self.route(self.mx2))
        self.relay.svc("-h")
        time.sleep(1)
        self.works(self.mx2, "by the new route")
        self.v.same(self.relay.pids("relay-send"), pid, "relay-send is the same process")


def main(test):
    config = Config(test)
    parts(test, config.environment, config.sessions, config.hangup)
    config.relay.control("smtproutes", config.route(config.mx))
    parts(test, config.refused, config.start)


run(main)
