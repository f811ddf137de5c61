#!/usr/bin/python3
"""What waits is tried again: an MX that is down and comes back, 4xx, relay-ctl retry, svc -a,
lifetime. The notifications have a test of their own (notices.py)."""
# limit: 200
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver
from relaytest import BUILD, run, run_program, wait_for

CONTENT = b"From: a@b.test\r\nSubject: wait\r\n\r\nhello\r\n"
SENDER = "s@back.test"


def check_down(test, relay, receiver):
    receiver.stop()
    ident = relay.send(SENDER, "a@down.test", CONTENT)
    row = relay.wait_tried(ident)[0]
    for word in ("tenant", "sender", "recipient", "site", "last", "reason", "next_ms", "expires_ms"):
        test.check(word in row, f"relay-ctl why has {word}", str(row))
    test.check("refused" in (row["last"] + row["reason"]).lower(), "why says that the connection is refused", str(row))
    test.check(row["next_ms"] > time.time() * 1000, "why says when the next attempt is", str(row))
    text = relay.ctl("why", ident).stdout
    test.check("a@down.test" in text and "refused" in text.lower(), "why for people says the same", text)
    check_attempts(test, relay, ident, 0, "a connection that is not had")
    return ident


def check_attempts(test, relay, ident, wanted, what):
    """list, why and relay-queue -l count alike: the recipient's own attempts."""
    def counts():
        on_disk = run_program(BUILD / "bin/relay-queue", "-l", relay.directory / "queue").stdout
        found = re.search(rf"^{ident} .*\n(?:  <.*\n)*?  <.*attempts=(\d+)", on_disk, re.M)
        return [r["attempts"] for r in relay.why(ident) + relay.listed(ident)] + [int(found.group(1))]
    wait_for(lambda: counts() == [wanted] * 3, f"{what}: list, why and relay-queue -l have {wanted} attempts: {counts()}", 3)
    test.equal(counts(), [wanted] * 3, f"{what} counts {wanted} attempts in list, why and relay-queue -l")


def check_recovery(test, relay, receiver):
    """A second message finds the host up, and what waited goes at once, not after its back-off."""
    check_down(test, relay, receiver)
    receiver.start()
    relay.ctl("retry", "domain:down.test")
    receiver.wait(1)
    test.check(True, "relay-ctl retry domain:down.test delivers it")
    ident = check_down(test, relay, receiver)
    receiver.start()
    relay.ctl("retry", f"id:{ident}")
    receiver.wait(2)
    test.check(True, "relay-ctl retry id: delivers it")
    check_down(test, relay, receiver)
    receiver.start()
    relay.svc("-a")
    receiver.wait(3)
    test.check(True, "svc -a (ALRM) delivers it")
    receiver.stop()
    idents = [relay.send(SENDER, f"p{n}@down.test", CONTENT) for n in range(5)]
    for ident in idents:
        relay.wait_tried(ident)
    receiver.start()
    receiver.wait(8, 25)
    test.check(True, "the probe finds the host up and all that waited goes, 10 minutes before its time")
    relay.wait_empty()


def check_deferred(test, relay, receiver):
    answers = {"a@later.test": ["451 4.3.0 not now", "450 4.2.0 greylisted"], "b@later.test": ["452 4.2.2 mailbox full"]}
    receiver.rcpt = lambda rcpt: answers[rcpt].pop(0) if answers.get(rcpt) else None
    receiver.messages.clear()
    ident = relay.send(SENDER, ["a@later.test", "b@later.test", "c@later.test"], CONTENT)
    receiver.wait(1)
    test.equal(receiver.messages[0].rcpt_tos, ["c@later.test"], "who is accepted gets it at once")
    wait_for(lambda: len(relay.why(ident)) == 2 and all(r["state"] == "waiting" for r in relay.why(ident)),
             "two recipients wait")
    # What was said is known to relay-ctl when it is durable, 200 ms later.
    wait_for(lambda: all(r["last"] for r in relay.why(ident)), "why has the MX's reply")
    last = {r["recipient"]: r["last"] for r in relay.why(ident)}
    test.check("451 4.3.0 not now" in last["a@later.test"], "why has the MX's reply", last)
    test.check("452 4.2.2 mailbox full" in last["b@later.test"], "each recipient's own", last)
    relay.ctl("retry", f"id:{ident}")
    wait_for(lambda: [r["recipient"] for r in relay.why(ident)] == ["a@later.test"]
             and "greylisted" in relay.why(ident)[0]["last"], "one is left, with its new reply")
    relay.ctl("retry", f"id:{ident}")
    relay.wait_empty()
    test.equal(sorted(r for m in receiver.messages for r in m.rcpt_tos),
               ["a@later.test", "b@later.test", "c@later.test"], "after the retries each has it once")
    receiver.rcpt = None


def check_schedule(test, relay, receiver):
    """control/retry is followed without anybody asking, and read again at HUP."""
    relay.control("retry", [1, 1, 2])
    relay.svc("-h")
    time.sleep(0.5)
    tries = []
    def rcpt(_address):
        tries.append(time.monotonic())
        return "450 4.2.0 later" if len(tries) < 4 else None
    receiver.rcpt = rcpt
    receiver.messages.clear()
    relay.send(SENDER, "x@later.test", CONTENT)
    receiver.wait(1, 30)
    test.equal(len(tries), 4, "three deferred attempts by control/retry, then delivered")
    receiver.rcpt = None
    relay.wait_empty()


def check_restart(test, relay, receiver):
    """What waits survives a restart, with its back-off and its last reply."""
    relay.control("retry", 600)
    relay.svc("-h")
    time.sleep(0.5)
    receiver.rcpt = "451 4.7.1 come again"
    ident = relay.send(SENDER, "y@later.test", CONTENT)
    before = relay.wait_tried(ident)[0]
    check_attempts(test, relay, ident, 1, "a reply to RCPT")
    relay.sandbox("restart")
    relay.wait_ready()
    found = relay.why(ident)
    if not test.check(found, "as soon as relay-ctl answers after a restart, it knows the whole queue"):
        found = wait_for(lambda: relay.why(ident), "the queue has been read again")
    after = found[0]
    test.check("come again" in after["last"], "the last reply is still known after a restart", str(after))
    test.check(abs(after["next_ms"] - before["next_ms"]) < 5000, "and the next attempt's time",
               f"{before} {after}")
    receiver.rcpt = None
    receiver.messages.clear()
    relay.ctl("retry", "all")
    receiver.wait(1)
    test.check(True, "relay-ctl retry all delivers it")
    relay.wait_empty()


def main(test):
    port, other = test.port(), test.port()
    receiver = test.ends(Receiver("127.0.0.1", port))
    later = test.ends(Receiver("127.0.0.1", other))
    relay = test.relay(routes=[f"down.test:127.0.0.1:{port}", f":127.0.0.1:{other}"],
                       control={"retry": 600, "probefirst": 2, "probemax": 4, "timeoutconnect": 3})
    check_recovery(test, relay, receiver)
    check_deferred(test, relay, later)
    check_schedule(test, relay, later)
    check_restart(test, relay, later)


run(main)
