#!/usr/bin/python3
# limit: 120
"""A client that goes away, at every byte of a session, in three ways: it closes, it resets
the connection, it ends its half and listens. What was not complete never arrives; what was
answered 250 arrives once; nothing arrives twice; afterwards the relay is as it was."""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badclient import END, Client, Quiet, envelope, measure, parts, replies, show, undotted, without_received
from badmx import BadMX
from relaytest import run, wait_for

WAYS = ("close", "reset", "half")


def script(mark):
    """A whole session, pipelined, and where its message is complete."""
    talk = (b"EHLO client.test\r\n" + envelope(b"a@msa.test", [b"b@dest.test", b"c@dest.test"])
            + b"Subject: " + mark + b"\r\n\r\nline\r\n..dotted" + END)
    return talk + b"QUIT\r\n", len(talk)


class Cut:
    def __init__(self, test):
        self.v, self.answered, self.maybe = Quiet(test), set(), set()
        self.mx = BadMX({}, host=test.address(9))
        self.relay = test.relay(routes=f":[{self.mx.host}]:{self.mx.port}")
        self.address = (self.relay.host, self.relay.port)

    def one(self, at, way):
        mark = b"%s-%d" % (way.encode(), at)
        talk, complete = script(mark)
        with Client(self.address) as c:
            if self.v.random.random() < 0.5:
                c.reply()  # half of them hear the banner first
            c.send(talk[:at])
            if way == "reset":
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if way == "half":
                c.sock.shutdown(socket.SHUT_WR)
                got = [code for code, _ in replies(c.rest())]
                if at >= complete:
                    self.v.check(got[-1:] == ["221"] or "250" in got[5:], mark, got)
                    self.answered.add(mark)
                self.v.check(not any(code in got for code in ("500", "501")) or at < complete, mark, got)
        if at >= complete:
            self.maybe.add(mark)

    def every_byte(self):
        for at in range(len(script(b"close-000")[0]) + 1):
            for way in WAYS:
                self.one(at, way)
        with Client(self.address) as c:
            c.greet().send(envelope(b"a@msa.test", [b"b@dest.test"]) + b"Subject: last\r\n" + END)
            self.v.same([c.code() for _ in range(4)], ["250", "250", "354", "250"], "a message afterwards")
        self.answered.add(b"last")
        self.maybe.add(b"last")

    def what_arrived(self):
        def here():
            return [without_received(undotted(m)) for m in list(self.mx.messages)]
        wait_for(lambda: self.answered <= {x[0][9:] for x in here()}, "what was answered 250 arrives")
        self.relay.wait_empty()
        marks = [x[0][9:] for x in here()]
        self.v.same(sorted(set(marks)), sorted(marks), "nothing arrives twice")
        self.v.check(set(marks) <= self.maybe, "arrived though not complete:", set(marks) - self.maybe)
        for lines in here():
            if lines[0] != b"Subject: last":
                self.v.same(lines[1:], [b"", b"line", b".dotted"], "lines")
        print(f"{len(self.maybe)} were complete, {len(self.answered)} answered, {len(marks)} arrived")

    def nothing_stays(self):
        """No session is left, and a second time costs no memory."""
        first = self.settled()
        for at in range(0, 260, 3):
            self.one(at, WAYS[at % 3])
        self.relay.wait_empty()
        second = self.settled()
        show("after the first time", first)
        show("after the second", second)
        self.v.grown(first, second)

    def settled(self):
        wait_for(lambda: not self.relay.pids("relay-smtpd"), "every relay-smtpd has ended")
        return measure(self.relay)


def main(test):
    cut = Cut(test)
    before = {name: cut.relay.pids(name)[0] for name in ("relay-queue", "relay-send", "relay-bounce")}
    parts(test, cut.every_byte, cut.what_arrived, cut.nothing_stays)
    for name, pid in before.items():
        test.equal(cut.relay.pids(name)[0], pid, f"{name} is the same process")


run(main)
