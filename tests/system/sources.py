#!/usr/bin/python3
"""RELAYSOURCE and control/sources: the MX sees each tenant's own address and HELO, a connection
serves one source only, and mail whose source cannot be used waits and leaves from nowhere else."""
# limit: 120
import contextlib
import os
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver, Tinydns
from relaytest import Client, rows, run, wait_for

CONTENT = b"Subject: %d\r\n\r\nx\r\n"


def has_ipv6():
    with contextlib.suppress(OSError):
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    return False


class Sources:
    def __init__(self, test):
        self.test, self.number = test, 0
        self.out = {name: test.address(n) for name, n in (("out1", 31), ("out2", 32), ("moved", 33))}
        self.mx = test.ends(Receiver(test.address(9), test.port()))
        # As the kernel sees it: the client's address says which tenant it is.
        self.clients = {name: test.address(n) for n, name in
                        enumerate(("out1", "out2", "four", "six", "absent", "late", "unknown", "bad"), 50)}
        rules = [f'{address}:allow,RELAYCLIENT="",RELAYSOURCE="{name}"' for name, address in self.clients.items()]
        rules[-1] = rules[-1].replace('"bad"', '"a b"')
        self.routes = [f"dest.test:[{self.mx.address}]:{self.mx.port}"]
        self.lines = {
            "out1": f"out1 {self.out['out1']} ::1 mail1.test",
            "out2": f"out2 {self.out['out2']} - mail2.test",
            "four": f"four {test.address(34)} - four.test", "six": "six - ::1 six.test",
            "absent": "absent 192.0.2.77 - -", "late": f"late {test.address(35)} - late.test"}
        self.relay = test.relay(rules="\n".join(rules) + '\n127.:allow,RELAYCLIENT=""\n:deny\n',
                                routes=self.routes, control={"sources": self.list(), **self.resolver()})

    def list(self, **changed):
        return [line for line in {**self.lines, **changed}.values() if line]

    def resolver(self):
        """A host with addresses of both families, where tinydns can run."""
        self.two_families = os.geteuid() == 0 and has_ipv6()
        if not self.two_families:
            return {}
        path = self.test.path("dns")
        dns = Tinydns(path, self.test.address(53)).zone("test").host("both.test", self.test.address(9))
        self.test.ends(dns.host6("both.test", socket.inet_pton(socket.AF_INET6, "::1")).start())
        self.mx6 = self.test.ends(Receiver("::1", self.mx.port))
        self.routes += [f"both.test:both.test:{self.mx.port}", f"only6.test:[::1]:{self.mx.port}"]
        return {"resolver": self.test.address(53)}

    def settings(self, **changed):
        """control/sources with some lines changed (None: gone), read again."""
        seen = self.relay.log().count("settings read=1")
        self.relay.control("sources", self.list(**changed))
        self.relay.svc("-h")
        wait_for(lambda: self.relay.log().count("settings read=1") > seen, "the settings are read")

    def send(self, client, to="x@dest.test"):
        self.number += 1
        with Client(self.relay, self.clients.get(client, "127.0.0.1")) as c:
            return c.message("s@a.test", to, CONTENT % self.number)

    def at(self, receiver, wanted, what):
        """The next message there came from that address with that HELO."""
        message = receiver.wait(1)[0]
        receiver.messages.clear()
        self.test.equal((message.peer[0], message.helo), wanted, what)

    def waits(self, ident, text, what):
        def why():
            found = self.relay.why(ident)
            return found and found[0]["last"] and found[0]
        row = wait_for(why, f"relay-ctl why tells of {ident}")
        self.test.check(text in row["last"] and row["state"] == "waiting", what, str(row))
        return row


def check_addresses(s):
    test = s.test
    for name in ("out1", "out2"):
        s.send(name)
        s.at(s.mx, (s.out[name], f"mail{name[-1]}.test"), f"{name}: the MX sees its address and HELO")
    s.send("nobody's")
    s.at(s.mx, ("127.0.0.1", "relay.test"), "without RELAYSOURCE: the system's choice and control/me")
    seen = {row["source"]: row for row in rows(s.relay.ctl_json("stat")) if "window" in row}
    test.equal(sorted(seen), ["", "out1", "out2"], "a window for each pair of site and source")
    test.check(f"source={s.out['out1']}" in s.relay.log(), "the log says which address was used")


def check_reuse(s):
    """Kept connections, mail of all sources mixed: each message over one of its own source's."""
    before = s.mx.sessions
    for _ in range(10):
        for name in ("out1", "out2", "nobody's"):
            s.send(name)
    got = [(m.peer[0], m.helo) for m in s.mx.wait(30)]
    wanted = [(s.out["out1"], "mail1.test"), (s.out["out2"], "mail2.test"), ("127.0.0.1", "relay.test")]
    s.test.equal({pair: got.count(pair) for pair in set(got)}, {pair: 10 for pair in wanted},
                 "30 messages of three sources, each from its own")
    s.test.check(s.mx.sessions - before <= 12, "over kept connections", f"{s.mx.sessions - before} new ones")
    s.mx.messages.clear()


def check_families(s):
    if not s.two_families:
        print("no IPv6, or not root (DNS on port 53): no host of two families")
        return
    for name, receiver, peer in (("four", s.mx, s.test.address(34)), ("six", s.mx6, "::1")):
        s.send(name, "x@both.test")
        s.at(receiver, (peer, f"{name}.test"), f"{name}: a host of two families is reached by its own")
    s.send("out1", "x@only6.test")
    s.at(s.mx6, ("::1", "mail1.test"), "out1: an IPv6 host from its IPv6 address")
    row = s.waits(s.send("four", "x@only6.test"), "source four has no IPv6 address, and only6.test has no other",
                  "four: an IPv6 host is not reached")
    s.test.check("it cannot leave" in row["reason"], "relay-ctl why says so", row["reason"])


def check_unusable(s):
    ident = s.send("absent")
    s.waits(ident, "this host cannot use the source address 192.0.2.77: Cannot assign requested address",
            "an address that is not this host's: it waits")
    s.test.equal(len(s.mx.messages), 0, "and leaves from no other")
    s.settings(absent=f"absent {s.test.address(36)} - -")
    s.at(s.mx, (s.test.address(36), "relay.test"), "mended and read again it goes at once, with control/me")


def check_removed(s):
    """Queued, then its source is taken out of control/sources; restarts make no difference."""
    s.mx.stop()
    ident = s.send("late")
    s.waits(ident, "refused", "its MX is down")
    s.settings(late=None)
    text = "source late is not in control/sources"
    s.mx.start()
    wait_for(lambda: text in s.relay.why(ident)[0]["last"], "its source is gone")
    s.relay.svc("-t")
    s.relay.wait_ready()
    row = s.waits(ident, text, "after a restart it waits")
    s.test.check(f"it cannot leave: {text}" in row["reason"], "relay-ctl why says what holds it", row["reason"])
    s.test.check('kind=source failures=' in s.relay.log(), "the log, too")
    s.relay.ctl("retry", "all")
    time.sleep(0.5)
    s.test.equal(len(s.mx.messages), 0, "not even an operator's retry sends it from elsewhere")
    s.settings()
    s.at(s.mx, (s.test.address(35), "late.test"), "back in the list, it goes from its own")


def check_changed(s):
    """HUP: a kept connection from where the source was is used for nobody."""
    s.send("out1")
    s.at(s.mx, (s.out["out1"], "mail1.test"), "before the change")
    s.settings(out1=f"out1 {s.out['moved']} - moved.test")
    s.send("out1")
    s.at(s.mx, (s.out["moved"], "moved.test"), "after HUP from its new address")
    s.settings()


def check_refused(s):
    for name, reason in (("unknown", "not in control/sources: unknown"),
                         ("bad", "not 1 to 64 printable characters: a b")):
        seen = len(s.relay.log("smtpd"))
        with socket.create_connection((s.relay.host, s.relay.port), source_address=(s.clients[name], 0)) as c:
            s.test.check(c.recv(1000).startswith(b"421 4.3.5 "), f"RELAYSOURCE {name}: 421")
        wanted = f"relay-smtpd: fatal: environment variable RELAYSOURCE is malformed: {reason}"
        wait_for(lambda: wanted in s.relay.log("smtpd")[seen:], f"relay-smtpd names RELAYSOURCE ({name})")


def main(test):
    s = Sources(test)
    for part in (check_addresses, check_reuse, check_families, check_unusable, check_removed, check_changed,
                 check_refused):
        part(s)
    s.relay.ctl("drop", "all", check=False)


run(main, tools=["tinydns"])
