#!/usr/bin/python3
# limit: 120
"""What a client must not send, through the whole relay: client, relay, receiver.

Line ends: every combination of wrong line ends around a dot, in one piece and in two, with
and without RELAYBARELF=normalize. One message in is one message out with the same lines, or
a 5xx; never two. Then commands, addresses and contents that are too long or no SMTP at all:
each has its clear reply, and the relay delivers the next message.
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badclient import ANY_SIZE, END, Client, Quiet, envelope, parts, replies, undotted, without_received
from badmx import BadMX
from relaytest import run, wait_for

EVIL = envelope(b"evil@evil.test", [b"victim@inside.test"]) + b"Subject: smuggled\r\n\r\nsmuggled"
ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b"\0", b"\r\0\n", b"\n\n", b"\x0b", b"\xc2\x85",
        b"\r\n\r", b" \r\n"]


def normalized(content):
    """What RELAYBARELF=normalize makes of content: a bare LF is CRLF, and begins no end."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", content)


def expected_lines(text, normalize):
    """Lines that a receiver must see for DATA text (ended by CRLF), or None: 5xx."""
    if b"\0" in text or re.search(rb"\r(?!\n)", text):
        return None
    if not normalize:
        return None if re.search(rb"(?<!\r)\n", text) else undotted(text)
    # Stuffing dots stand behind CRLF only; they go before the bare LFs become line ends.
    return normalized(re.sub(rb"(^|\r\n)\.", rb"\1", text)).split(b"\r\n")[:-1]


class Lines:
    def __init__(self, test):
        self.v, self.accepted = Quiet(test), {}
        self.strict, self.normal, self.small = map(test.address, (2, 3, 4))  # clients
        self.mx = BadMX(ANY_SIZE, host=test.address(9))
        self.relay = test.relay(
            routes=f":[{self.mx.host}]:{self.mx.port}", control={"timeoutsmtpd": 20},
            rules=f'{self.normal}:allow,RELAYCLIENT="",RELAYBARELF="normalize"\n'
                  f'{self.small}:allow,RELAYCLIENT="",DATABYTES="5000"\n127.:allow,RELAYCLIENT=""\n:deny\n')
        self.address = (self.relay.host, self.relay.port)

    def session(self, source, content, cut):
        """One transaction and QUIT on a connection of its own; the replies behind the 354."""
        data = envelope(b"a@msa.test", [b"b@dest.test"])
        with Client(self.address, source) as c:
            c.greet()
            c.send(data)
            got = [c.code() for _ in range(3)]
            self.v.same(got, ["250", "250", "354"], "envelope")
            c.send(content[:cut])
            if cut < len(content):
                time.sleep(0.02)
                c.send(content[cut:])
            return replies(c.rest())

    def one_variant(self, source, before, after, number, cut):
        mark = b"Subject: variant %d" % number
        text = mark + b"\r\n\r\nfirst line" + before + b"." + after + EVIL
        if (b"first line" + before).endswith(b"\r\n") and after.startswith(b"\r\n"):
            return  # that is the end, and all that follows is commands
        text += b"\r\n"
        got = self.session(source, text + b".\r\nQUIT\r\n", cut)
        words = f"variant {number} {before!r}.{after!r} from {source}"
        if not self.v.same(len(got), 2, words, "replies", got):
            return
        self.v.same(got[1][0], "221", words, "after the message")
        wanted = expected_lines(text, source == self.normal)
        if wanted is None:
            self.v.check(got[0][0] in ("550", "554"), words, "refused", got[0])
            return
        self.v.same(got[0][0], "250", words, "accepted")
        self.accepted[mark] = wanted

    def arrived(self):
        """{first line: [lines, ...]} of what the receiver has."""
        found = {}
        for message in list(self.mx.messages):
            self.v.check(not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", message), "bare CR, LF or NUL out", message)
            lines = without_received(undotted(message))
            found.setdefault(lines[0], []).append(lines)
        return found

    def smuggling(self):
        number = 0
        for source in (self.strict, self.normal):
            for before in ENDS:
                for after in ENDS:
                    number += 1
                    self.one_variant(source, before, after, number, self.v.random.randrange(40, 200))
        wait_for(lambda: len(self.mx.messages) >= len(self.accepted), "the messages arrive", 30)
        time.sleep(0.5)
        found = self.arrived()
        self.v.same(sorted(found), sorted(self.accepted), "the messages that arrived")
        for mark, wanted in self.accepted.items():
            self.v.same(found.get(mark), [wanted], mark, "lines")
        self.v.check(not any(b"evil@" in x or b"victim@" in x for x in self.mx.commands), "a smuggled envelope")
        print(f"{number} variants, {len(self.accepted)} accepted, {len(self.mx.messages)} arrived")
        self.mx.messages.clear()

    def dots(self):
        """Dots at every place of a legal message come out as they went in."""
        lines = [b"Subject: dots", b"", b".", b"..", b"...", b". ", b".x", b"x.", b"", b".", b"x" * 5000]
        stuffed = b"".join((b"." if x[:1] == b"." else b"") + x + b"\r\n" for x in lines)
        for cut in range(0, len(stuffed[:60])):
            got = self.session(self.strict, stuffed + b".\r\nQUIT\r\n", cut)
            self.v.same([x[0] for x in got], ["250", "221"], "dots, cut at", cut)
        wait_for(lambda: len(self.mx.messages) >= 60, "the messages arrive")
        for message in self.mx.messages:
            self.v.same(without_received(undotted(message)), lines, "dots")
        self.v.same(len(self.mx.messages), 60, "messages with dots")
        self.mx.messages.clear()

    def commands(self):
        """What one line does, and that the session goes on (or ends with 421) as it must."""
        long_local, long_domain = b"l" * 65 + b"@d.test", b"a@" + b".".join([b"d" * 60] * 5) + b".test"
        cases = [
            (b"X" * 100000, "500"), (b"MAIL FROM:<" + b"a" * 100000 + b"@b.test>", "500"),
            (b"MAIL FROM:<" + long_local + b">", "501"), (b"MAIL FROM:<" + long_domain + b">", "501"),
            (b"MAIL FROM:<a\0@b.test>", "500"), (b"MAIL FROM:<a\rb@b.test>", "500"),
            (b"MAIL FROM:<a@b.test> X=\x01", "500"), (b"\0", "500"), (b"", "500"),
            (b"EHLO " + b"h" * 300, "501"), (b"MAIL FROM:<a@b.test> SIZE=99999999999999999999", "5"),
            (b"MAIL FROM:<a@b.test> SIZE=-1", "501"), (b"MAIL FROM:<a@b.test> SIZE", "501"),
            (b"MAIL FROM:<a@b.test> ENVID=" + b"e" * 101, "501"), (b"MAIL FROM:<a@b.test> FOO=bar", "555"),
            (b"RCPT TO:<b@dest.test>", "503"), (b"DATA", "503"), (b"DATA now", "501"),
            (b"MAIL FROM:<\xff\xfe@b.test>", "5"), (b"MAIL FROM:a@b.test>", "501"),
            (b"MAIL FROM:<a@b.test", "501"), (b"MAIL FROM:<" + b"@x," * 600 + b":a@b.test>", "5"),
            (b"MAIL FROM:<" + b"(" * 1500 + b"@b.test>", "5"), (b"NOOP " + b"n" * 2000, "250"),
            (b"\xff" * 200, "500"), (b"EHLO [" + b":" * 200 + b"]", "250"), (b"STARTTLS", "502"),
            (b"BDAT 100 LAST", "502"), (b"AUTH PLAIN AAAA", "502"), (b"\x1b[2J", "500"),
        ]
        for line, wanted in cases:
            with Client(self.address, self.strict) as c:
                c.greet()
                got = c.say(line)
                self.v.check(got.startswith(wanted.encode()) and got.endswith(b"\r\n"), line[:60], "got", got[:80],
                        "wanted", wanted)
                self.v.check(all(31 < b < 127 or b in b"\r\n" for b in got), line[:60], "reply with odd bytes", got[:80])
                self.v.check(c.say(b"NOOP")[:3] in (b"250",), line[:60], "then NOOP")
                c.send(envelope(b"a@msa.test", [b"b@dest.test"]))
                if not self.v.same([c.code() for _ in range(3)], ["250", "250", "354"], line[:60], "a message after it"):
                    continue
                c.send(b"Subject: after\r\n\r\n" + line[:20].hex().encode() + END)
                self.v.same(c.code(), "250", line[:60], "a message after it")
        wait_for(lambda: len(self.mx.messages) >= len(cases), "the messages arrive")
        self.v.same(len(self.mx.messages), len(cases), "messages after bad commands")
        self.mx.messages.clear()
        with Client(self.address, self.strict) as c:
            got = c.greet().say(b"RCPT TO:<x@dest.test>\nRCPT TO:<y@dest.test>")
            self.v.check(got[:3] == b"500" and c.rest() == b"", "a bare LF in a command ends the session", got)

    def strangers(self):
        """Things that are no SMTP at all end soon, answered or not, and are logged without control bytes."""
        hello = bytes.fromhex("16030100c8010000c40303") + self.v.random.randbytes(193)
        http = b"POST /x HTTP/1.1\r\nHost: relay\r\nContent-Length: 70\r\n\r\n" + EVIL + END
        junk = [self.v.random.randbytes(20000) for _ in range(5)]
        for name, data in [("TLS", hello), ("HTTP", http), ("NULs", bytes(50000)), ("CRs", b"\r" * 50000),
                           ("LFs", b"\n" * 1000), ("CRLFs", b"\r\n" * 1000), ("one line", b"x" * 3000000),
                           ("flood", b"NOOP\r\n" * 20000), ("RSET flood", b"RSET\r\n" * 20000),
                           ("EHLO flood", b"EHLO x\r\n" * 20000)] + [("junk", j) for j in junk]:
            with Client(self.address, self.strict) as c:
                c.reply()
                try:
                    c.send(data)
                    c.sock.shutdown(1)
                except OSError:
                    pass  # the relay has hung up on it, which is as good
                got = replies(c.rest())
                self.v.check(not any(x[0] == "354" for x in got), name, "was taken for SMTP", got[:3])
                self.v.check(len(got) <= 130, name, "got", len(got), "replies")
        self.v.same(self.mx.messages, [], "mail from strangers")

    def contents(self):
        """Headers and sizes at and over their limits."""
        loop = b"".join(b"Received: from x%d by y%d\r\n" % (i, i) for i in range(200)) + b"Subject: loop\r\n\r\nx"
        giant = b"X-Giant: " + b"g" * 3000000 + b"\r\nSubject: giant header\r\n\r\nx"
        folded = b"X-Folded: a\r\n" + b" continued\r\n" * 100000 + b"Subject: folded\r\n\r\nx"
        many = b"".join(b"X-%d: y\r\n" % i for i in range(50000)) + b"Subject: many headers\r\n\r\nx"
        body = b"Subject: body\r\n\r\n" + b"y" * 6000
        kept = []
        for name, source, content, wanted in [
                ("200 Received", self.strict, loop, "554"), ("giant header", self.strict, giant, "250"),
                ("folded", self.strict, folded, "250"), ("many headers", self.strict, many, "250"),
                ("DATABYTES", self.small, body, "552"), ("no content", self.strict, b"", "250"),
                ("8-bit", self.strict, b"Subject: \xff\xfe\r\n\r\n\x80\x81\x1b[2J", "250"),
                ("under DATABYTES", self.small, b"Subject: small\r\n\r\n" + b"z" * 4900, "250")]:
            got = self.session(source, content + END[0 if content else 2:] + b"QUIT\r\n", len(content))
            self.v.same([x[0] for x in got], [wanted, "221"], name, got[0][1] if got else b"")
            if wanted == "250":
                kept.append(undotted(content + b"\r\n") if content else [])
            elif name == "200 Received":
                self.v.check(b"5.4.6" in got[0][1], name, got)
        with Client(self.address, self.small) as c:
            got = c.greet().say(b"MAIL FROM:<a@msa.test> SIZE=5001")
            self.v.check(got.startswith(b"552 5.3.4"), "SIZE over DATABYTES", got)
            c.say(b"MAIL FROM:<a@msa.test> SIZE=1")  # a lie
            c.say(b"RCPT TO:<b@dest.test>")
            c.say(b"DATA")
            c.send(body + END)
            self.v.same(c.code(), "552", "a lie about SIZE")
            self.v.same(c.code() if not c.send(b"QUIT\r\n") else "", "221", "after the lie")
        wait_for(lambda: len(self.mx.messages) >= len(kept), "the messages arrive")
        got = [without_received(undotted(m)) for m in self.mx.messages]
        self.v.check(sorted(got) == sorted(kept), "contents differ:", [g[:2] for g in got])
        self.mx.messages.clear()


def main(test):
    lines = Lines(test)
    parts(test, lines.smuggling, lines.dots, lines.commands, lines.strangers, lines.contents)
    log = lines.relay.log("smtpd") + lines.relay.log("send")
    odd = re.findall(r".*[^\x20-\x7e\n\x80-\U0010ffff\t].*", log)
    test.check(not odd, "no control byte in the log", odd[:2])


run(main)
