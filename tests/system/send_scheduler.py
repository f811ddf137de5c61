#!/usr/bin/python3
"""relay-send alone, with stand-ins for relay-queue, relay-remote and the resolver: what becomes of
messages, lanes, connections, notices and holds, and how it ends."""
# limit: 240
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import BUILD, run
from send_process import Send

counter = 0
FAST = {"retry": "1", "probefirst": "1", "probemax": "2", "windowinitial": "2"}


def start(test, told=True, **control):
    global counter
    counter += 1
    send = test.ends(Send(test.path(f"send{counter}"), {**FAST, **control}))
    if told:
        send.told()
        send.pump(lambda: "queue messages" in send.log_text())
    return send


def check_delivery(test):
    send = start(test)
    serial, _ = send.message("a@one.test")
    send.pump(lambda: send.of(serial))
    test.equal([r.verdict for r in send.of(serial)], ["d"], "a new message is delivered")
    second, _ = send.message("b@one.test")
    send.pump(lambda: send.of(second))
    test.equal((send.asked, send.fetched), (1, 0), "the next one uses the same connection; both use the fd that came along")
    many, _ = send.message([f"u{n}@one.test" for n in range(250)])
    send.pump(lambda: len(send.of(many)) == 250)
    test.equal(sorted(r.rcpt for r in send.of(many)), list(range(250)), "250 recipients in parts, each once")
    test.equal(len(send.questions), 1, "one question for all")
    row = json.loads(send.ctl("--json", "stat").stdout)[0]
    test.equal((row["messages"], row["delivered"]), (0, 252), "stat counts them")
    send.pump(lambda: not any(w.sock.fileno() != -1 for w in send.workers), 12)
    test.check(all(w.sock.fileno() == -1 for w in send.workers), "idle connections are closed after timeoutidle")


def check_deferral(test):
    send = start(test)
    answers = ["t", "d"]

    def mx(w):
        verdict = answers.pop(0)
        w.dot()
        w.outcomes(verdict, 250 if verdict == "d" else 450, "2.0.0" if verdict == "d" else "4.2.0", "text")
        w.end()
    send.mx = mx
    serial, ident = send.message("a@one.test")
    send.pump(lambda: send.of(serial))
    first = send.of(serial)[0]
    test.equal((first.verdict, first.attempts), ("t", 1), "a 450 is a deferral")
    test.check(800 <= first.next - time.time() * 1000 + 300 <= 1500, "its next attempt is control/retry away",
               first.next - time.time() * 1000)
    row = json.loads(send.ctl("--json", "why", ident).stdout)[0]
    test.equal((row["state"], row["attempts"], row["last"]), ("waiting", 1, send.last), "why says so")
    send.pump(lambda: send.of(serial, "d"))
    test.equal(send.of(serial, "d")[0].attempts, 2, "the second attempt delivers it")


def check_lane(test):
    send = start(test, concurrencysite="10")
    send.connect = lambda w: w.no_session()
    serials = [send.message(f"u{n}@down.test", tenant=f"t{n % 3}")[0] for n in range(50)]
    send.pump(lambda: "kind=down" in send.log_text())
    send.still(0.3)
    test.check(send.asked <= 4, "a host that does not answer is tried by one connection at a time", send.asked)
    row = json.loads(send.ctl("--json", "list", "--limit", "1").stdout)[0]
    test.equal((row["state"], row["attempts"]), ("waiting", 0), "its mail waits, and no attempt is counted")
    held = send.message("other@down.test")[1]
    send.ctl("hold", held)
    row = json.loads(send.ctl("--json", "stat").stdout)[0]
    test.equal((row["ready"], row["waiting"], row["held"]), (0, 50, 1), "stat says the same")
    send.ctl("drop", held)
    send.pump(lambda: send.results)
    send.results.clear()
    before = send.asked
    send.pump(lambda: send.asked > before, 5)
    test.equal(send.asked, before + 1, "then it is probed")
    test.equal(send.results, [], "no attempt of a recipient is spent")
    send.connect = lambda w: w.greet()
    send.pump(lambda: len(send.results) == 50, 5)
    test.equal(sorted(r.serial for r in send.results), serials, "all of it goes when a probe is greeted")
    row = json.loads(send.ctl("--json", "stat").stdout)[0]
    test.equal((row["ready"], row["waiting"]), (0, 0), "and stat has nothing left")


def check_refused_while_others_work(test):
    send = start(test, windowinitial="8", concurrencysite="8")
    held = []
    send.mx = held.append
    send.connect = lambda w: w.greet() if len([x for x in send.workers if x.host]) < 3 else w.no_session(
        "421 4.7.0 too many connections", 421, "b")
    for n in range(20):
        send.message(f"u{n}@busy.test")
    send.pump(lambda: len(held) == 3)
    send.still()
    site = next(r for r in json.loads(send.ctl("--json", "stat").stdout) if r["row"] == "site")
    test.equal((site["window"], site["ceiling"], site["open"], site["kind"]), (3, 3, 3, "ceiling"),
               "the window is what the MX gives")
    send.mx = lambda w: w.deliver()
    for w in held:
        w.deliver()
    send.pump(lambda: len(send.results) == 20)
    test.equal({r.verdict for r in send.results}, {"d"}, "and nobody's attempt was spent on it")


def check_connection_ends(test):
    send = start(test)
    count = []

    def mx(w):
        count.append(w.pid)
        if w.jobs == 2:
            w.end(keep=0, stale=1)
        else:
            w.deliver()
    send.mx = mx
    for n in range(2):
        serial, _ = send.message(f"u{n}@old.test")
        send.pump(lambda s=serial: send.of(s))
    test.equal([(r.verdict, r.attempts) for r in send.results], [("d", 1), ("d", 1)],
               "a kept connection that was dead costs no attempt")
    test.equal(len(set(count)), 2, "the message went over another one")

    def closing(w):
        if w.jobs == 2:
            w.outcomes("t", 421, "4.3.2", "421 4.3.2 closing", "m")
            w.end(keep=0)
        else:
            w.deliver()
    send.mx = closing
    for n in range(3):
        serial, _ = send.message(f"v{n}@old.test")
        send.pump(lambda s=serial: send.of(s))
    test.equal({(r.verdict, r.attempts) for r in send.results}, {("d", 1)}, "nor does a 421 on a kept connection")
    site = next(r for r in json.loads(send.ctl("--json", "stat").stdout) if r["row"] == "site")
    test.check(site["window"] >= int(FAST["windowinitial"]), "which does not shrink the window", site)
    send.mx = lambda w: (w.dot(), w.close())
    serial, _ = send.message("w@crash.test")
    send.pump(lambda: send.of(serial))
    last = send.of(serial)[0]
    test.check(last.verdict == "t" and "may have been delivered" in last.reply,
               "a worker that dies after the dot is one deferral that says so", last)


def check_garbage(test):
    send = start(test)
    send.mx = lambda w: w.sock.send(b"5:nonsense")
    serial, _ = send.message("a@evil.test")
    send.pump(lambda: send.of(serial))
    test.equal(send.of(serial)[0].verdict, "t", "a worker that talks nonsense is a deferral")
    send.mx = lambda w: (w.say("R", w.token, 1, 77, "f.", 550, "5.1.1", "h", "r"), w.end())
    serial, _ = send.message("b@evil.test")
    send.pump(lambda: send.of(serial))
    test.equal(send.of(serial)[0].verdict, "t", "one that judges others' recipients too")
    test.check(send.process.poll() is None, "relay-send lives")


def check_dns(test):
    send = start(test)
    answers = {"null.test": ("n", 60, "null MX", [], []), "none.test": ("x", 60, "NXDOMAIN", [], []),
               "self.test": ("s", 60, "", [], []), "later.test": ("t", 0, "SERVFAIL from 127.0.0.1", [], [])}
    good = send.resolve
    send.resolve = lambda name: answers.get(name) or good(name)
    for name, status in (("null", "5.1.10"), ("none", "5.1.2"), ("self", "5.4.6")):
        serial, _ = send.message(f"a@{name}.test")
        send.pump(lambda s=serial: send.of(s))
        result = send.of(serial)[0]
        test.equal((result.verdict, result.status, result.due), ("f", status, True), f"{name}.test fails with {status}")
    serial, ident = send.message("a@[127.0.0.9]")
    send.pump(lambda: send.of(serial))
    test.equal(send.of(serial)[0].status, "5.4.6", "the literal of a local address is refused")
    serial, ident = send.message("a@later.test")
    send.pump(lambda: "kind=dns" in send.log_text())
    row = json.loads(send.ctl("--json", "why", ident).stdout)[0]
    test.check("SERVFAIL" in row["last"] and row["state"] == "waiting", "why has what DNS said", row)
    del answers["later.test"]
    send.pump(lambda: send.of(serial), 5)
    test.equal(send.of(serial)[0].verdict, "d", "it goes when DNS answers")


def check_expiry(test):
    send = start(test, told=False, lifetime="100", retry="60")
    send.connect = lambda w: w.no_session("Connection timed out")
    old, _ = send.message("a@down.test", age=200, attempts=3)
    young, _ = send.message("b@down.test")
    send.still()
    test.equal((send.results, send.asked), ([], 0), "nothing starts before the queue is told")
    send.told()
    send.pump(lambda: "failures=1" in send.log_text())
    test.equal(send.of(young), [], "a young message stays")
    send.connect = lambda w: w.greet()

    def mx(w):
        w.outcomes("t", 451, "4.3.0", "451 4.3.0 still not", "m")
        w.end()
    send.mx = mx
    send.pump(lambda: send.of(old) and send.of(young), 5)
    result = send.of(old)[0]
    test.equal((result.verdict, result.status, result.due), ("f", "5.4.7", True),
               "an old one fails when its attempt in this run has failed")
    test.check("not delivered for 100 seconds; last: " in result.reply and "451 4.3.0 still not" in result.reply, "with the last reply",
               result.reply)
    test.equal(send.of(young)[0].verdict, "t", "the young one is deferred")
    send.pump(lambda: send.notices)
    test.equal(send.notices, [(old, "f", [0])], "its notice is asked for")
    # What is each time the probe itself ends, too: at a site that is down, and at one that says "too fast".
    for text in ("Connection timed out", "421 4.7.0 rate limit exceeded, too many messages, slow down"):
        send = start(test, lifetime="100", retry="1", probefirst="1", probemax="1")
        send.connect = lambda w, text=text: w.no_session(text)
        lone, _ = send.message("a@down.test", age=200)
        send.pump(lambda: send.of(lone), 30)
        test.equal([(r.verdict, r.status) for r in send.of(lone)][-1:], [("f", "5.4.7")], f"an overdue one ends: {text}")


def check_notices(test):
    send = start(test, delaywarn="1", retry="2")
    answers = {}

    def mx(w):
        w.dot()
        for r in w.rcpts:
            v = answers[w.id].pop(0) if answers.get(w.id) else "d"
            w.outcomes(v, {"d": 250, "t": 450, "f": 550}[v], {"d": "2.0.0", "t": "4.2.0", "f": "5.1.1"}[v], "text",
                       rcpts=[r])
        w.end(dsn=0)
    send.mx = mx

    def message(verdicts, **how):
        send.pause(True)
        serial, ident = send.message([f"u{n}@dsn.test" for n in range(len(verdicts))], **how)
        answers[ident] = list(verdicts)
        send.pause(False)
        send.pump(lambda: len(send.of(serial)) >= len(verdicts))
        return serial
    both = message("ff")
    send.pump(lambda: send.notices)
    test.equal(send.notices, [(both, "f", [0, 1])], "two that fail are one notice, at once when no other is pending")
    send.notices.clear()
    message("f", sender="")
    message("f", notify=1)
    send.still()
    test.equal([(r.due, r.verdict) for r in send.results[-2:]], [(False, "f")] * 2,
               "no notice for <> and none with NOTIFY=NEVER")
    relayed = message("d", notify=2)
    send.pump(lambda: send.notices)
    test.equal(send.notices, [(relayed, "s", [0])], "NOTIFY=SUCCESS at an MX without DSN is ours to tell")
    send.notices.clear()
    late = message("ttd")
    send.pump(lambda: [n for n in send.notices if n[1] == "d"], 6)
    test.equal(send.notices, [(late, "d", [0, 1])], "a delay is told")
    send.pump(lambda: len(send.of(late, "d")) == 3, 8)
    test.equal(len(send.notices), 1, "once")
    send.notices.clear()
    mixed = message("ftd")
    send.still(0.5)
    test.equal([n for n in send.notices if n[1] == "f"], [], "a failure waits for what may fail with it")
    send.pump(lambda: (mixed, "f", [0]) in send.notices, 8)
    test.check((mixed, "f", [0]) in send.notices, "until nothing of the message is pending", send.notices)


def check_operator(test):
    send = start(test)
    done = send.ctl("hold", "tenant:t2")
    test.equal(done.stdout, "hold: 0 recipients; the hold stands, for mail to come as well, until it is released\n",
               "hold says that it is one, though nothing is queued")
    send.pump(lambda: send.notes)
    test.equal(send.notes, {"hold tenant t2": "1"}, "a hold is noted")
    serial, ident = send.message("a@one.test", tenant="t2")
    free, _ = send.message("a@one.test")
    send.pump(lambda: send.of(free))
    send.still()
    test.equal(send.of(serial), [], "what comes later is held too")
    row = json.loads(send.ctl("--json", "why", ident).stdout)[0]
    test.check(row["state"] == "held" and "tenant t2" in row["reason"], "why names the hold", row["reason"])
    send.ctl("hold", "domain:one.test")
    row = json.loads(send.ctl("--json", "why", ident).stdout)[0]
    test.check("holds tenant t2, domain one.test; relay-ctl release ends that, of each by itself" in row["reason"],
               "why names both holds", row["reason"])
    send.ctl("release", "domain:one.test")
    done = send.ctl("release", "tenant:t2")
    test.equal(done.stdout, "release: 1 recipient\n", "release says what it did")
    send.pump(lambda: send.of(serial))
    test.equal([r.verdict for r in send.of(serial)], ["d"], "and the message goes")
    send.pump(lambda: send.notes["hold tenant t2"] == send.notes["hold domain one.test"] == "")
    test.equal(send.notes, {"hold tenant t2": "", "hold domain one.test": ""}, "the notes are forgotten")
    check_hold_site(test, send)
    send.connect = lambda w: w.no_session()
    dropped, ident = send.message("a@gone.test")
    returned, _ = send.message("a@back.test")
    send.pump(lambda: send.log_text().count("kind=down") >= 2)
    send.ctl("drop", ident)
    send.ctl("bounce", "domain:back.test")
    send.pump(lambda: send.of(dropped) and send.of(returned))
    test.equal([(r.verdict, r.due) for r in send.of(dropped) + send.of(returned)], [("x", False), ("f", True)],
               "drop and bounce")
    test.equal(send.of(returned)[0].reply, "returned by the operator of this relay; last: Connection refused",
               "bounce quotes why the site is down")
    check_bounce(test)
    test.equal(send.ctl("why", "0" * 16).returncode, 1, "no such message is status 1")
    test.equal(send.ctl("why").returncode, 100, "wrong use is status 100")
    test.equal(send.ctl("list", "tenant:x\x1b[31m").returncode, 0, "nothing matches")


def check_hold_site(test, send):
    """Any spelling of a site is that site, for what comes later, too."""
    send.ctl("hold", "site:MX.One.TEST")
    serial, ident = send.message("b@one.test")
    later, _ = send.message("b@later.test")
    send.ctl("hold", "site:mx.Later.test")
    send.pump(lambda: send.of(later))
    send.still()
    test.equal([r["state"] for r in json.loads(send.ctl("--json", "list", "site:mx.one.test").stdout)], ["held"],
               "a site is held however it is written")
    held = [r["value"] for r in json.loads(send.ctl("--json", "stat", "domain:one.test").stdout) if r["row"] == "hold"]
    test.equal(held, ["MX.One.TEST"], "stat of a selection lists that hold")
    test.equal(send.ctl("release", "site:mx.one.test").stdout, "release: 1 recipient\n", "and released however")
    send.ctl("release", "site:MX.LATER.TEST")
    send.pump(lambda: send.of(serial) and send.notes["hold site mx.Later.test"] == "")
    test.equal([r.verdict for r in send.of(serial)], ["d"], "and its mail goes")
    test.equal(send.notes["hold site MX.One.TEST"], "", "the note is forgotten as it was written")


def check_bounce(test, count=900):
    """What relay-queue has as the last reply is in the notice."""
    send = start(test, retry="600")
    send.last = "mx.test said: 450 4.2.0 full"
    send.mx = lambda w: (w.outcomes("t", 450, "4.2.0", "text", "r"), w.end())
    many, ident = send.message([f"u{n}@many.test" for n in range(count)])
    others = [send.message(f"u{n}@other.test")[0] for n in range(20)]
    send.pump(lambda: len(send.of(many)) == count and len(send.results) == count + 20, 20)
    send.results.clear()
    done = send.ctl("--limit", "3", "bounce", "domain:other.test").stdout
    test.equal(done, "bounce: 3 recipients\n", "a limit is kept")
    send.last = ""
    done = send.ctl("bounce", "domain:other.test").stdout
    test.equal(done, "bounce: 17 recipients\n", "without an answer about the last reply they are returned all the same")
    send.last = "mx.test said: 450 4.2.0 full"
    done = send.ctl("bounce", ident).stdout
    test.equal(done, f"bounce: {count} recipients\n", "all recipients of a big message")
    send.pump(lambda: len(send.results) == count + 20)
    words = "returned by the operator of this relay"
    test.equal(sorted({r.reply for r in send.results}), [words, f"{words}; last: mx.test said: 450 4.2.0 full"],
               "with the last reply where there is one")
    test.equal({r.reply for r in send.of(many)}, {f"{words}; last: mx.test said: 450 4.2.0 full"}, "each")
    row = json.loads(send.ctl("--json", "stat").stdout)[0]
    test.equal(row["waiting"], 0, "nothing waits any more")
    check_bounce_spares_notices(test)


def tell_dsns(send):
    """From now on each notice comes into the queue, and stays; their serials."""
    plain, dsns = send._from_queue, []

    def answer(f):
        plain(f)
        if f[0] == "B":
            dsns.append(send.message("s@held.test", sender="", fd=False)[0])
    send._from_queue = answer
    send.mx = lambda w: None
    return dsns


def check_bounce_spares_notices(test, count=2500):
    """The notices about what is returned come into the queue meanwhile: they are not what was meant."""
    send = start(test, told=False)
    early = subprocess.Popen([str(w) for w in (BUILD / "bin/relay-ctl", "-d", send.directory, "drop", "all")],
                             stdout=subprocess.PIPE, text=True)
    send.still(0.3)
    send.message("u@early.test", fd=False)
    send.told()
    send.pump(lambda: early.poll() is not None)
    test.equal(early.communicate()[0], "drop: 1 recipient\n", "what a start has yet to tell is in the queue already")
    send = start(test, told=False)
    early = subprocess.Popen([str(w) for w in (BUILD / "bin/relay-ctl", "-d", send.directory, "bounce", "all")],
                             stdout=subprocess.PIPE, text=True)
    send.still(0.3)
    for n in range(count):
        send.message(f"u{n}@early.test", fd=False, wait=600, attempts=1, told=1)
    dsns = tell_dsns(send)
    send.told()
    send.pump(lambda: early.poll() is not None and len(dsns) == count)
    test.equal(early.communicate()[0], f"bounce: {count} recipients\n", "and what comes behind that is spared")
    send = start(test, retry="600")
    send.mx = lambda w: (w.outcomes("t", 450, "4.2.0", "text", "r"), w.end())
    for n in range(count):
        send.message(f"u{n}@many.test", fd=False)
    send.pump(lambda: len(send.results) == count, 30)
    send.results.clear()
    dsns = tell_dsns(send)
    done = send.ctl("bounce", "tenant:t1").stdout
    test.equal(done, f"bounce: {count} recipients\n", "bounce of a tenant leaves the notices alone that it causes")
    send.pump(lambda: len(dsns) == count)
    test.equal({s for d in dsns for s in [len(send.of(d))]}, {0}, "they are in the queue")


def check_settings(test):
    send = start(test)
    (send.directory / "control" / "lifetime").write_text("soon\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "control/lifetime:1" in send.log_text())
    test.check("the old settings stay" in send.log_text(), "HUP with a malformed file keeps the old settings")
    serial, _ = send.message("a@one.test")
    send.pump(lambda: send.of(serial))
    test.check(send.of(serial), "and delivers")
    (send.directory / "control" / "lifetime").unlink()
    (send.directory / "control" / "smtproutes").write_text("one.test:[127.0.0.5]:2600\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "settings read=1" in send.log_text())
    serial, _ = send.message("b@one.test")
    send.pump(lambda: send.of(serial))
    test.equal(send.of(serial)[0].host, "[127.0.0.5]", "HUP takes a new smtproute")
    (send.directory / "control" / "doublebounceto").write_text("nobody\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "control/doublebounceto:1" in send.log_text())
    test.check("stay: control/doublebounceto:1: not an address with a domain" in send.log_text(),
               "HUP refuses what relay-bounce would refuse")
    other = test.ends(Send(test.path("malformed"), {"retry": "1 x"}))
    test.equal(other.ended(), 100, "a malformed file at start is status 100")
    test.check("control/retry:1" in other.log_text(), "with file and line", other.log_text())


def hup(send):
    before = send.log_text().count("settings read=1")
    send.signal(signal.SIGHUP)
    send.pump(lambda: send.log_text().count("settings read=1") > before)


def check_outage(test):
    """HUP while DNS does not answer."""
    send = start(test)
    for name in ("kept", "moved"):
        serial, _ = send.message(f"a@{name}.test")
        send.pump(lambda s=serial: send.of(s))
    send.resolve = lambda name: None
    hup(send)
    serial, _ = send.message("b@kept.test")
    send.pump(lambda: send.of(serial))
    test.equal([r.verdict for r in send.of(serial)], ["d"], "a route that is known is used on while DNS is silent")
    test.equal(send.questions.count(("m", "kept.test")), 2, "and asked for again")
    (send.directory / "control" / "smtproutes").write_text("moved.test:[127.0.0.5]\nother.test:host.test\n")
    hup(send)
    serial, _ = send.message("b@moved.test")
    send.pump(lambda: send.of(serial))
    test.equal([r.host for r in send.of(serial)], ["[127.0.0.5]"], "what smtproutes has moved is forgotten")
    (send.directory / "control" / "smtproutes").write_text("kept.test:host.test\n")
    hup(send)
    send.resolve = lambda name: ("o", 300, "", [(0, name)], [(0, "127.0.0.7")])
    serial, _ = send.message("c@kept.test")
    send.pump(lambda: send.of(serial))
    test.equal([r.host for r in send.of(serial)], ["host.test[127.0.0.7]"],
               "an answer to the question from before does not count")


def check_flush(test, count=2500):
    """More waits at a domain than a turn takes."""
    send = start(test, concurrencysite="20", connectionmessages="10000")
    answer, send.resolve = send.resolve, lambda name: None
    for n in range(count):
        send.message(f"u{n}@big.test", fd=False)
    send.pump(lambda: send.questions)
    token_answer = answer("big.test")
    send.resolve = lambda name: token_answer
    row = json.loads(send.ctl("--json", "stat").stdout)[0]
    test.equal((row["ready"], row["waiting"]), (0, count), "all wait for DNS")
    hup_questions = len(send.questions)
    (send.directory / "control" / "smtproutes").write_text("big.test::2525\n")
    hup(send)
    send.pump(lambda: len(send.results) == count, 60)
    test.equal((len(send.results), len(send.questions) - hup_questions), (count, 1), "one answer moves them all")


def check_no_descriptor(test):
    send = start(test)
    limit = resource.prlimit(send.process.pid, resource.RLIMIT_NOFILE)
    used = {int(n) for n in os.listdir(f"/proc/{send.process.pid}/fd")}
    first_free = next(n for n in range(1000) if n not in used)
    resource.prlimit(send.process.pid, resource.RLIMIT_NOFILE, (first_free, limit[1]))
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(str(send.directory / "run" / "ctl"))
    send.still(2.5)
    said = send.log_text().count("unable to accept a connection of relay-ctl")
    test.check(1 <= said <= 4, "without a descriptor for relay-ctl it rests between its tries", said)
    resource.prlimit(send.process.pid, resource.RLIMIT_NOFILE, limit)
    client.close()
    test.equal(send.ctl("stat").returncode, 0, "and serves it when there is one")


def check_end(test):
    send = start(test, timeoutterm="5")
    jobs = []
    send.mx = jobs.append
    dotted, _ = send.message("a@one.test")
    before, _ = send.message("b@two.test")
    send.pump(lambda: len(jobs) == 2)
    by_serial = {1: jobs[0], 2: jobs[1]} if jobs[0].hosts[0][0] == "mx.one.test" else {1: jobs[1], 2: jobs[0]}
    by_serial[1].dot()
    send.still()
    send.signal(signal.SIGTERM)
    send.pump(lambda: by_serial[2].cancelled)
    test.check(by_serial[2].cancelled and not by_serial[1].cancelled, "TERM cancels what has not sent its dot")
    by_serial[2].end(keep=0)
    late, _ = send.message("c@three.test")
    send.still()
    test.check(send.process.poll() is None, "and waits for the dot")
    by_serial[1].outcomes()
    by_serial[1].end()
    test.equal(send.ended(), 0, "then it ends")
    send.pump(lambda: send.of(dotted))
    test.equal([(r.serial, r.verdict) for r in send.results], [(dotted, "d")], "the result is told, and no other")
    send = start(test)
    send.master.close()
    test.equal(send.ended(), 111, "without the master it ends with 111")
    send = start(test)
    send.queue.close()
    test.equal(send.ended(), 111, "without relay-queue too")


def check_memory(test, count=100000):
    send = start(test, told=False)
    empty = send.memory()
    sizes = 0
    for n in range(count):
        sender, rcpt = f"sender{n}@from.test", f"user{n}@to{n % 10}.test"
        sizes += len(sender) + len(rcpt)
        send.message(rcpt, sender=sender, tenant=f"t{n % 20}", fd=False, wait=3000 if n % 2 else 0)
    send.connect = lambda w: w.no_session()
    send.told()
    send.pump(lambda: send.log_text().count("kind=down") >= 10, 60)
    per = (send.memory() - empty - sizes) / count
    print(f"bytes a recipient beyond the addresses, {count} messages of one recipient: {per:.1f}", flush=True)
    test.check(per <= 200 or "asan" in str(send.process.args[0]), "at most 200 bytes a recipient", per)
    begin = time.monotonic()
    listed = send.ctl("--json", "list")
    test.equal(len(json.loads(listed.stdout)), count, "a list of all of them")
    print(f"listed in {time.monotonic() - begin:.1f} s", flush=True)
    # A few may be on a connection, on a probe of the MX that does not answer: they are left alone.
    done = send.ctl("drop", "all").stdout
    dropped, alone = [int(n) for n in (re.findall(r"\d+", done) + ["0"])[:2]]
    test.check(dropped + alone == count and alone <= 20, "all dropped but what is being tried", done)
    count = dropped
    send.pump(lambda: len(send.results) == count, 30)
    test.equal(len(send.results), count, "each result is told")


def main(test):
    for check in (check_delivery, check_deferral, check_lane, check_refused_while_others_work, check_connection_ends,
                  check_garbage, check_dns, check_expiry, check_notices, check_operator, check_settings, check_outage,
                  check_flush, check_no_descriptor, check_end, check_memory):
        check(test)


run(main)
