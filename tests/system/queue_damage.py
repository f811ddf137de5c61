#!/usr/bin/python3
# limit: 180
"""relay-queue and damage: torn tails, scrambled middles, compaction over many segments, kill -9."""
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from queue_process import Checks, Client, Queue, body, mint, shim

check = Checks()
SEGMENT = 65536 * 4


def segments(q):
    return sorted(p for p in (q.dir / "queue/log").iterdir() if p.name[0] == "0")


def torn_tail(base):
    q = Queue(f"{base}/torn")
    first, _ = Client(q, tenant="t").submit(content=body(300))
    q.until(lambda: q.by_id(first))
    q.end()
    path = segments(q)[-1]
    before = path.read_bytes()
    q.start()
    last, _ = Client(q, tenant="t").submit(content=b"last\r\n")
    q.until(lambda: q.by_id(last))
    q.end()
    path = segments(q)[-1]
    data = path.read_bytes()
    start = 4096
    end = start + len(data[start:].rstrip(b"\0"))
    check(last.encode() in data and before, "the second is in a segment of its own")
    for cut in list(range(start, end, 7)) + [end - 1]:
        for fill in (b"\0", b"\xff"):
            path.write_bytes(data[:cut] + fill * (end - cut) + data[end:])
            listing = q.listing()
            # The content is not looked at by replay; its checksum is at hand-out.
            torn = cut < end - len(b"last\r\n") - 8
            if first not in listing or (torn and last in listing):
                check(False, f"torn at {cut}: {listing}")
    path.write_bytes(data[:end - 30] + b"\xff" * 30 + data[end:])
    q.start()
    check(q.by_id(first) is not None, "starts with a torn tail")
    m, v = Client(q, tenant="t").submit()
    check(v[0] == 250, "and goes on")
    q.until(lambda: q.by_id(m))
    q.end()
    q.start()
    check(not os.listdir(q.dir / "queue/quarantine"), "a torn tail is not quarantined")
    q.kill()


def scrambled_middle(base):
    q = Queue(f"{base}/middle")
    c = Client(q, tenant="t")
    ids = [c.submit(content=body(3000, str(i)))[0] for i in range(20)]
    q.until(lambda: q.by_id(ids[-1]))
    q.end()
    path = segments(q)[-1]
    data = bytearray(path.read_bytes())
    victim, hurt = ids[7], ids[12]
    at = data.index(victim.encode())
    data[at:at + 8] = b"SCRAMBLE"
    at = data.index(b"Subject: 12\r\n")
    data[at:at + 8] = b"SCRAMBLE"
    path.write_bytes(data)
    q.start()
    check(q.by_id(victim) is None, "what is damaged is not there")
    check(all(q.by_id(i) for i in ids if i != victim), "all others are")
    check(len(os.listdir(q.dir / "queue/quarantine")) == 1, "the damage is in quarantine")
    m = q.by_id(hurt)
    check(q.fetch(m.serial) is None, "damaged content is not handed out")
    good = q.by_id(ids[3])
    check(q.fetch(good.serial)[good.elen:] == body(3000, "3"), "good content is")
    q.end()
    q.start()
    check(len(os.listdir(q.dir / "queue/quarantine")) == 1, "and only once")
    q.kill()


def imitation(base):
    """A content that holds a whole segment of valid-looking records."""
    q = Queue(f"{base}/imitation")
    c = Client(q, tenant="t")
    mid, _ = c.submit(content=body(100))
    q.until(lambda: q.by_id(mid))
    log = segments(q)[-1].read_bytes().rstrip(b"\0")
    log += b"\0" * (-len(log) % 8)
    liar, v = c.submit(content=log + b"\r\n")
    check(v[0] == 250, "taken")
    q.until(lambda: q.by_id(liar))
    q.end()
    path = segments(q)[-1]
    data = bytearray(path.read_bytes())
    at = data.index(liar.encode())
    data[at:at + 8] = b"SCRAMBLE"
    path.write_bytes(data)
    q.control("queuesegmentbytes", SEGMENT)
    q.start()
    check(list(m.id for m in q.messages.values()) == [mid], "imitated records are not believed")
    q.kill()


def compaction(base):
    q = Queue(f"{base}/compact", start=False)
    q.control("queuesegmentbytes", SEGMENT)
    q.start()
    c = Client(q, tenant="t")
    kept = {}
    deadline = time.monotonic() + 60
    for i in range(600):
        content = body(5000, f"{i}")
        mid, v = c.submit(content=content, rcpts=("a@example.org", "b@example.org"))
        q.until(lambda: q.by_id(mid))
        serial = q.by_id(mid).serial
        if i % 40 == 0:
            kept[mid] = content
            q.result(serial, (0, "d", "250 ok", 1, 0, False),
                     (1, "t", f"450 later {i}", 2, 1900000000000, False))
        else:
            q.result(serial, (0, "d", "250 ok", 1, 0, False), (1, "d", "250 ok", 1, 0, False))
        if time.monotonic() > deadline:
            check(False, "too slow")
            break
    time.sleep(1.5)
    q.drain()
    count = len(segments(q))
    check(count <= 9, f"{count} segments for 3 MB that came and {len(kept)} messages that stayed")
    for _ in range(2):
        for i, (mid, content) in enumerate(kept.items()):
            m = q.by_id(mid)
            check(m and q.fetch(m.serial)[m.elen:] == content, f"{mid} is whole")
            check(q.words(m.serial, 1).endswith(f"450 later {i * 40}"), "and so are its last words")
        q.end()
        q.start()
        check(len(q.messages) == len(kept), "and nothing else is there")
        check(all(list(m.rcpts) == [1] and m.rcpts[1]["attempts"] == 2 for m in q.messages.values()),
              "states are kept")
    q.kill()


class Load(threading.Thread):
    """A submitter that keeps account of what it was told."""

    def __init__(self, q, name):
        super().__init__(daemon=True)
        self.q, self.tenant, self.accepted, self.sent = q, name, {}, set()
        self.start()

    def run(self):
        try:
            c = Client(self.q, tenant=self.tenant)
            while True:
                mid = mint()
                self.sent.add(mid)
                content = body(random.randrange(10, 20000), mid)
                _, v = c.submit(mid=mid, content=content)
                if v is None:
                    return
                if v[0] == 250:
                    self.accepted[mid] = content
        except (OSError, TimeoutError, TypeError):
            return


def look_at(q, accepted, share):
    """Of what is there of what was accepted, a share is fetched. How many."""
    looked = 0
    for m in list(q.messages.values()):
        if m.id in accepted and random.random() < share:
            looked += 1
            got = q.fetch(m.serial)
            check(got and got[m.elen:] == accepted[m.id], f"{m.id} is whole: {q.refusal}")
    return looked


def kill_rounds(base, rounds=20):
    """kill -9 at any time, every other one in the middle of a write."""
    trigger = f"{base}/trigger"
    q = Queue(f"{base}/kill", start=False, env={"LD_PRELOAD": shim(base), "QUEUE_SHIM_FAIL": trigger})
    q.control("queuesegmentbytes", SEGMENT)
    accepted, ended, sent = {}, set(), set()
    looked = 0
    q.start()
    for i in range(rounds):
        loads = [Load(q, f"t{n}") for n in range(6)]
        deadline = time.monotonic() + random.uniform(0.05, 0.5)
        while time.monotonic() < deadline:
            q.drain(0.01)
            for m in list(q.messages.values()):
                if m.id not in ended and random.random() < 0.7:
                    q.delivered(m.serial)
                    ended.add(m.id)
        if i % 2:
            with open(trigger, "w") as f:
                f.write(f"die 1 {random.randrange(100000)}\n")
            q.wait_killed()
        else:
            q.kill()
        for load in loads:
            load.join(10)
            accepted.update(load.accepted)
            sent |= load.sent
        q.start()
        there = {m.id for m in q.messages.values()}
        lost = set(accepted) - there - ended
        check(not lost, f"round {i}: lost {lost}")
        check(there <= sent | set(accepted), f"round {i}: nothing comes from nowhere")
        looked += look_at(q, accepted, 0.3)
    looked += look_at(q, accepted, 1)
    check(not os.listdir(q.dir / "queue/quarantine"), "no damage was seen: " + " / ".join(
        line for line in q.log_text().splitlines() if "damage" in line and "damaged=0" not in line))
    print(f"{len(accepted)} accepted, {looked} looked at, {len(ended)} ended")
    q.kill()


def main():
    base = tempfile.mkdtemp(dir=os.environ.get("TEST_DIR"))
    try:
        for test in (torn_tail, scrambled_middle, imitation, compaction, kill_rounds):
            test(base)
    finally:
        shutil.rmtree(base)
    check.done()


main()
