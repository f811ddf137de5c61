#!/usr/bin/python3
"""relay-send and control/tlspolicy: what it demands of workers, which connections and TLS sessions
serve which mail, what a domain's failure costs others, HUP."""
# limit: 120
import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import BUILD, run, run_program
from send_process import Send

PIN = "00112233445566778899aabbccddeeff" * 2
counter = 0


def start(test, policy=None, mx="mx.shared.test", **control):
    global counter
    counter += 1
    directory = test.path(f"send{counter}")
    (directory / "control").mkdir()
    if policy:
        (directory / "control/tlspolicy").write_text("\n".join(policy) + "\n")
    send = test.ends(Send(directory, {"retry": "60", "probefirst": "1", "probemax": "2", **control}))
    send.resolve = lambda name: ("o", 300, "", [(10, mx)], [(0, "127.0.0.1")])
    send.told()
    send.pump(lambda: "queue messages" in send.log_text())
    send.seen = []
    send.connect = lambda w: (send.seen.append(w.demands), w.greet())
    return send


def deliver(send, *rcpts):
    """One message; how many connections were made for it."""
    before = send.asked
    serial, _ = send.message(list(rcpts))
    assert send.pump(lambda: len(send.of(serial)) == len(rcpts)), send.log_text()
    return send.asked - before


def idle_end(send):
    send.pump(lambda: not send.turn(0.05) and all(w.sock.fileno() == -1 for w in send.workers), 5)


def check_demands(test):
    send = start(test, ["plain.test:none", "enc.test:encrypt", ".sub.test:verify:mx:domain:.x.test",
                        f"pin.test:fingerprint:{PIN}", "mx.shared.test:verify"])
    wanted = {"plain.test": ("n", ""), "enc.test": ("e", ""), "a.sub.test": ("v", "mx.shared.test a.sub.test .x.test"),
              "pin.test": ("f", ""), "else.test": ("v", "mx.shared.test")}
    for domain, (kind, names) in wanted.items():
        test.equal(deliver(send, f"u@{domain}"), 1, f"{domain} gets a connection of its own")
        demand = send.seen[-1][0]
        test.equal((demand["kind"], demand["names"], demand["sni"]), (kind, names, "mx.shared.test"),
                   f"what is demanded for {domain}")
    pins = next(d[0]["pins"] for d in send.seen if d[0]["kind"] == "f")
    test.equal(pins.encode(errors="surrogateescape").hex(), PIN, "the fingerprint as bytes")
    test.equal(deliver(send, "v@enc.test"), 0, "the next mail for one of them takes the idle connection")


def check_sharing(test):
    send = start(test, ["a.test:encrypt", "b.test:encrypt", "c.test:verify"], timeoutidle="1")
    for domain in "abcxy":
        deliver(send, f"u@{domain}.test")  # so that all are resolved, and ready at the same moment
    idle_end(send)
    test.equal(deliver(send, "u@a.test", "u@b.test"), 1, "equal demands share a connection and a transaction")
    test.equal(deliver(send, "u@x.test", "u@c.test", "u@y.test"), 2, "a message to three domains under two policies")
    kinds = sorted(d[0]["kind"] for d in send.seen[-2:])
    test.equal(kinds, ["m", "v"], "goes over two connections")
    test.equal(deliver(send, "u@c.test", "u@x.test", "u@b.test"), 0, "and again over the three that are kept")


def check_second_host(test):
    """A message to two domains opens one connection only if both demand the same of every host."""
    records = b"\x03\x01\x01" + bytes(32)
    for status, count in (("n", 1), ("r", 2)):
        send = start(test, ["b.test:dane"], timeoutidle="1")
        send.resolve = lambda name, s=status: (
            "o", 300, "", [(10, "mx1.test", "n", "", ""), (20, "mx2.test", s, "mx2.test" if s == "r" else "",
                                                          records if s == "r" else "")],
            [(0, "127.0.0.1"), (1, "127.0.0.2")])
        for domain in "ab":
            deliver(send, f"u@{domain}.test")
        idle_end(send)
        test.equal(deliver(send, "u@a.test", "u@b.test"), count,
                   f"connections where the backup MX has {'' if status == 'r' else 'no '}TLSA records for one domain")


def check_memory(test):
    send = start(test, ["e.test:encrypt", "v.test:verify"], timeoutidle="1")
    replies = []

    def connect(w):
        send.seen.append(w.demands)
        w.tls = replies.pop(0) if replies else ("TLSv1.2,X,Y resumed=0 verify=none", "", "")
        w.greet()

    def again(domain):
        idle_end(send)
        test.equal(deliver(send, f"u@{domain}"), 1, f"a new connection for {domain}")
        return send.seen[-1][0]

    send.connect = connect
    replies.append(("none", "received alert \"protocol version\"", ""))
    test.equal(again("may.test")["reason"], "", "TLS is tried")
    test.equal(again("other.test")["reason"], "received alert \"protocol version\"",
               "a host whose TLS is broken is remembered, for every domain")
    test.equal(again("e.test")["reason"], "", "not where TLS is demanded")
    replies.append(("TLSv1.2,X,Y resumed=0 verify=ca", "", "session one"))
    test.equal(again("v.test")["session"], "", "the first connection has no session")
    test.equal(again("v.test")["session"], "session one", "the next one has")
    test.equal((again("e.test")["session"], again("may.test")["session"]), ("", ""),
               "no other policy gets it: a resumed session is not verified again")
    test.check("tls=TLSv1.2,X,Y resumed=0 verify=ca" in send.log_text(), "the connect line tells of TLS")


def check_failure(test):
    send = start(test, ["strict.test:verify"], windowinitial="2")
    words = "control/tlspolicy demands TLS (verify): its certificate is for nobody"

    def connect(w):
        send.seen.append(w.demands)
        if w.demands[0]["kind"] == "v":
            w.say("N", 0, "tt", 0, "4.7.5", "mx.shared.test[127.0.0.1]", words)
            w.close()
        else:
            w.greet()

    send.connect = connect
    bad, ident = send.message("u@strict.test")
    others = [send.message(f"u{n}@strict.test")[0] for n in range(30)]
    send.pump(lambda: "kind=tls" in send.log_text())
    send.still(0.3)
    test.check(send.asked <= 4, "a domain whose MX fails its policy waits as a whole", send.asked)
    good, _ = send.message("u@easy.test")
    send.pump(lambda: send.of(good), 0.8)
    test.equal([r.verdict for r in send.of(good)], ["d"], "the site goes on serving other domains")
    test.equal((send.of(bad), "kind=down" in send.log_text()), ([], False), "no attempt is spent, and no site is down")
    row = json.loads(send.ctl("--json", "why", ident).stdout)[0]
    test.equal((row["state"], row["last"]), ("waiting", words), "why has the worker's words")
    test.check("no MX of strict.test does what control/tlspolicy demands" in row["reason"], "and says what is wrong",
               row["reason"])
    send.connect = lambda w: w.greet()
    send.pump(lambda: all(send.of(s) for s in [bad, *others]), 8)
    test.equal([r.verdict for s in [bad, *others] for r in send.of(s)], ["d"] * 31, "when it is mended all of it goes")


def check_expiry(test):
    send = start(test, [":encrypt"], lifetime="2")
    send.connect = lambda w: (w.say("N", 0, "tt", 0, "4.7.4", "mx[127.0.0.1]", "no STARTTLS"), w.close())
    serial, _ = send.message("u@old.test")
    send.pump(lambda: send.of(serial), 10)
    last = send.of(serial)[-1:]
    test.check(last and last[0].verdict == "f" and "no STARTTLS" in last[0].reply, "it expires with that reason", last)


def check_hup(test):
    send = start(test, ["a.test:encrypt"])
    path = send.directory / "control/tlspolicy"
    deliver(send, "u@a.test")
    path.write_text("a.test:verify\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "settings read=1" in send.log_text())
    test.equal((deliver(send, "u@a.test"), send.seen[-1][0]["kind"]), (1, "v"),
               "after HUP the new policy holds, and the old connection does not")
    path.write_text("a.test:verify\nb.test:secure\n")
    send.signal(signal.SIGHUP)
    send.pump(lambda: "the old settings stay" in send.log_text())
    test.check("control/tlspolicy:2: not none, may, encrypt, verify, fingerprint or dane after the name: b.test:secure"
               in send.log_text(), "a malformed line is named")
    test.equal((deliver(send, "v@a.test"), send.seen[-1][0]["kind"]), (0, "v"), "and the old policy stays")
    path.write_text("a.test:dane\n")
    before = len(send.questions)
    send.signal(signal.SIGHUP)
    send.pump(lambda: send.log_text().count("settings read=1") == 2)
    send.resolve = lambda name: ("o", 300, "", [(10, "mx.shared.test", "r", "mx.shared.test",
                                                 b"\x03\x01\x01" + bytes(32))], [(0, "127.0.0.1")])
    deliver(send, "w@a.test")
    test.equal(send.questions[before:], [("M", "a.test")], "with dane it is asked again, with TLSA records")
    test.equal(send.seen[-1][0]["kind"], "d", "and they are demanded")


def check_dane(test):
    send = start(test, [":dane"])
    records = b"\x03\x01\x01" + bytes(range(100, 132))
    for status, kind, reason in (("n", "m", ""), ("i", "m", ""), ("u", "e", ""), ("t", "x", "could not be looked up"),
                                 ("l", "x", "control/resolver"), ("r", "d", "")):
        send.resolve = lambda name, s=status: (
            "o", 300, "", [(10, f"mx{s}.test", s, "base.test" if s == "r" else "", records if s == "r" else "")],
            [(0, "127.0.0.1")])
        seen = len(send.seen)
        send.connect = lambda w: (send.seen.append(w.demands),
                                  w.greet() if w.demands[0]["kind"] != "x" else w.say(
                                      "N", 0, "tt", 0, "4.7.5", "mx", w.demands[0]["reason"]))
        send.message(f"u@d{status}.test")
        send.pump(lambda: len(send.seen) > seen)
        demand = send.seen[-1][0]
        test.equal(demand["kind"], kind, f"TLSA status {status}")
        test.check(reason in demand["reason"], f"its reason has {reason!r}", demand["reason"])
    test.equal((demand["sni"], demand["names"], demand["pins"].encode(errors="surrogateescape")),
               ("base.test", "base.test dr.test", records), "records, base domain and names of a DANE host")


def check_start(test):
    directory = test.path("malformed")
    (directory / "control").mkdir()
    (directory / "control/tlspolicy").write_text("# policies\n\na.test:fingerprint:zz\n")
    done = run_program(BUILD / "bin/relay-send", "-d", directory, check=False)
    test.equal(done.returncode, 100, "a malformed file refuses to start")
    test.check("control/tlspolicy:3: not SHA-256 fingerprints" in done.stderr, "and names the line", done.stderr)


def main(test):
    for check in (check_demands, check_sharing, check_second_host, check_memory, check_failure, check_expiry, check_hup, check_dane,
                  check_start):
        check(test)


run(main)
