#!/usr/bin/python3
"""bench/tarpit and bench/load do what they say: experiments are worth no more than their tools."""
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from relaytest import BUILD, Failed, run, run_program, wait_for

COUNT = re.compile(r"(\w+)=(\d+)")


class Tarpit:
    """A tarpit on some addresses of the test's own."""

    def __init__(self, test, name, *options, listeners=1):
        port = test.port()
        self.listeners = [f"{test.address(n + 1)}:{port}" for n in range(listeners)]
        self.path = test.directory / f"{name}.log"
        self.process = subprocess.Popen([BUILD / "tools/tarpit", "-l", self.path, *options, *self.listeners],
                                        stdout=subprocess.PIPE, text=True)
        test.ends(self)
        wait_for(lambda: self.path.exists() and self.events("listen"), "the tarpit listens")

    def events(self, what, wanted=0):
        """[when, listener, client, ...] of each event of that kind, once there are so many.

        The log is written behind the replies.
        """
        if wanted:
            wait_for(lambda: len(self.events(what)) >= wanted, f"{wanted} {what} in the MX's log")
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [(int(words[0]), *words[2:]) for words in lines if words[1] == what]

    def counts(self):
        """Ends it: {(listener, client): {...}}."""
        self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=30)
        return {tuple(line.split()[:2]): {key: int(value) for key, value in COUNT.findall(line)}
                for line in text.splitlines()}

    def stop(self):
        self.process.kill()
        self.process.wait()


class Talk:
    """A raw SMTP client, one line at a time, after secure() over TLS."""

    def __init__(self, test, listener, source=None):
        host, port = listener.split(":")
        self.socket = test.stack.enter_context(
            socket.create_connection((host, int(port)), 20, source and (source, 0)))
        self.stream = self.socket.makefile("rb")

    def read(self):
        while True:
            line = self.stream.readline().decode()
            if line[3:4] != "-":
                return line.strip()

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.read()

    def secure(self, version, session=None):
        """STARTTLS, one version of TLS; resumes the session of another Talk, if the server does."""
        context = session.socket.context if session else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not session:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
        code = self.say("STARTTLS")[:3]
        if code != "220":
            raise Failed(f"STARTTLS: {code}")
        self.socket = context.wrap_socket(self.socket, session=session and session.socket.session)
        self.stream = self.socket.makefile("rb")
        return self

    def message(self, size):
        """Sends one, its content in one write; the reply to its dot."""
        self.say("EHLO x")
        codes = [self.say(text)[:3] for text in ("MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA")]
        if codes != ["250", "250", "354"]:
            raise Failed(str(codes))
        return self.say("X-Token: tls-1\r\n\r\n" + "x" * 70 + ("\r\n" + "y" * 70) * (size // 72) + "\r\n.")[:3]


def load(test, server, *tenants, size=2000, seconds=60):
    """load to its end: {token: [(due, start, connected, dot, replied, code, text), ...]}."""
    path = test.directory / f"load{test.port()}.log"
    done = run_program(BUILD / "tools/load", "-s", size, "-t", seconds, "-l", path, server, *tenants, check=False)
    if done.returncode:
        raise Failed(f"load: status {done.returncode}: {done.stderr}")
    found = {}
    for line in path.read_text().splitlines():
        words = line.split(" ", 7)
        found.setdefault(words[0], []).append((*map(int, words[1:7]), words[7]))
    return found


def check_delay(test):
    """Each reply waits, pipelined commands too, and tokens join the two logs."""
    pit = Tarpit(test, "delay", "-d", "40", "-D", "dot=80")
    found = load(test, pit.listeners[0], f"name=a,from={test.address(20)},to=a.test,messages=3,per=0")
    test.equal([attempts[0][5] for attempts in found.values()], [250] * 3, "three messages are taken")
    for token, ((due, start, connected, dot, replied, _, _),) in found.items():
        test.check(due <= start <= connected <= dot <= replied, f"{token}: times in order")
    _, start, connected, dot, replied, _, _ = found["a-0"][0]
    test.check(connected - start >= 80000, "banner and EHLO take two delays", f"{connected - start} us")
    test.check(dot - connected >= 120000, "MAIL, RCPT and DATA take three, though they came at once")
    test.check(replied - dot >= 80000, "the final dot has a delay of its own")
    accepted = {words[3]: (words[0], words[4]) for words in pit.events("message", 3)}
    test.equal(sorted(accepted), sorted(found), "the MX has seen every token")
    test.check(all(found[t][0][3] <= when <= found[t][0][4] for t, (when, _) in accepted.items()),
               "each was accepted between its dot and its reply")
    test.equal({size for _, size in accepted.values()}, {"2000"}, "the size is what was asked for")
    (total,) = [c for (_, client), c in pit.counts().items() if client == "*"]
    test.equal((total["connections"], total["peak"], total["messages"]), (1, 1, 3), "all on one connection")


def check_ceiling(test):
    """The third connection of an address is refused, others' are not; a closed one makes room."""
    pit = Tarpit(test, "ceiling", "-c", "2", listeners=2)
    first, second = pit.listeners
    source, other = test.address(20), test.address(21)
    held = [Talk(test, first, source) for _ in range(2)]
    test.equal([talk.read()[:3] for talk in held], ["220", "220"], "two connections are taken")
    third = Talk(test, first, source)
    test.equal(third.read(), "421 4.7.0 too many connections from your address", "the third is refused")
    test.equal(third.stream.read(), b"", "and closed")
    test.equal(Talk(test, first, other).read()[:3], "220", "another address is not")
    test.equal(Talk(test, second, source).read()[:3], "220", "nor is it at another listener")
    test.equal(held[0].say("QUIT")[:3], "221", "one says QUIT")
    test.equal(Talk(test, first, source).read()[:3], "220", "which makes room")
    counts = pit.counts()
    test.equal(counts[first, source], {"connections": 3, "peak": 2, "refused": 1, "messages": 0, "limited": 0,
                                       "tls": 0, "resumed": 0}, "the counts of that address")
    test.equal((counts[first, "*"]["connections"], counts[first, "*"]["peak"]), (4, 3), "the listener's")
    test.equal(counts[second, source]["connections"], 1, "the other listener's")


def check_late_refusal(test):
    pit = Tarpit(test, "late", "-c", "1", "-m")
    held = Talk(test, pit.listeners[0])
    late = Talk(test, pit.listeners[0])
    test.equal([held.read()[:3], late.read()[:3]], ["220", "220"], "-m: both get a banner")
    test.equal(late.say("EHLO x")[:3], "250", "and an answer to EHLO")
    test.equal(late.say("MAIL FROM:<a@b>")[:3], "421", "one too many is told at MAIL")
    test.equal(held.say("EHLO x")[:3] + held.say("MAIL FROM:<a@b>")[:3], "250250", "the first one is served")
    test.equal(len(pit.events("refuse", 1)), 1, "one refusal in the log")


def check_rate(test):
    """More than a second's worth at once is limited; load tries again until it is taken."""
    pit = Tarpit(test, "rate", "-r", "5")
    found = load(test, pit.listeners[0],
                 f"name=r,from={test.address(20)},to=r.test,messages=8,per=0,retry=100,tries=100")
    test.equal([attempts[-1][5] for attempts in found.values()], [250] * 8, "all are taken in the end")
    tries = Counter(attempt[5] for attempts in found.values() for attempt in attempts)
    test.check(tries[450] >= 1, "some are told 450 first", str(tries))
    test.equal(tries[450], len(pit.events("limit", tries[450])), "the MX has counted as many")


def check_schedule(test):
    """Two tenants with rounds, spread over two MXs' domains, through -c and retries: none is lost."""
    pit = Tarpit(test, "schedule", "-d", "2", "-c", "2", "-P")
    a, m = test.address(20), test.address(21)
    found = load(test, pit.listeners[0],
                 f"name=a,from={a},to=a.test,messages=4,rounds=3,every=300,connections=4,retry=50,tries=200",
                 f"name=m,from={m},to=m%.test,spread=2,messages=40,per=10,connections=2,after=100,retry=50,tries=200")
    test.equal(Counter(token[0] for token in found), {"a": 12, "m": 40}, "every message of both was tried")
    test.equal({attempts[-1][5] for attempts in found.values()}, {250}, "and taken, without PIPELINING")
    test.check(any(attempt[5] == 421 for attempts in found.values() for attempt in attempts), "some met the ceiling")
    due = sorted({attempts[0][0] for token, attempts in found.items() if token[0] == "a"})
    test.equal([when - due[0] for when in due], [0, 300000, 600000], "rounds are due when the schedule says")
    test.check(all(attempt[1] >= attempt[0] for attempts in found.values() for attempt in attempts),
               "none began before it was due")
    test.equal({(client, token[0]) for _, _, client, token, _ in pit.events("message", 52)}, {(a, "a"), (m, "m")},
               "each tenant comes from its own address")
    connections = pit.counts()[pit.listeners[0], m]
    test.check(connections["connections"] >= 4 and connections["peak"] <= 2, "per=10: four connections",
               str(connections))


def tls_mx(test, name, *options):
    made = certificates.self_signed(test.directory / name, "mx")
    both = made.path.with_name("both.pem")
    both.write_text(made.path.read_text() + made.key.read_text())
    return Tarpit(test, name, "-T", both, *options)


def check_tls(test):
    """-T: STARTTLS once, a message of many records, a delay with more behind it; sessions are resumed."""
    pit = tls_mx(test, "tls", "-D", "mail=40")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        talk = Talk(test, pit.listeners[0])
        test.check(talk.read().startswith("220") and "250" in talk.say("EHLO x"), "it greets in clear")
        talk.secure(version)
        test.equal(talk.say("MAIL FROM:<a@b>" + "\r\nNOOP" * 1500 + "\r\nSTARTTLS"), "250 2.1.0 ok", "MAIL, over TLS")
        test.equal(Counter(talk.read()[:3] for _ in range(1501)), {"250": 1500, "502": 1},
                   "what came with it, more than the MX reads at once; STARTTLS is no command now")
        test.equal((talk.message(310000), talk.say("NOOP")[:3]), ("250", "250"),
                   "310 kB are taken, and no byte more; the last record is more than one read")
        test.equal(talk.say("QUIT")[:3], "221", "QUIT")
        again = Talk(test, pit.listeners[0])
        again.read()
        again.secure(version, talk)
        test.check(again.socket.session_reused, f"{again.socket.version()}: resumed")
        test.equal(again.message(100), "250", "a message in it")
        again.say("QUIT")
    test.equal([words[3:] for words in pit.events("tls", 4)],
               [("TLSv1.2", "full"), ("TLSv1.2", "resumed"), ("TLSv1.3", "full"), ("TLSv1.3", "resumed")],
               "the log has each handshake")
    sizes = [int(words[4]) for words in pit.events("message", 4)]
    test.check(sizes[0] == sizes[2] > 309000 > 300 > sizes[1], "and the bytes of each message", str(sizes))
    counts = pit.counts()[pit.listeners[0], "*"]
    test.equal((counts["connections"], counts["tls"], counts["resumed"], counts["messages"]), (4, 4, 2, 4), "counts")


def check_tls_options(test):
    """-R: no session is resumed. Without -T: no STARTTLS."""
    pit = tls_mx(test, "fresh", "-R")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        sessions = []
        for _ in range(2):
            talk = Talk(test, pit.listeners[0])
            talk.read()
            sessions.append(talk.secure(version, sessions[-1] if sessions else None))
            test.equal(talk.message(100), "250", "a message")
        test.check(not sessions[1].socket.session_reused, "-R: not resumed")
    test.equal(pit.counts()[pit.listeners[0], "*"]["resumed"], 0, "nor counted so")
    talk = Talk(test, Tarpit(test, "clear").listeners[0])
    talk.read()
    test.equal(talk.say("STARTTLS")[:3], "502", "no -T, no STARTTLS")


def check_nobody_there(test):
    found = load(test, f"{test.address(99)}:{test.port()}", f"name=n,from={test.address(20)},to=n.test,messages=3")
    test.equal([attempts[0][5] for attempts in found.values()], [0] * 3, "no server: code 0, and it ends")


def check_usage(test):
    for words in (["tarpit"], ["tarpit", "-D", "x=1", "127.0.0.1:1"], ["tarpit", "-R", "127.0.0.1:1"],
                  ["load"], ["load", "127.0.0.1:1", "name=a"],
                  ["load", "127.0.0.1:1", "from=127.0.0.1,to=x,name=a,no=1"]):
        done = run_program(BUILD / "tools" / words[0], *words[1:], check=False)
        test.check(done.returncode == 100 and done.stderr, f"{' '.join(words)}: refused, status 100",
                   str(done.returncode))


def tools(test):
    for check in (check_delay, check_ceiling, check_late_refusal, check_rate, check_schedule, check_tls,
                  check_tls_options, check_nobody_there, check_usage):
        check(test)


run(tools)
