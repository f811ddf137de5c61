#!/usr/bin/python3 -B
# limit: 300
"""Through: what the client is told, and what is queued, for each thing that an MX can do at each
step, under RELAYTHROUGH=SECONDS and RELAYTHROUGH=only.

Invariants: a 250 means delivered or durable; a 5xx leaves no copy; under only nothing is ever
written to queue/.
"""
import re
import smtplib
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import relaytest
from badmx import CLOSE, HANG, BadMX
from peers import Receiver
from relaytest import Client, wait_for

SECONDS, ONLY_SECONDS = 3, 2
TEXT = "Subject: through\r\n\r\nbody\r\n"


def after(seconds, reply):
    def answer(conn):
        time.sleep(seconds)
        conn.sendall(reply)
    return answer


# name: script of the MX, class of the reply under SECONDS ("queued": 250 after a commit), under only
BEHAVIOURS = {
    "good": ({"ehlo": b"250-good.example\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250 DSN\r\n"}, "said 250 2.0.0", "said 250 2.0.0"),
    "text": ({"dot": b"250 2.6.0 <x@y> Queued for\x07 delivery\r\n"}, "said 250 2.6.0", "said 250 2.6.0"),
    "multi": ({"dot": b"250-2.0.0 one\r\n250 2.0.0 two\r\n"}, "said 250 2.0.0", "said 250 2.0.0"),
    "rcpt4": ({"rcpt": b"450 4.2.0 greylisted\r\n"}, "queued", "said 450 4.2.0"),
    "rcpt5": ({"rcpt": b"550 5.1.1 no such user\r\n"}, "said 550 5.1.1", "said 550 5.1.1"),
    "mail4": ({"mail": b"451 4.7.1 later\r\n"}, "queued", "said 451 4.7.1"),
    "mail5": ({"mail": b"550 5.7.1 not you\r\n"}, "said 550 5.7.1", "said 550 5.7.1"),
    "data4": ({"data": b"451 4.3.0 no\r\n"}, "queued", "said 451 4.3.0"),
    "data5": ({"data": b"554 5.6.0 no\r\n"}, "said 554 5.6.0", "said 554 5.6.0"),
    "dot4": ({"dot": b"452 4.3.1 full\r\n"}, "queued", "said 452 4.3.1"),
    "dot5": ({"dot": b"554 5.7.1 spam\r\n"}, "said 554 5.7.1", "said 554 5.7.1"),
    "banner4": ({"banner": b"421 4.3.2 busy\r\n"}, "queued", "4"),
    "banner5": ({"banner": b"554 5.7.1 blocked\r\n"}, "queued", "4"),
    "garbage": ({"rcpt": b"hello there\r\n"}, "queued", "4"),
    "close-banner": ({"banner": CLOSE}, "queued", "4"),
    "close-helo": ({"ehlo": CLOSE}, "queued", "4"),
    "close-mail": ({"mail": CLOSE}, "queued", "4"),
    "close-rcpt": ({"rcpt": CLOSE}, "queued", "4"),
    "close-data": ({"data": CLOSE}, "queued", "4"),
    "close-dot": ({"dot": CLOSE}, "queued", "4"),
    "hang-banner": ({"banner": HANG}, "queued", "4"),
    "hang-rcpt": ({"rcpt": HANG}, "queued", "4"),
    "hang-data": ({"data": HANG}, "queued", "4"),
    # The attempt that runs when the seconds are over is neither stopped nor repeated.
    "slow-dot": ({"dot": after(SECONDS + 2, b"250 2.0.0 at last\r\n")}, "queued then 1", "said 250 2.0.0"),
}


class Stage:
    """A relay, and the hosts behind it: NAME.test is the MX of that behaviour."""

    def __init__(self, test, name, policy, **control):
        self.test, self.mxs, routes = test, {}, []
        for number, (behaviour, (script, _, _)) in enumerate(BEHAVIOURS.items()):
            self.mxs[behaviour] = BadMX(script, host=test.address(100 + number), port=test.port())
            routes.append(self.route(behaviour))
        self.back = test.ends(Receiver(test.address(90), test.port()))
        routes.append(f"back.test:[{self.back.address}]:{self.back.port}")
        routes.append(f"nobody.test:[{test.address(91)}]:{test.port()}")
        rules = f'127.:allow,RELAYCLIENT="",RELAYTHROUGH="{policy}"\n:deny\n'
        self.relay = test.relay(name=name, routes=routes, rules=rules,
                                control={"retry": "2 3 600", "probefirst": 600, **control})

    def route(self, behaviour):
        mx = self.mxs[behaviour]
        return f"{behaviour}.test:[{mx.host}]:{mx.port}"

    def stop(self):
        for mx in self.mxs.values():
            mx.close()

    def say(self, rcpts, sender="a@back.test", text=TEXT, mail=(), rcpt=()):
        """One message; the reply to its final dot, or to what was refused before: (code, text)."""
        rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
        with Client(self.relay) as client:
            client.wanted(client.docmd("MAIL", f"FROM:<{sender}> {' '.join(mail)}".strip()), 250)
            for address in rcpts:
                client.wanted(client.docmd("RCPT", f"TO:<{address}> {' '.join(rcpt)}".strip()), 250)
            try:
                code, text = client.data(text)
            except smtplib.SMTPDataError as refused:
                return refused.smtp_code, refused.smtp_error.decode()
            return code, text.decode()

    def queued(self):
        return {row["recipient"] for row in self.relay.listed()}

    def untouched(self):
        """No segment was ever begun, no big file either."""
        return not any(re.match(r"\d", f.name) for f in (self.relay.directory / "queue/log").iterdir()) \
            and not any((self.relay.directory / "queue/big").iterdir())


def all_at_once(stage, which):
    """A message to each behaviour, side by side: {name: (code, text)}."""
    replies = {}

    def one(name):
        try:
            replies[name] = stage.say(f"u@{name}.test")
        except Exception as problem:  # shown by the check
            replies[name] = (0, repr(problem))
    threads = [threading.Thread(target=one, args=(name,)) for name in which]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def judge(test, stage, name, reply, wanted):
    code, text = reply
    words = wanted.split()
    if words[0] == "said":
        mx = stage.mxs[name]
        start = f"{words[2]} [{mx.host}]:{mx.port} said: "
        test.check(str(code) == words[1] and text.startswith(start), f"{name}: the MX's words", f"{code} {text}")
    elif words[0] == "queued":
        test.check(code == 250 and text.endswith(" queued"), f"{name}: queued", f"{code} {text}")
    else:
        test.check(str(code).startswith(words[0]) and re.match(r"4\.\d\.\d+ ", text),
                   f"{name}: the client keeps it", f"{code} {text}")
    test.check("\x07" not in text and len(text) < 508, f"{name}: a clean line", text)


def seconds_policy(test):
    stage = test.ends(Stage(test, "seconds", SECONDS, throughbytes=8 << 20))
    for name, reply in all_at_once(stage, BEHAVIOURS).items():
        judge(test, stage, name, reply, BEHAVIOURS[name][1])
    queued = {f"u@{name}.test" for name, (_, wanted, _) in BEHAVIOURS.items() if wanted == "queued"}
    test.equal(stage.queued() - {"u@slow-dot.test"}, queued, "what was not delivered or refused is queued, nothing else")
    wait_for(lambda: "u@slow-dot.test" not in stage.queued(), "the late answer counts")
    test.equal(len(stage.mxs["slow-dot"].messages), 1, "a running attempt is not repeated")
    test.equal(stage.back.messages, [], "no notice for what the client was told")
    code, text = stage.say("u@nobody.test")
    test.check(code == 250 and text.endswith("queued"), "an MX that is down: queued", text)
    began = time.monotonic()
    code, text = stage.say("u@nobody.test")
    test.check(code == 250 and time.monotonic() - began < SECONDS, "known to be down: queued without waiting", text)
    mixed(test, stage)
    broken_client(test, stage)
    big(test, stage)


def mixed(test, stage):
    """Recipients with different fates."""
    good, four = stage.mxs["good"], stage.mxs["rcpt4"]
    count = len(good.messages)
    code, text = stage.say(["a@good.test", "b@rcpt5.test"])
    test.check(code == 250 and text.endswith("queued"), "delivered and refused: committed", text)
    notice = stage.back.wait(1)[0]
    test.check(b"b@rcpt5.test" in notice.content and b"a@good.test" not in notice.content,
               "the notice is about the refused one only")
    test.equal(len(good.messages), count + 1, "the other was delivered once")
    code, text = stage.say(["a@good.test", "b@rcpt5.test"], rcpt=["NOTIFY=NEVER"])
    test.check(code == 250 and "said:" in text, "refused without notice, delivered: the MX's words", text)
    code, text = stage.say(["a@rcpt5.test", "b@dot5.test"])
    test.check(code == 550 and "said:" in text, "all refused: 5xx", f"{code} {text}")
    code, text = stage.say("a@rcpt5.test", sender="")
    test.check(code == 550, "<> refused: 5xx", f"{code} {text}")
    tries = len(four.commands)
    code, text = stage.say(["c@good.test", "d@rcpt4.test"])
    test.check(code == 250 and text.endswith("queued"), "delivered and deferred: committed", text)
    test.check("d@rcpt4.test" in stage.queued() and "c@good.test" not in stage.queued(), "only the deferred one waits")
    wait_for(lambda: len([c for c in four.commands[tries:] if b"d@rcpt4" in c]) >= 2, "it is tried again")
    test.equal(len(good.messages), count + 3, "and the others are not")
    code, text = stage.say("s@good.test", rcpt=["NOTIFY=SUCCESS"])
    test.check(code == 250 and "said:" in text, "success is the MX's to tell where it offers DSN", text)
    time.sleep(0.5)
    test.equal(len(stage.back.messages), 1, "no other notice")


def broken_client(test, stage):
    """A client that goes away before the verdict: the attempt is called off, nothing stays."""
    mx, before, active = stage.mxs["hang-data"], stage.queued(), stage.relay.stat()["active"]
    client = Client(stage.relay)
    client.docmd("MAIL", "FROM:<a@back.test>")
    client.docmd("RCPT", "TO:<gone@hang-data.test>")
    client.docmd("DATA")
    client.sock.sendall(TEXT.encode() + b".\r\n")
    wait_for(lambda: any(b"gone@hang-data" in c for c in mx.commands), "the MX has been asked")
    client.close()
    wait_for(lambda: "gone-before-verdict" in stage.relay.log("smtpd"), "the client is missed")
    wait_for(lambda: stage.relay.stat()["active"] <= active, "its attempt is over")
    test.equal(stage.queued(), before, "nothing of it is queued")
    test.check(not any(b"gone@" in m for m in mx.messages), "nothing of it was delivered")


def big(test, stage):
    """Megabytes stay in memory up to control/throughbytes, and are committed above it."""
    for size, wanted in ((3, "said:"), (9, "queued")):
        text = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * (size * (1 << 20) // 72)
        count = len(stage.mxs["good"].messages)
        code, reply = stage.say("big@good.test", text=text)
        test.check(code == 250 and wanted in reply, f"{size} MiB: {wanted}", f"{code} {reply}")
        wait_for(lambda: len(stage.mxs["good"].messages) == count + 1, f"{size} MiB arrive")
        test.check(stage.mxs["good"].messages[-1].endswith(text.encode()), f"{size} MiB arrive whole")


def only_policy(test):
    stage = test.ends(Stage(test, "only", f"only:{ONLY_SECONDS}", throughbytes=8 << 20, concurrencysite=1))
    for name, reply in all_at_once(stage, BEHAVIOURS).items():
        judge(test, stage, name, reply, BEHAVIOURS[name][2])
    for name in ("hang-rcpt", "hang-data"):
        test.equal(stage.mxs[name].messages, [], f"{name}: no dot was sent")
    code, text = stage.say("u@nobody.test")
    test.check(code == 451 and text.startswith("4.4.1 "), "an MX that is down: the client keeps it", text)
    with Client(stage.relay) as client:
        client.docmd("MAIL", "FROM:<a@back.test>")
        client.docmd("RCPT", "TO:<a@good.test>")
        code, text = client.docmd("RCPT", "TO:<b@good.test>")
        test.check(code == 452 and text.startswith(b"4.5.3"), "one recipient a transaction", text)
        code, text = client.data(TEXT)
        test.check(code == 250, "and that one goes", text)
    busy(test, stage)
    too_big = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * ((9 << 20) // 72)
    code, text = stage.say("big@good.test", text=too_big)
    test.check(code == 452, "too big for memory: the client keeps it", f"{code} {text}")
    test.equal(stage.queued(), set(), "nothing is left")
    test.check(stage.untouched(), "nothing was ever written to queue/")
    test.equal(stage.back.messages, [], "nobody was sent a notice")
    test.check(stage.relay.stat()["messages"] == 0, "relay-send knows of none")


def busy(test, stage):
    """Two for one slow connection: one waits its turn, and its time is over first."""
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(stage.say("u@slow-dot.test"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(code for code, _ in replies)
    test.equal(codes, [250, 451], "one connection, two messages: one goes, one is too late")
    text = next((text for code, text in replies if code == 451), "")
    test.check(re.match(r"4\.4\.5 no connection to .* was free within 2 seconds", text), "and says why", text)


def main(test):
    seconds_policy(test)
    only_policy(test)


relaytest.run(main)
