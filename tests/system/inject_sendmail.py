#!/usr/bin/python3
# limit: 120
"""relay-inject as programs call sendmail, against a stand-in for run/inject (lib/intake.h)."""
import array
import os
import pwd
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from bounce_channel import fields, ns

PROGRAM = os.path.join(os.environ.get("BUILD", "build"), "bin", "relay-inject")
if len(sys.argv) > 1:
    PROGRAM = sys.argv[1]
PROGRAM = os.path.abspath(PROGRAM)
LOGIN = pwd.getpwuid(os.getuid()).pw_name
OK = (250, "2.0.0 01J8ZK3V7Q2MX0AB queued")
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("wrong: " + what)


def same(actual, expected, what):
    check(actual == expected, f"{what}: {actual!r}, not {expected!r}")


class Relay:
    """The listening end of run/inject: takes messages, answers as it is told."""

    def __init__(self, control=None):
        self.home = tempfile.TemporaryDirectory()
        os.makedirs(self.home.name + "/control")
        os.makedirs(self.home.name + "/run")
        for name, text in {"me": "relay.example", **(control or {})}.items():
            with open(f"{self.home.name}/control/{name}", "w", encoding="ascii") as f:
                f.write(text + "\n")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.home.name + "/run/inject")
        self.listener.listen(10)
        self.listener.settimeout(30)

    def serve(self, verdict):
        """One session. verdict None: close without one."""
        sock, _ = self.listener.accept()
        sock.settimeout(30)
        data, fds, _, _ = socket.recv_fds(sock, 65536, 1)
        big = fields(data) == [b"B"]
        if big:
            path = self.home.name + "/big"
            with open(path, "wb") as f:
                sock.sendmsg([ns("+", 250, "BIG1")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                       array.array("i", [f.fileno()]))])
            data, fds, _, _ = socket.recv_fds(sock, 65536, 1)
        verb, env_len, content_len, name, _through = fields(data)
        same((verb, name, len(fds)), (b"S", b"BIG1" if big else b"", 0 if big else 1), "submission")
        if big:
            with open(path, "rb") as f:
                data = f.read()
        else:
            data = os.pread(fds[0], 4 << 20, 0)
            os.close(fds[0])
        same(len(data), int(env_len) + int(content_len), "lengths")
        self.envelope, self.content = fields(data[:int(env_len)]), data[int(env_len):]
        if verdict:
            sock.send(ns("V", *verdict))
        sock.close()

    def send(self, args, message, verdict=OK, name="sendmail", status=0):
        """Runs sendmail; returns its stderr. envelope and content are what arrived."""
        self.envelope = self.content = None
        thread = None
        if verdict != "none":
            thread = threading.Thread(target=self.serve, args=(verdict,), daemon=True)
            thread.start()
        p = subprocess.run([name, "-d", self.home.name] + args, executable=PROGRAM, input=message,
                           stderr=subprocess.PIPE, timeout=60, check=False)
        if thread:
            thread.join(30)
        err = p.stderr.decode()
        same(p.returncode, status, f"status of {args} ({err})")
        check(bool(err) == (status != 0 or "-v" in args), f"stderr of {args}: {err}")
        return err

    def header(self, name):
        head = self.content.split(b"\r\n\r\n", 1)[0] + b"\r\n"
        return [v.decode() for v in re.findall(rb"(?im)^" + name.encode() + rb":[ \t]*(.*?)\r$", head)]

    def rcpts(self):
        return [r.decode() for r in self.envelope[16::3]]


def cron(r):
    r.send(["-i", "-odi", "-oem", "-oi", "-t"],
           b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@h> x\nMIME-Version: 1.0\n\n"
           b"one\n.\ntwo\rthree\n\xff\n")
    same(r.rcpts(), ["root@relay.example"], "recipients")
    same(r.header("From"), ["root@relay.example (Cron Daemon)"], "From")
    same(r.header("To"), ["root@relay.example"], "To")
    check(r.content.endswith(b"\r\n\r\none\r\n.\r\ntwo\r\nthree\r\n\xff\r\n"), "body")
    same(r.envelope[2].decode(), LOGIN + "@relay.example", "sender")
    same(r.envelope[3:5] + r.envelope[8:9], [b"local", b"", b"1"], "tenant, source, flags")
    check(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000", r.header("Date")[0]), "Date")
    same(r.header("Message-ID"), [f"<{r.envelope[1].decode()}@relay.example>"], "Message-ID")


def php(r):
    message = (b"To: A <a@example.org>, b@example.org,\n\t(x (y)) \"q q\"@example.org\r\n"
               b"Cc: Team: c@example.org, <@r1,@r2:d@example.org>;, undisclosed:;\n"
               b"Bcc: e@example.org\nReturn-Path: <x@y>\nSubject: s\nMessage-Id: <1@x>\n"
               b"Date: today\nFrom: p@example.com\nX-PHP: a\rBcc: evil@example.org\n\nx")
    r.send(["-t", "-i", "-fbounces@example.com", "z@example.org"], message)
    same(r.rcpts(), ["z@example.org", "a@example.org", "b@example.org", '"q q"@example.org',
                     "c@example.org", "d@example.org", "e@example.org"], "recipients")
    same(r.envelope[2], b"bounces@example.com", "-f")
    same((r.header("Bcc"), r.header("Return-Path")), ([], []), "dropped")
    same((r.header("Date"), r.header("Message-ID"), r.header("From")),
         (["today"], ["<1@x>"], ["p@example.com"]), "kept")
    check(b"X-PHP: a Bcc: evil@example.org\r\n\r\nx\r\n" in r.content, "a CR begins no field")


def arguments(r):
    r.send(["-f", "<>", "-F", 'J. "X" Doe', "-N", "success,failure", "-R", "hdrs", "-V", "a+b=c", "-v",
            "a@example.org,b", "<c@example.org>", "a@example.org"],
           b"Subject: x\nBcc: q@example.org\n\n1\n..\n.\nbehind the end\n")
    same(r.envelope[2], b"", "-f <>")
    same(r.rcpts(), ["a@example.org", "b@relay.example", "c@example.org"], "recipients")
    same(r.envelope[17], b"6", "-N")
    same(r.envelope[9:11], [b"2", b"a+2Bb+3Dc"], "-R, -V")
    same(r.header("From"), [f'"J. \\"X\\" Doe" <{LOGIN}@relay.example>'], "From")
    check(r.content.endswith(b"\r\n\r\n1\r\n..\r\n") and b"q@" not in r.content, "the dot ends it")
    r.send(["-F", "Jürgen", "a@b.example"], b"no header at all\n")
    same(r.header("From")[0].split()[0], "=?utf-8?B?SsO8cmdlbg==?=", "RFC 2047")
    check(r.content.endswith(b"\r\n\r\nno header at all\r\n"), "the body begins at once")
    r.send(["a@b.example"], b"")
    check(r.content.endswith(b"\r\n\r\n"), "nothing on stdin")
    r.send(["-t", "-i"], b"From x Mon Jan 1\nResent-To: r@example.org\nTo: t@example.org\n\n")
    same(r.rcpts(), ["r@example.org"], "Resent-To alone")
    check(not r.content.startswith(b"From x"), "the mbox line goes")
    r.send(["-i", "用户@example.org"], b"\n")
    same(r.envelope[8], b"3", "SMTPUTF8 for an address")
    r.send(["-i", "a@example.org"], "Subject: grüße\n\n".encode())
    same(r.envelope[8], b"3", "SMTPUTF8 for a header")


def big(r):
    body = b"0123456789abcdef\n" * 300000
    r.send(["a@example.org"], b"Subject: big\n\n" + body)
    check(r.content.endswith(b"\r\n\r\n" + body.replace(b"\n", b"\r\n")), "5 MB arrive whole")
    r.send(["a@example.org"], b"X: " + b"y" * 3000000 + b"\n\nx\n", "none", status=65)


def verdicts(r):
    for code, text, status in ((550, "5.1.1 no such user", 67), (553, "5.7.1 denied", 77), (452, "4.3.1 full", 75),
                               (552, "5.3.4 too big", 65), (554, "5.4.6 loop", 69), (421, "4.7.0 x", 75)):
        err = r.send(["a@example.org"], b"\n", (code, text), status=status)
        check(err.startswith("sendmail: fatal: not sent") and f"{code} {text}" in err, err)
    r.send(["a@example.org"], b"\n", None, status=75)


def refused(r):
    for args, message, status in (
            ([], b"", 64), (["-t"], b"Subject: x\n\n", 64), (["-Q"], b"", 64), (["-bs"], b"", 64),
            (["-bd"], b"", 64), (["-bp"], b"", 64), (["-q"], b"", 64), (["-N", "often", "a"], b"", 64),
            (["-f", "a b", "a"], b"", 64), (["a b@c"], b"", 65), (["a"], b"x\0y\n", 65),
            (["-t"], b"To: a <b\n\n", 65), (["-t"], b"To: (x\n\n", 65), (["-d", "/nowhere", "a"], b"", 75),
            ([f"u{i}@example.org" for i in range(1001)], b"", 64)):
        r.send(args, message, "none", status=status)
    check("relay-ctl list" in r.send(["-bp"], b"", "none", status=64), "-bp's hint")
    r.send(["-bi"], b"", "none")
    r.send(["-I"], b"", "none", name="newaliases")


def main():
    r = Relay()
    for test in (cron, php, arguments, big, verdicts, refused):
        test(r)
    r.listener.close()
    check("the relay is not running" in r.send(["a"], b"", "none", status=75), "no relay")
    r = Relay({"defaultdomain": "corp.example", "databytes": "1000"})
    r.send(["joe"], b"\n" + b"x\n" * 100)
    same(r.rcpts(), ["joe@corp.example"], "defaultdomain")
    r.send(["joe"], b"\n" + b"x\n" * 1000, "none", status=65)
    r = Relay({"defaultdomain": "a b"})
    check("control/defaultdomain:1:" in r.send(["joe"], b"", "none", status=75), "malformed")
    print(f"{checks} checks")


main()
