#!/usr/bin/python3
# limit: 150
"""Clients that want too much: 10,000 recipients, bytes that trickle, a thousand connections
that say nothing, rounds of refused and abandoned transactions. Limits answer, others are
served meanwhile, and no process grows."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badclient import ANY_SIZE, END, Client, Quiet, envelope, measure, parts, replies, show
from badmx import BadMX
from relaytest import PATIENCE, run, wait_for

RCPTS = 10000
LIMIT = 1000  # ENVELOPE_RCPTS_MAX
TIMEOUT = 3   # control/timeoutsmtpd


class Flood:
    def __init__(self, test):
        self.v, self.test = Quiet(test), test
        self.one, self.other = test.address(2), test.address(3)
        self.mx = BadMX(ANY_SIZE, host=test.address(9))
        self.relay = test.relay(routes=f":[{self.mx.host}]:{self.mx.port}",
                                control={"timeoutsmtpd": TIMEOUT * PATIENCE, "concurrencyincoming": 1200})
        self.address = (self.relay.host, self.relay.port)

    def message(self, source, mark):
        with Client(self.address, source) as c:
            c.greet().send(envelope(b"a@msa.test", [b"b@dest.test"]) + b"Subject: " + mark + b"\r\n" + END)
            return [c.code() for _ in range(4)] == ["250", "250", "354", "250"]

    def recipients(self):
        for way in ("one by one", "pipelined"):
            began, before = time.monotonic(), len(self.mx.commands)
            with Client(self.address, self.one) as c:
                c.greet().say(b"MAIL FROM:<a@msa.test>")
                lines = [b"RCPT TO:<r%d@dest.test>\r\n" % i for i in range(RCPTS)]
                if way == "pipelined":
                    threading.Thread(target=c.send, args=(b"".join(lines),), daemon=True).start()
                    got = [c.reply() for _ in lines]
                else:
                    got = [c.say(line[:-2]) for line in lines]
                self.v.same([x[:3] for x in got], [b"250"] * LIMIT + [b"452"] * (RCPTS - LIMIT), way)
                self.v.check(all(b"452 4.5.3" in x for x in got[LIMIT:]), way, "text")
                c.send(b"DATA\r\nSubject: many\r\n" + END)
                self.v.same([c.code(), c.code()], ["354", "250"], way, "DATA")
            wait_for(lambda: sum(x.startswith(b"RCPT TO:<r") for x in self.mx.commands[before:]) >= LIMIT,
                     f"all recipients {way}")
            self.relay.wait_empty()
            rcpts = [x.split(b">")[0] for x in self.mx.commands[before:] if x.startswith(b"RCPT TO:<r")]
            self.v.same(sorted(rcpts), sorted(b"RCPT TO:<r%d@dest.test" % i for i in range(LIMIT)), way,
                        "recipients at the MX")
            print(f"{RCPTS} recipients {way}: {time.monotonic() - began:.1f} s")
            self.mx.messages.clear()

    def trickle(self):
        """A byte now and then does not prolong the deadline of a command, nor that of DATA."""
        def slow(start, drip, name):
            with Client(self.address, self.one) as c:
                c.reply()
                c.send(start)
                began, ended = time.monotonic(), False
                while not ended and time.monotonic() - began < 5 * TIMEOUT * PATIENCE:
                    try:
                        c.send(drip)
                    except ConnectionError:
                        ended = True
                    c.sock.settimeout(0.3)
                    try:
                        while data := c.sock.recv(65536):
                            seen.setdefault(name, bytearray()).extend(data)
                        ended = True
                    except TimeoutError:
                        pass
                    except ConnectionError:
                        ended = True
                self.v.check(ended, name, "goes on trickling")
                self.v.check(b"421 4.4.2" in seen.get(name, b""), name, "was told", seen.get(name))
        seen = {}
        hello = b"EHLO x\r\n" + envelope(b"a@msa.test", [b"b@dest.test"])
        jobs = [threading.Thread(target=slow, args=a) for a in (
            (b"", b"N", "a command's bytes"), (b"EHLO x\r\n", b"\r", "CRs"),
            (hello, b"x", "a line of DATA"), (hello + b"Subject: x\r\n\r\n", b"\r\n", "lines of DATA"))]
        for job in jobs:
            job.start()
        self.v.check(self.message(self.other, b"while others trickle"), "a message while others trickle")
        for job in jobs:
            job.join()

    def idle(self):
        """A thousand connections of one client: a share is greeted, the rest 421; others come through."""
        crowd, greeted = [], 0
        try:
            for _ in range(1000):
                crowd.append(Client(self.address, self.one))
            for c in crowd:
                code = c.code()
                greeted += code == "220"
                self.v.check(code in ("220", "421"), "an idle connection was told", code)
            self.v.check(100 < greeted <= 1000, "greeted of 1000:", greeted)
            self.v.check(self.message(self.other, b"beside 1000 connections"), "another tenant beside them")
            print(f"{greeted} of 1000 connections of one tenant were greeted")
        finally:
            for c in crowd:
                c.close()
        self.settle()

    def abandoned(self):
        """Rounds of transactions that are refused, reset or left in the middle: nothing stays of them."""
        body = b"X-Big: " + b"h" * 60000 + b"\r\n\r\n" + b"line of seventy bytes, more or less, again and again\r\n" * 25000
        def round_of(n):
            for i in range(6):
                with Client(self.address, self.one) as c:
                    c.greet().send(envelope(b"a@msa.test", [b"r%d@dest.test" % r for r in range(500)]))
                    c.send(body[:v.random.randrange(len(body))])  # big files too, cut
            for i in range(20):
                with Client(self.address, self.one) as c:
                    c.greet().send(envelope(b"a@msa.test", [b"r%d@dest.test" % r for r in range(300)], b"RSET\r\n") * 3)
                    c.send(envelope(b"a@msa.test", [b"b@dest.test"]) + b"bare\nLF" + END + b"QUIT\r\n")
                    got = replies(c.rest())
                    v.same(got[-2][0], "550", "bare LF in round", n)
            self.v.check(self.message(self.other, b"round %d" % n), "a message in round", n)
            self.settle()
        v = self.v
        round_of(0)
        sizes = [measure(self.relay)]
        for n in range(1, 5):
            round_of(n)
            sizes.append(measure(self.relay))
        for n, size in enumerate(sizes):
            show(f"after round {n}", size)
        self.v.grown(sizes[1], sizes[-1])
        left = os.listdir(self.relay.directory / "queue/big") if (self.relay.directory / "queue/big").exists() else []
        self.v.same(left, [], "files left in queue/big")

    def settle(self):
        wait_for(lambda: not self.relay.pids("relay-smtpd"), "every relay-smtpd has ended")
        self.relay.wait_empty()


def main(test):
    flood = Flood(test)
    before = {name: flood.relay.pids(name)[0] for name in ("relay-queue", "relay-send", "relay-bounce")}
    parts(test, flood.recipients, flood.trickle, flood.idle, flood.abandoned)
    for name, pid in before.items():
        test.equal(flood.relay.pids(name)[0], pid, f"{name} is the same process")


run(main)
