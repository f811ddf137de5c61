#!/usr/bin/python3
"""One message to recipients at seven sites, several at each: every site gets it whole. Holders of
one fd share its offset, so a reader that used read() instead of pread() would be seen here."""
# limit: 200
import asyncio
import hashlib
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver
from relaytest import Client, run

SITES, RCPTS = 7, 4
HEADER = b"From: a@b.test\r\nTo: everybody:;\r\nSubject: to all\r\n\r\n"


def contents():
    rng = random.Random(7)
    line = lambda n: b"%09d " % n + bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz.", k=60)) + b"\r\n"
    yield "300 bytes", HEADER + b"".join(line(n) for n in range(3))
    yield "100 KB", HEADER + b"".join(line(n) for n in range(1400))
    yield "900 KB with dots", HEADER + b"".join(b".." * (n % 5) + line(n) for n in range(12000))
    yield "3 MB, a big file", HEADER + b"".join(line(n) for n in range(42000))
    yield "6 MB, a big file", HEADER + b"".join(line(n) for n in range(84000))


async def slowly(receiver_number):
    """The receivers take their time, each its own, so that the deliveries overlap."""
    await asyncio.sleep(0.1 * (receiver_number % 3))
    return "250 2.0.0 kept"


def main(test):
    receivers, routes = [], []
    for n in range(SITES):
        port = test.port()
        receivers.append(test.ends(Receiver("127.0.0.1", port, dot=lambda _m, n=n: slowly(n))))
        routes.append(f"site{n}.test:127.0.0.1:{port}")
    relay = test.relay(routes=routes)
    rcpts = [f"r{k}@site{n}.test" for k in range(RCPTS) for n in range(SITES)]
    sent = list(contents())
    with Client(relay) as client:
        for _, content in sent:
            client.message("s@source.test", rcpts, content)
    for receiver in receivers:
        receiver.wait(len(sent), 60)
    relay.wait_empty()
    for name, content in sent:
        wanted = hashlib.sha256(content).hexdigest()
        for n, receiver in enumerate(receivers):
            same = [m for m in receiver.messages
                    if hashlib.sha256(m.after_received()).hexdigest() == wanted]
            test.equal(sorted(r for m in same for r in m.rcpt_tos),
                       sorted(r for r in rcpts if r.endswith(f"site{n}.test")),
                       f"{name}: site {n} has it whole, for each of its recipients once")
    whole = {m.content for r in receivers for m in r.messages}
    test.equal(len(whole), len(sent), "all sites have the same bytes, Received line included")
    check_more_than_a_transaction(test, relay, receivers)


def check_more_than_a_transaction(test, relay, receivers):
    """Recipients of one site beyond what one transaction takes come in several."""
    for receiver in receivers:
        receiver.messages.clear()
    many = [f"m{k}@site{k % 2}.test" for k in range(450)]
    relay.send("s@source.test", many, HEADER + b"many\r\n")
    relay.wait_empty(60)
    got = [r for receiver in receivers for m in receiver.messages for r in m.rcpt_tos]
    test.equal(sorted(got), sorted(many), "450 recipients at two sites have it once each")


run(main)
