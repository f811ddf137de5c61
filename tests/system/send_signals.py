#!/usr/bin/python3
"""What relay-send learns of a site: a ceiling, a rate, a bad reputation, slowness; with stand-ins for
relay-queue, relay-remote and the resolver."""
# limit: 120
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import BUILD, run, run_program
from send_process import Send

counter = 0
FAST = {"retry": "1", "probefirst": "1", "probemax": "2", "windowinitial": "4", "concurrencysite": "20"}


def start(test, **control):
    global counter
    counter += 1
    send = test.ends(Send(test.path(f"send{counter}"), {**FAST, **control}))
    send.told()
    send.pump(lambda: "queue messages" in send.log_text())
    return send


def rows(send, kind):
    return [r for r in json.loads(send.ctl("--json", "stat").stdout) if r["row"] == kind]


def site(send):
    return rows(send, "site")[0]


def why(send, ident):
    return json.loads(send.ctl("--json", "why", ident).stdout)[0]


def said(send, text):
    """Has it logged that? The log comes after the results of the same turn."""
    return send.pump(lambda: text in send.log_text(), 5)


def refuse(worker, code, status, text, stage=".", verdict="t", keep=1):
    worker.outcomes(verdict, code, status, f"{code} {status} {text}", stage)
    worker.end(keep=keep)


def limited(send, limit, text="421 4.7.0 mx Error: too many connections from 127.0.0.1"):
    """An MX that gives so many connections; returns what counts the refused ones."""
    refused = []

    def connect(w):
        if sum(1 for x in send.workers if x.host and x.sock.fileno() != -1) < limit:
            w.greet()
        else:
            refused.append(w)
            w.no_session(text, 421, "b")
    send.connect = connect
    return refused


def check_ceiling(test, count=800):
    send = start(test, connectionmessages="50")
    refused = limited(send, 10)
    most = 0
    for n in range(count):
        send.message(f"u{n}@limit.test", tenant=f"t{n % 3}")
    busy = []

    def mx(w):
        busy.append(w)
    send.mx = mx

    def turn():
        nonlocal most
        most = max(most, len(busy))
        for w in busy[:]:
            busy.remove(w)
            w.deliver()
        return len(send.results) == count
    send.pump(turn, 60)
    test.equal({(r.verdict, r.attempts) for r in send.results}, {("d", 1)}, "a refused connection costs its recipients nothing")
    test.equal(len(send.results), count, "all are delivered")
    test.check(1 <= len(refused) <= 5, "a fixed limit is met few times", len(refused))
    row = site(send)
    test.check(row["ceiling"] == 10 and row["window"] in (9, 10), "it is learnt, and the window stays below what is refused", row)
    test.check(row["kind"] == "ceiling" and "too many connections" in row["trouble"], "stat says from what", row)
    test.check(said(send, "kind=ceiling ceiling=10 window=10"), "so does the log")
    send.mx = busy.append
    idents = [send.message(f"v{n}@limit.test")[1] for n in range(20)]
    send.pump(lambda: len(busy) == row["window"])
    send.still()
    reasons = [why(send, i)["reason"] for i in idents]
    test.check("takes 10 connections from us (learnt from" in reasons[-1] and "too many connections" in reasons[-1] and
               "before it" in reasons[-1], "why names the signal", reasons[-1])
    table = send.ctl("stat", "--wide").stdout
    head = next(line for line in table.splitlines() if line.startswith("SITE"))
    line = next(line for line in table.splitlines() if line.startswith("mx.limit.test"))
    at = head.index("CEILING")
    test.equal(line[at:at + len("CEILING")].strip(), "10", "the columns stand under their heads")


def check_raise(test):
    send = start(test, ceilingfirst="1", ceilingmax="2")
    refused = limited(send, 6)
    send.mx = lambda w: w.deliver()
    n = 0

    def more():
        nonlocal n
        if len(send.results) + 40 > n:
            for _ in range(40):
                send.message(f"u{n}@grow.test")
                n += 1
    send.pump(lambda: more() or "kind=ceiling" in send.log_text(), 20)
    test.check(said(send, "ceiling=6 window=6"), "the ceiling is learnt")
    limited(send, 12)
    send.pump(lambda: more() or "kind=raised" in send.log_text(), 30)
    test.check(said(send, "kind=raised ceiling=7"), "one above it is tried after ceilingfirst, and kept when it is given")
    test.check(len(refused) <= 8, "few were refused", len(refused))




def check_ceiling_and_leaving(test):
    send = start(test)
    asked, leaving, busy, n = [], [], [], 0

    def connect(w):
        if sum(1 for x in send.workers if x.host) < 6:
            w.greet()
        else:
            asked.append(w)

    def more():
        """All that are connected have a job, then all of them are done: so the window grows."""
        nonlocal n
        if len(busy) >= sum(1 for w in send.workers if w.host and not w.quit):
            for w in busy[:]:
                busy.remove(w)
                w.deliver()
        while len(send.results) + 40 > n:
            send.message(f"u{n}@leave.test")
            n += 1
    send.connect, send.quit = connect, leaving.append
    send.mx = lambda w: busy.append(w) if w.host else None
    test.check(send.pump(lambda: more() or len(asked) >= 2, 20), "two more than the MX's six are asked for", len(asked))
    asked[0].no_session("421 4.7.0 mx Error: too many connections from 127.0.0.1", 421, "b")
    test.check(send.pump(lambda: more() or "ceiling=6 window=6" in send.log_text()), "the ceiling is learnt")
    test.check(send.pump(lambda: more() or leaving), "one too many is told to quit, and the MX counts it no more")
    asked[1].greet()
    asked[1].deliver()
    test.check(send.pump(lambda: more() or "open=7" in send.log_text()), "its place is given to another")
    test.check("kind=raised" not in send.log_text() and site(send)["ceiling"] == 6,
               "another in its place is no sign of a seventh", site(send))


def check_ceiling_in_session(test):
    send = start(test)
    answers = []

    def mx(w):
        if sum(1 for x in send.workers if x.host and x.sock.fileno() != -1) > 3:
            answers.append(w)
            refuse(w, 451, "4.7.652", "The mail server [127.0.0.1] has exceeded the maximum number of connections. (S3115)", "m")
        else:
            w.deliver()
    send.mx = mx
    for n in range(100):
        send.message(f"u{n}@many.test")
    send.pump(lambda: len(send.results) == 100)
    test.equal({(r.verdict, r.attempts) for r in send.results}, {("d", 1)}, "451 4.7.652 at MAIL costs no attempt either")
    test.check(len(answers) <= 5 and said(send, "kind=ceiling") and site(send)["window"] <= 3, "and teaches a ceiling",
               (len(answers), site(send)))
    send = start(test)
    send.mx = lambda w: refuse(w, 451, "4.7.652", "The mail server [127.0.0.1] has exceeded the maximum number of connections.", "m")
    send.message("a@one.test")
    send.pump(lambda: "kind=ceiling" in send.log_text())
    send.still(0.5)
    test.check(send.log_text().count("kind=ceiling") <= 2, "to the only connection: a pause, not a race")
    send.mx = lambda w: w.deliver()
    send.pump(lambda: send.results)
    test.equal([(r.verdict, r.attempts) for r in send.results], [("d", 1)], "then it goes")


def check_rate(test):
    send = start(test, probefirst="2", probemax="4")
    taken, refused = [], []
    limit = 10

    def mx(w):
        if len(taken) < limit:
            taken.append(w)
            w.deliver()
        else:
            refused.append(w)
            refuse(w, 450, "4.7.1", "Error: too much mail from 127.0.0.1", "m")
    send.mx = mx
    idents = [send.message(f"u{n}@rate.test")[1] for n in range(30)]
    send.pump(lambda: refused)
    send.still(0.5)
    test.check(len(refused) <= 8, "after the first complaints nothing starts", len(refused))
    test.equal(len(send.results), 10, "the refused recipients are put back, not deferred")
    row = site(send)
    test.check(5 <= row["rate"] <= 9 and row["kind"] == "rate" and row["signal"] == "rate", "the rate is below what went in the last minute", row)
    test.check(row["retry_ms"] > 0, "and stat says when it goes on", row)
    reason = why(send, idents[-1])["reason"]
    test.check(reason.startswith("rate: ") and "too much mail" in reason, "why names it", reason)
    limit = 1000
    before = len(send.results)
    send.pump(lambda: len(send.results) > before, 10)
    test.check(len(send.results) > before, "then it goes on")
    send.still(2)
    test.check(len(send.results) - before <= 3, "at that rate, without a burst", len(send.results) - before)
    send.signal(signal.SIGALRM)
    test.check(all(r.verdict == "d" and r.attempts == 1 for r in send.results), "no attempt was spent on it")


def check_delay_notice(test):
    """What waits only for a rate, or for its turn, is a delay to be told of as any other."""
    send = start(test, probefirst="300", probemax="300", delaywarn="2", concurrencysite="4")
    taken = []

    def mx(w):
        taken.append(w)
        if len(taken) == 1:
            w.deliver()
        else:
            refuse(w, 450, "4.7.1", "Error: too much mail from 127.0.0.1", "m")
    send.mx = mx
    send.message("a@rate.test")
    send.pump(lambda: send.results)
    send.message("b@rate.test")
    said(send, "kind=rate")
    late, _ = send.message(["c@rate.test", "d@rate.test"])
    silent = [send.message("e@rate.test", notify=n)[0] for n in (1, 2)] + [send.message("f@rate.test", sender="")[0]]
    wanted, _ = send.message("g@rate.test", notify=8)
    send.mx = lambda w: None  # its connection is busy for ever
    turn = [send.message(f"u{n}@busy.test")[0] for n in range(8)]
    through, _ = send.message("v@busy.test", through=1 << 30 | 60)  # ENVELOPE_THROUGH_ONLY
    send.pump(lambda: len([n for n in send.notices if n[1] == "d"]) >= 7, 8)
    send.still(0.5)
    told = {n[0]: n for n in send.notices}
    test.equal((told.get(late), told.get(wanted)), ((late, "d", [0, 1]), (wanted, "d", [0])),
               "a delay for a rate is told, once for the message's recipients")
    test.check(not set(silent) & set(told), "not with NOTIFY=NEVER or SUCCESS, nor to <>", told)
    outcome = send.of(late)[0]
    test.equal((outcome.verdict, outcome.status, outcome.attempts), ("t", "4.4.5", 0), "its status is that of congestion")
    test.check("takes 1 messages a minute" in outcome.reply and "too much mail" in outcome.reply, "with the site's words",
               outcome.reply)
    waiting = [s for s in turn if s in told]
    test.check(len(waiting) == 4 and send.of(waiting[0])[0].reply == "it waits for its turn at mx.busy.test",
               "as is one for all connections being busy", (waiting, [send.of(s) for s in waiting]))
    test.equal(len(send.notices), len(told), "each once")
    test.equal(send.of(through), [], "to a client that waits for its turn itself nothing is said before its time")


def check_reputation(test):
    text = "[192.0.2.1] Our system has detected that this message is suspicious due to the very low reputation of the sending IP address."
    send = start(test, pausefirst="3", pausemax="3")
    tried = []

    def bad(w):
        tried.append(w)
        refuse(w, 550, "5.7.1", text, verdict="f")
    send.mx = bad
    first, _ = send.message("a@rep.test")
    send.pump(lambda: send.of(first))
    test.equal(send.of(first)[0].verdict, "f", "a 5xx about our reputation stays what it is")
    test.check(said(send, "kind=reputation pause="), "and pauses the site")
    waiting = [send.message(f"u{n}@rep.test")[1] for n in range(20)]
    other, _ = send.message("a@elsewhere.test")
    send.mx = lambda w: w.deliver() if w.hosts[0][0] == "mx.elsewhere.test" else bad(w)
    send.pump(lambda: send.of(other))
    test.equal(send.of(other)[0].verdict, "d", "other sites go on")
    send.still(0.5)
    test.equal(len(tried), 1, "nothing of the site's other mail is tried")
    row = next(r for r in rows(send, "site") if r["site"] == "mx.rep.test")
    test.equal((row["signal"], row["kind"]), ("paused", "reputation"), "stat says paused")
    what = why(send, waiting[0])
    test.check("paused for" in what["reason"] and "very low reputation" in what["reason"], "why says until when and why", what)
    test.equal(what["state"], "waiting", "it waits")
    send.pump(lambda: len(tried) > 1, 8)
    send.still(0.5)
    test.equal(len(tried), 2, "after the pause one is tried")
    send.mx = lambda w: w.deliver()
    send.ctl("retry", "all")
    send.pump(lambda: len([r for r in send.results if r.verdict == "d"]) == 20, 10)
    test.equal(len([r for r in send.results if r.verdict == "d"]), 20, "one delivery ends it; retry ends the pause at once")
    test.check(said(send, "kind=heard"), "the log says so")


def check_blocked(test):
    send = start(test, pausefirst="3", retry="3")
    send.mx = lambda w: refuse(w, 554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "r", "f")
    serial, _ = send.message("a@block.test")
    send.pump(lambda: send.of(serial))
    test.equal([(r.verdict, r.status) for r in send.of(serial)], [("t", "4.7.1")], "a 5xx about a blocked address is a deferral")
    test.check(said(send, "kind=blocked"), "and pauses the site")

    send = start(test)
    seen = []

    def mixed(w):
        seen.append(w)
        if w.id == culprit:
            refuse(w, 550, "5.7.1", "very low reputation", verdict="f")
        else:
            w.deliver()
    send.mx = mixed
    culprit = None
    for n in range(5):
        send.message(f"u{n}@mixed.test")
    send.pump(lambda: len(send.results) == 5)
    send.pause(True)
    serial, culprit = send.message("bad@mixed.test", tenant="spam")
    send.pause(False)
    send.pump(lambda: send.of(serial))
    good, _ = send.message("good@mixed.test")
    send.pump(lambda: send.of(good))
    test.equal(send.of(good)[0].verdict, "d", "one message's reply does not pause a site that takes others")

    send = start(test)
    send.mx = lambda w: refuse(w, 421, "4.7.0", "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", "m", keep=0)
    serial, _ = send.message("a@yahoo.test")
    send.pump(lambda: "kind=reputation" in send.log_text())
    test.check("kind=down" not in send.log_text(), "Yahoo's 421 is about our reputation, not a site that is down")


def check_slow(test):
    send = start(test)
    pace = {"ms": 100}
    busy = []

    def mx(w):
        w.say("D", w.token)
        w.outcomes()
        token, w.token = w.token, None
        w.say("E", token, 1, 1, 0, 20, pace["ms"], 50, 100)
    send.mx = mx
    for n in range(200):
        send.message(f"u{n}@slow.test")
    send.pump(lambda: len(send.results) == 200)
    full = site(send)["window"]
    test.check(full >= 5 and site(send)["typical_ms"] >= 1, "a quick site's window grows", full)
    pace["ms"] = 20000
    for n in range(60):
        send.message(f"v{n}@slow.test")
    send.pump(lambda: len(send.results) == 260)
    row = site(send)
    test.check(row["window"] < full / 2, "answers of 20 s instead of 0.1 shrink it", (full, row["window"]))
    test.check(row["kind"] == "slow" and "RCPT took 20.0 s, usually 0.1 s" in row["trouble"], "stat says from what", row)
    held = []
    send.mx = held.append
    idents = [send.message(f"w{n}@slow.test")[1] for n in range(row["window"] + 3)]
    send.pump(lambda: len(held) == row["window"])
    reasons = [why(send, i)["reason"] for i in idents]
    test.check(any(r.startswith("slow: ") and "usually 0.1 s" in r for r in reasons), "why names it", reasons)
    send.mx = mx
    pace["ms"] = 100
    for w in held:
        mx(w)
    for n in range(300):
        send.message(f"x{n}@slow.test")
    send.pump(lambda: len(send.results) == 263 + row["window"] + 300, 20)
    test.check(site(send)["window"] > row["window"], "it grows again when they are quick again", site(send))
    test.check(said(send, "kind=quick"), "and the log says so")


def check_print(test):
    """relay-send --replies: what counts, as a file that says the same."""
    control = test.path("replies") / "control"
    control.mkdir()
    (control.parent / "run").mkdir()
    program = (BUILD / "bin/relay-send", "-d", control.parent, "--replies")

    def lines():
        return [line for line in run_program(*program).stdout.splitlines() if not line.startswith("#")]
    built_in = lines()
    test.check(len(built_in) > 100 and "rate       *  *  4?? *throttl*" in built_in, "the table is printed", built_in[:3])
    own = ["rate mail,rcpt mx.example.com 4?? *policy*", "none * * 5?? *spamcop*"]
    (control / "replies").write_text("# ours\n\n" + "\n".join(own) + "\n")
    test.equal(lines(), own + built_in, "the operator's lines come first")
    (control / "replies").write_text(run_program(*program).stdout)
    test.equal(lines(), own + built_in, "what is printed says the same as a file")
    (control / "replies").write_text("rate *\n")
    done = run_program(*program, check=False)
    test.equal((done.returncode, done.stdout), (100, ""), "a malformed file is status 100")
    test.check("control/replies:1: not KIND WHERE SITE PATTERN" in done.stderr, "with its line", done.stderr)


def check_table(test):
    send = start(test)
    path = send.directory / "control" / "replies"
    path.write_text("# ours first\nrate  mail  *  4?? *postcard*\nnone * * *very low reputation*\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "settings read=1" in send.log_text())
    replies = ["450 4.3.0 a postcard a day", None, "450 4.7.0 very low reputation", None]

    def mx(w):
        text = replies.pop(0) if replies else None
        if text:
            refuse(w, int(text[:3]), text[4:9], text[10:], "m" if "postcard" in text else ".")
        else:
            w.deliver()
    send.mx = mx
    for n, verdicts in enumerate((["d"], ["t", "d"])):
        serial, _ = send.message(f"u{n}@table.test")
        send.pump(lambda s=serial, v=verdicts: len(send.of(s)) >= len(v))
        test.equal([r.verdict for r in send.of(serial)], verdicts, "a line decides: put back, or deferred")
    test.check(said(send, "kind=rate"), "HUP reads control/replies")
    test.check("kind=reputation" not in send.log_text(), "the operator's lines come before the built-in ones")
    path.write_text("rate mail * 4?? *x*\nquick mail * 4?? *x*\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "control/replies:2" in send.log_text())
    test.check(said(send, "control/replies:2: the kind is not one of"), "a malformed line is named")
    other = test.ends(Send(test.path("malformed"), {"replies": "rate mail *"}))
    test.equal(other.ended(), 100, "and refused at start")
    test.check("control/replies:1: not KIND WHERE SITE PATTERN" in other.log_text(), "with file and line", other.log_text())


def check_cancelled(test):
    send = start(test)
    send.mx = lambda w: (w.outcomes("t", 0, "4.3.2", "cancelled while sending MAIL", "m"), w.end(keep=0))
    for n in range(8):
        send.message(f"u{n}@cancel.test")
    send.pump(lambda: len(send.results) >= 4)
    test.check(site(send)["window"] >= 4 and "trouble" not in send.log_text(), "what we have cancelled says nothing of the site",
               site(send))


def main(test):
    for check in (check_ceiling, check_raise, check_ceiling_and_leaving, check_ceiling_in_session, check_rate, check_delay_notice, check_reputation,
                  check_blocked, check_slow, check_table, check_print, check_cancelled):
        begin = time.monotonic()
        check(test)
        print(f"{check.__name__}: {time.monotonic() - begin:.1f} s", flush=True)


run(main)
