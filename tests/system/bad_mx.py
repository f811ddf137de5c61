#!/usr/bin/python3
# limit: 200
"""MXs that misbehave, each a site of its own, all at once, through the whole relay.

What is not a well-formed 5xx is temporary: the message waits, relay-ctl why has the reason,
and once the MX behaves it is delivered, once and whole. A 5xx is a DSN with the MX's words.
A healthy site is served meanwhile. Rounds of it cost no memory.
"""
import concurrent.futures
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badclient import END, Client, Quiet, envelope, measure, parts, show, undotted, without_received
from badmx import CLOSE, HANG, POLITE, BadMX, trickle
from relaytest import PATIENCE, run, wait_for

LINES = b"".join(b"%d-line\r\n" % 250 for _ in range(10000)) + b"250 end\r\n"
GARBAGE = b"\x00\xff\x01\x80 garbage \x1b[31m\r\n"
PIPE = b"250-bad.example\r\n250-PIPELINING\r\n"
OK, TEMPORARY, FINAL = "delivered", "temporary", "final"
ROUNDS = 4


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()
    raise ConnectionError


def deaf(conn):
    """Claims PIPELINING, then drops what was pipelined behind the first command."""
    conn.sendall(b"250 ok\r\n")
    time.sleep(0.2)
    conn.setblocking(False)
    try:
        conn.recv(100000)
    except BlockingIOError:
        pass
    conn.setblocking(True)


def early(text):
    """Says it in the middle of the content, and closes."""
    def send(conn):
        conn.sendall(b"354 go\r\n")
        conn.recv(10)
        conn.sendall(text)
        conn.close()
        raise ConnectionError
    return send


# (what it does, script, what becomes of the message, words of the last reply)
CASES = [
    ("banner garbage", {"banner": GARBAGE}, TEMPORARY, "garbled"),
    ("banner http", {"banner": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, TEMPORARY, "garbled"),
    ("banner hangs", {"banner": HANG}, TEMPORARY, "timed out"),
    ("banner closes", {"banner": CLOSE}, TEMPORARY, "lost"),
    ("banner trickles", {"banner": trickle(b"220 " + b"slow " * 20 + b"\r\n")}, TEMPORARY, "timed out"),
    ("banner of 10,000 lines", {"banner": LINES.replace(b"250", b"220")}, TEMPORARY, "garbled"),
    ("banner of one endless line", {"banner": b"220 " + b"x" * 3000000}, TEMPORARY, ""),
    ("banner 554", {"banner": b"554 5.7.1 go away\r\n"}, TEMPORARY, "554 5.7.1 go away"),
    ("banner 421", {"banner": b"421 4.7.0 too many\r\n"}, TEMPORARY, "421 4.7.0"),
    ("EHLO 421", {"ehlo": b"421 later\r\n"}, TEMPORARY, "421 later"),
    ("EHLO closes", {"ehlo": CLOSE}, TEMPORARY, "lost"),
    ("EHLO of 10,000 lines", {"ehlo": LINES}, TEMPORARY, "garbled"),
    ("EHLO with two codes", {"ehlo": b"250-a\r\n550 b\r\n"}, TEMPORARY, "garbled"),
    ("EHLO with NULs", {"ehlo": b"250-a\0b\r\n250-\0PIPELINING\r\n250 \0\r\n"}, OK, ""),
    ("resets after EHLO", {"ehlo": reset}, TEMPORARY, ""),
    ("MAIL 421", {"mail": b"421 later\r\n"}, TEMPORARY, "421 later"),
    ("MAIL 550", {"mail": b"550 5.7.1 not you\r\n", "rcpt": b"503 no\r\n", "data": b"503 no\r\n"}, FINAL,
     "550 5.7.1 not you"),
    ("MAIL hangs", {"mail": HANG}, TEMPORARY, "timed out"),
    ("MAIL garbage", {"mail": GARBAGE}, TEMPORARY, "garbled"),
    ("MAIL 550 cut short", {"mail": b"550-no\r\n", "rcpt": CLOSE}, TEMPORARY, ""),
    ("MAIL 5xx garbled", {"mail": b"550no\r\n"}, TEMPORARY, "garbled"),
    ("MAIL 999", {"mail": b"999 what\r\n"}, TEMPORARY, "garbled"),
    ("MAIL closes", {"mail": CLOSE}, TEMPORARY, "lost"),
    ("RCPT 421", {"rcpt": b"421 bye\r\n"}, TEMPORARY, "421 bye"),
    ("RCPT 550", {"rcpt": b"550 5.1.1 nobody\r\n", "data": b"554 no\r\n"}, FINAL, "550 5.1.1 nobody"),
    ("RCPT 550, DATA 354, dot 250", {"rcpt": b"550 5.1.1 nobody\r\n"}, FINAL, "550 5.1.1 nobody"),
    ("RCPT 450", {"rcpt": b"450 4.2.1 grey\r\n", "data": b"554 no\r\n"}, TEMPORARY, "450 4.2.1 grey"),
    ("RCPT 250 in 3 lines", {"rcpt": b"250-2.1.5 a\r\n250-2.1.5 b\r\n250 2.1.5 c\r\n"}, OK, ""),
    ("RCPT 550 with control bytes", {"rcpt": b"550 \xff\x00\x1b[31m no\r\n", "data": b"554 no\r\n"}, FINAL,
     "550 "),
    ("RCPT hangs", {"rcpt": HANG}, TEMPORARY, "timed out"),
    ("RCPT closes", {"rcpt": CLOSE}, TEMPORARY, "lost"),
    ("RCPT resets", {"rcpt": reset}, TEMPORARY, ""),
    ("DATA 250", {"data": b"250 taken already\r\n"}, TEMPORARY, "250 taken already"),
    ("DATA 354 and 250 at once", {"data": b"354 go\r\n250 taken\r\n"}, TEMPORARY, ""),
    ("DATA 554", {"data": b"554 5.6.0 no\r\n"}, FINAL, "554 5.6.0 no"),
    ("DATA 451", {"data": b"451 not now\r\n"}, TEMPORARY, "451 not now"),
    ("DATA closes", {"data": CLOSE}, TEMPORARY, "lost"),
    ("DATA hangs", {"data": HANG}, TEMPORARY, "timed out"),
    ("554 in the middle", {"data": early(b"554 5.7.1 enough\r\n")}, None, ""),
    ("dot 550", {"dot": b"550 5.7.1 spam\r\n"}, FINAL, "550 5.7.1 spam"),
    ("dot 452", {"dot": b"452 4.3.1 full\r\n"}, TEMPORARY, "452 4.3.1 full"),
    ("dot 421", {"dot": b"421 4.3.2 down\r\n"}, TEMPORARY, "421 4.3.2 down"),
    ("dot 354", {"dot": b"354 more\r\n"}, TEMPORARY, "354 more"),
    ("dot closes", {"dot": CLOSE}, TEMPORARY, ""),
    ("dot hangs", {"dot": HANG}, TEMPORARY, "timed out"),
    ("dot garbage", {"dot": GARBAGE}, TEMPORARY, "garbled"),
    ("dot 10,000 lines", {"dot": LINES}, TEMPORARY, "garbled"),
    ("dot trickles", {"dot": trickle(b"250 " + b"slow " * 20 + b"\r\n")}, TEMPORARY, "timed out"),
    ("dot 550 without line end, closes", {"dot": lambda c: (c.sendall(b"550 5.7.1 no"), reset(c))}, TEMPORARY, ""),
    ("no PIPELINING though claimed", {"mail": deaf}, None, ""),
    ("everything 421", dict.fromkeys(("ehlo", "helo", "mail", "rcpt", "data", "dot"), b"421 no\r\n"), TEMPORARY,
     "421 no"),
    ("everything 250", dict.fromkeys(POLITE, b"250 ok\r\n"), TEMPORARY, ""),
    ("hangs at QUIT", {"quit": HANG}, OK, ""),
]


class Case:
    def __init__(self, number, case, host):
        self.name, self.bad, self.fate, self.words = case
        self.domain = f"case{number}.test"
        self.mx = BadMX(self.bad, host=host)

    def route(self):
        return f"{self.domain}:[{self.mx.host}]:{self.mx.port}"

    def behave(self, well):
        self.mx.messages.clear()
        script = dict(POLITE) if well else {**POLITE, **self.bad}
        self.mx.script = script


class Hostile:
    def __init__(self, test):
        self.v = Quiet(test)
        self.cases = [Case(i, c, test.address(20 + i)) for i, c in enumerate(CASES)]
        self.healthy, self.home = BadMX({}, host=test.address(9)), BadMX({}, host=test.address(10))
        routes = [c.route() for c in self.cases]
        routes += [f"{name}:[{mx.host}]:{mx.port}" for name, mx in
                   (("healthy.test", self.healthy), ("msa.test", self.home))]
        self.relay = test.relay(routes="\n".join(routes), control={
            "timeoutremote": 2 * PATIENCE, "timeoutconnect": 5, "timeoutidle": 1, "timeoutquit": 1,
            "retry": 3000, "probefirst": 600, "probemax": 600, "delaywarn": 0})
        self.address = (self.relay.host, self.relay.port)

    def submit(self, rcpt, mark):
        with Client(self.address) as c:
            c.greet().send(envelope(b"s-%s@msa.test" % mark, [rcpt]) + b"Subject: " + mark
                           + b"\r\n\r\nline\r\n..dot\r\n" + b"long " * 2000 + END)
            codes = [c.code() for _ in range(4)]
            self.v.same(codes, ["250", "250", "354", "250"], mark)

    def submit_all(self, number):
        for case in self.cases:
            case.behave(False)
            self.submit(b"r@" + case.domain.encode(), b"%d-" % number + case.domain.encode())
        for n in range(20):
            self.submit(b"r@healthy.test", b"%d-healthy%d" % (number, n))
        wait_for(lambda: len(self.healthy.messages) >= 20, "the healthy site gets its mail meanwhile")
        self.v.same(len(self.healthy.messages), 20, "messages at the healthy site")
        self.healthy.messages.clear()

    def settled(self):
        """Every recipient that is left has been tried, or its site has, and waits."""
        left = self.relay.listed()
        return (all(r["state"] in ("waiting", "ready") for r in left)
                and all(self.relay.why(r["id"])[0]["last"] for r in left))

    def outcomes(self):
        wait_for(self.settled, "every message has been tried", 60)
        wait_for(lambda: len(self.home.messages) >= sum(c.fate == FINAL for c in self.cases), "the DSNs", 30)
        waiting = {r["recipient"]: r for r in self.relay.listed()}
        notices = {c.domain: [m for m in self.home.messages if f"r@{c.domain}".encode() in m] for c in self.cases}
        for case in self.cases:
            row = waiting.get(f"r@{case.domain}")
            fate = TEMPORARY if row else FINAL if notices[case.domain] else OK
            self.v.check(case.fate in (fate, None), case.name, "was", fate, "not", case.fate, row)
            if fate == TEMPORARY:
                last = self.relay.why(row["id"])[0]["last"]
                self.v.check(case.words in last, case.name, "why says:", last)
                self.v.check(all(ord(x) >= 32 for x in last), case.name, "a control byte:", repr(last))
            elif fate == FINAL:
                self.v.same(len(notices[case.domain]), 1, case.name, "DSNs")
                self.v.check(case.words.encode() in notices[case.domain][0], case.name, "DSN lacks", case.words)
                self.v.check(b"\0" not in notices[case.domain][0] and b"\x1b" not in notices[case.domain][0],
                             case.name, "control bytes in the DSN")
            elif case.fate == OK:
                self.v.same(len(case.mx.messages), 1, case.name, "messages")
        return waiting

    def recover(self, number, waiting):
        for case in self.cases:
            case.behave(True)
        self.relay.ctl("retry", "all")
        again = time.monotonic()

        def empty():
            nonlocal again
            if time.monotonic() - again > 3:
                again = time.monotonic()
                self.relay.ctl("retry", "all")
            return not self.relay.listed()
        wait_for(empty, "the MXs behave, the mail goes out", 40)
        for case in self.cases:
            if f"r@{case.domain}" in waiting:
                got = [without_received(undotted(m)) for m in case.mx.messages]
                wanted = [b"Subject: %d-%s" % (number, case.domain.encode()), b"", b"line", b".dot", b"long " * 2000]
                self.v.same(got, [wanted], case.name, "afterwards")
            else:
                self.v.same(case.mx.messages, [], case.name, "delivered though it was over")
        self.home.messages.clear()

    def rounds(self):
        sizes = []
        for number in range(ROUNDS):
            began = time.monotonic()
            self.submit_all(number)
            self.recover(number, self.outcomes())
            wait_for(lambda: len(self.relay.pids("relay-remote")) <= 3, "idle workers have ended")
            sizes.append(measure(self.relay))
            show(f"round {number}, {time.monotonic() - began:.1f} s", sizes[-1])
        self.v.grown(sizes[1], sizes[-1], fds=30)


def main(test):
    hostile = Hostile(test)
    before = {name: hostile.relay.pids(name)[0] for name in ("relay-queue", "relay-send", "relay-remote", "relay-bounce")}
    parts(test, hostile.rounds)
    for name, pid in before.items():
        test.equal(hostile.relay.pids(name)[0], pid, f"{name} is the same process")
    log = hostile.relay.log()
    test.check(not any(ord(c) < 32 and c not in "\n\t" for c in log), "no control byte in the log")


run(main)
