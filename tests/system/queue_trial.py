#!/usr/bin/python3
"""relay-queue alone, and through: verdicts, commits with states, withdrawals, failing syncs."""
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from queue_process import Checks, Client, Queue, body, envelope, mint, ns, receive, send, shim

check = Checks()
ONLY = 1 << 30
LATER = 1900000000000


class Try:
    """A message handed in for through; its M has come."""

    def __init__(self, q, through=20, rcpts=("x@example.org",), content=None, client=None):
        self.q, self.id = q, mint()
        self.client = client or Client(q, tenant="t1")
        self.content = content or body(5000, self.id)
        self.client.post(envelope(self.id, rcpts=rcpts, through=through), self.content, through=through)
        q.until(lambda: q.by_id(self.id))
        self.message = q.by_id(self.id)
        self.serial = self.message.serial

    def give_up(self, text="4.4.5 no connection was free"):
        send(self.q.send_sock, ns("T", self.serial, text))

    def end(self):
        """ok of C."""
        fields, _ = self.q.answer(b"C")
        assert int(fields[1]) == self.serial, fields
        return int(fields[2])


def segments(q):
    return [n for n in os.listdir(q.dir / "queue/log") if not n.startswith("spare")]


def silent(q, what):
    q.drain(0.2)
    check(not [a for a in q.answers if a[0][0] == b"C"], what)


def verdicts(q):
    t = Try(q)
    check(t.message.through == 20, "M says that it is through")
    check(q.fetch(t.serial)[t.message.elen:] == t.content, "G, although it is nowhere on disk")
    q.delivered(t.serial)
    check(t.client.verdict() == (250, "2.0.0 mx.example[192.0.2.9] said: ok"), "the MX's words")
    silent(q, "no C for what is over on both sides")
    t = Try(q, client=t.client)
    q.result(t.serial, (0, "f", "550 5.1.1 no such user", 1, 0, True))
    check(t.client.verdict()[0] == 550, "a refusal")
    check(t.end() == 0, "C 0: the notice that would be due is not")
    t = Try(q, client=t.client, through=ONLY + 5)
    q.result(t.serial, (0, "t", "450 4.2.0 later", 1, LATER, False))
    check(t.client.verdict()[0] == 450, "only: a deferral is the client's")
    check(t.end() == 0, "and over")
    t = Try(q, client=t.client, through=ONLY + 5)
    t.give_up()
    check(t.client.verdict() == (451, "4.4.5 no connection was free"), "only: T's words")
    check(t.end() == 0, "and over")
    t = Try(q, client=t.client)
    q.delivered(t.serial)
    q.delivered(t.serial)
    t.give_up()
    check(t.client.verdict()[0] == 250, "said twice, and T too late")
    check(not segments(q), "nothing was written")
    check(q.listing().strip().count("\n") == 0, "nothing is queued")


def commits(q):
    t = Try(q, rcpts=("a@example.org", "b@example.org", "c@example.org"))
    q.result(t.serial, (0, "d", "250 ok", 1, 0, False))
    q.result(t.serial, (1, "t", "450 greylisted", 1, LATER, False))
    check(t.client.verdict() == (250, f"2.0.0 {t.id} queued"), "one deferred: committed")
    check(t.end() == 1, "C 1")
    check(q.words(t.serial, 1).endswith("said: 450 greylisted"), "last words are in the record")
    q.result(t.serial, (2, "t", "450 me too", 1, LATER, False))
    check(q.end() == 0, "ends")
    q.start()
    m = q.by_id(t.id)
    check(m.serial == t.serial and m.through == 0 and sorted(m.rcpts) == [1, 2], f"what a restart finds: {m.rcpts}")
    check(m.rcpts[1]["attempts"] == 1 and m.rcpts[1]["next"] == LATER, "states of the record")
    check(q.words(t.serial, 2).endswith("said: 450 me too"), "and of a result behind it")
    check(q.fetch(t.serial)[m.elen:] == t.content and q.extract(t.id) == t.content, "whole")
    q.result(t.serial, (1, "d", "250 ok", 2, 0, False), (2, "d", "250 ok", 2, 0, False))

    t = Try(q, rcpts=("a@example.org", "b@example.org"))
    q.result(t.serial, (0, "d", "250 ok", 1, 0, False), (1, "f", "550 no", 1, 0, True))
    check(t.client.verdict()[1].endswith("queued"), "delivered and refused: committed")
    check(t.end() == 1, "C 1")
    q.kill()
    q.start()
    check(q.by_id(t.id).rcpts == {1: {"address": "b@example.org", "state": "f", "attempts": 1, "next": 0, "told": False}},
          "its notice is due after a crash")
    q.result(t.serial, (1, "x", "dropped", 1, 0, False))

    t = Try(q)
    t.give_up()
    q.delivered(t.serial)  # the attempt that ran meanwhile
    check(t.client.verdict()[1].endswith("queued"), "T: committed")
    check(t.end() == 1, "C 1")
    check(q.end() == 0, "ends")
    q.start()
    check(not q.by_id(t.id), "and its running attempt's answer has ended it")


def withdrawals(q):
    t = Try(q)
    t.client.close()
    check(t.end() == 0, "a client that goes away: C 0")
    q.delivered(t.serial)  # too late for anybody
    t = Try(q)
    t.client.close()
    t.give_up()
    check(t.end() == 0, "T and the client's end cross")
    check(t.id not in q.listing(), "nothing of either is queued")
    c = Client(q, tenant="t1")
    c.post(envelope(mint(), through=0), body(100), through=20)
    check(c.verdict() is None, "S and envelope must say the same")
    c = Client(q, tenant="t1")
    c.post(envelope(mint(), rcpts=("a@b.test", "c@d.test"), through=ONLY + 1), body(100), through=ONLY + 1)
    check(c.verdict() is None, "only is for one recipient")
    c = Client(q, tenant="t1")
    c.post(envelope(mint(), rcpts=("nodomain",), through=20), body(100), through=20)
    check(c.verdict()[0] == 553, "a recipient without a domain")


def memory(q):
    q.end()
    q.control("throughbytes", 5 << 20)
    q.control("throughmemory", 6 << 20)
    q.start()
    c, d = Client(q, tenant="t1"), Client(q, tenant="t1")

    def ask(client, n):
        send(client.sock, ns("P", n))
        return receive(client.sock)[0][0]
    check(ask(c, (5 << 20) + 1) == b"-", "over control/throughbytes")
    check(ask(c, 4 << 20) == b"+" and ask(d, 4 << 20) == b"-", "control/throughmemory is over all")
    check(ask(c, 1 << 20) == b"+" and ask(d, 4 << 20) == b"+", "a promise replaces the last")
    t = Try(q, client=d, content=body(3 << 20))
    check(t.message.through == 20, "3 MiB go through")
    t.give_up()
    check(d.verdict()[1].endswith("queued") and t.end() == 1, "and become a big file when they must")
    check(q.fetch(t.serial)[t.message.elen:] == t.content, "whole")
    check(ask(c, 5 << 20) == b"+", "the promise ended with the message")
    c.close()
    e = Client(q, tenant="t1")
    time.sleep(0.1)
    check(ask(e, 5 << 20) == b"+", "or with the connection")
    e.post(envelope(mint(), through=20), body((5 << 20) + 9), through=20)
    check(e.verdict()[1].endswith("queued"), "more than was promised is committed")
    for m in list(q.messages.values()):
        q.delivered(m.serial)


def ended_on_the_way(q):
    """Its attempt ends it while the disk thread makes a big file of it."""
    c = Client(q, tenant="t1")
    send(c.sock, ns("P", 20 << 20))
    check(receive(c.sock)[0][0] == b"+", "20 MiB of memory")
    t = Try(q, client=c, content=body(20 << 20))
    t.give_up()
    q.delivered(t.serial)
    check(c.verdict()[1].endswith("queued") and t.end() == 1, "committed, and over")
    deadline = time.monotonic() + 10
    while os.listdir(q.dir / "queue/big") and time.monotonic() < deadline:
        time.sleep(0.05)
    check(not os.listdir(q.dir / "queue/big"), "its file goes with it")
    check(t.id not in q.listing(), "it is not listed")
    # An envelope of more than half of what one may have, and a content that needs a file.
    rcpts = [f"r{n}.{'x' * 50}@{'d' * 60}.{'e' * 60}.{'f' * 60}.example.org" for n in range(1000)]
    send(c.sock, ns("P", 4 << 20))
    receive(c.sock)
    t = Try(q, client=c, rcpts=rcpts, content=body(3 << 20))
    t.give_up()
    check(c.verdict()[1].endswith("queued") and t.end() == 1, "a large envelope is no hindrance")
    q.result(t.serial, *((n, "x", "dropped", 1, 0, False) for n in range(20)))


def big_endings(q):
    """relay-send goes away; what is tried is more than a batch takes, and a big file."""
    q.end()
    q.control("throughbytes", 32 << 20)
    q.control("throughmemory", 256 << 20)
    q.start()
    tries = [Try(q, content=body(900000)) for _ in range(14)]
    c = Client(q, tenant="t1")
    send(c.sock, ns("P", 4 << 20))
    receive(c.sock)
    tries.append(Try(q, client=c, content=body(3 << 20)))
    q.send_sock.shutdown(1)
    found = [t.client.verdict(60) for t in tries]
    check(all(v and v[0] == 250 for v in found), f"all are committed: {[v and v[0] for v in found]}")
    check(q.process.wait(60) == 0, "and it ends")
    q.shut()
    q.start()
    check(all(q.by_id(t.id) for t in tries), "all are there")
    for m in list(q.messages.values()):
        q.result(m.serial, *((n, "x", "dropped", 1, 0, False) for n in m.rcpts))


def endings(q):
    """relay-send goes away in the middle."""
    t, o = Try(q), Try(q, through=ONLY + 60)
    q.send_sock.shutdown(1)
    check(t.client.verdict()[1].endswith("queued"), "relay-send is gone: committed")
    check(o.client.verdict()[0] == 451, "only: 451")
    check(q.process.wait(20) == 0, "and ends")
    q.shut()
    q.start()
    check(q.by_id(t.id) and not q.by_id(o.id), "the one is there, the other is not")
    q.delivered(q.by_id(t.id).serial)


def faults(base, lib):
    trigger = f"{base}/trigger"

    def fail(text):
        with open(trigger, "w") as f:
            f.write(text + "\n")
    q = Queue(f"{base}/faults", env={"LD_PRELOAD": lib, "QUEUE_SHIM_FAIL": trigger})
    for what, code in (("fdatasync 1", 451), ("pwrite 1 100", 452)):
        t = Try(q, rcpts=[f"r{n}@example.org" for n in range(200)])
        fail(what)
        t.give_up()  # nothing about it is in a batch
        v = t.client.verdict()
        check(v[0] == code and t.end() == 0, f"{what}, no result: {v}")
        time.sleep(1.1)
    t = Try(q, rcpts=("a@example.org", "b@example.org"))
    fail("fdatasync 1")
    t.give_up()
    q.delivered(t.serial)  # in the batch that fails, or the next one: about a message that never was
    q.result(t.serial, (1, "t", "450 later", 1, LATER, False))
    v = t.client.verdict()
    check(v[0] == 451, f"a failed sync is 451: {v}")
    check(t.end() == 0, "C 0")
    time.sleep(0.5)
    other = Try(q)
    other.give_up()
    check(other.client.verdict()[0] == 250 and other.end() == 1, "the next is committed")
    q.kill()
    q.start()
    check(not q.by_id(t.id) and q.by_id(other.id), "a restart finds the right one")
    q.kill()


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_DIR")) as directory:
        q = Queue(f"{directory}/q")
        for test in (verdicts, commits, withdrawals, memory, endings, big_endings, ended_on_the_way):
            try:
                test(q)
            except (EOFError, TimeoutError, AssertionError):
                print(test.__name__, q.log_text()[-4000:])
                raise
        q.kill()
        faults(directory, shim(directory))
    check.done()


main()
