#!/usr/bin/python3
# limit: 240
"""Power cuts: whatever the disk kept of what was not synced, what was answered 250 is there, what
was answered 451 is not. tests/shim/queue_shim.c records each write and sync of relay-queue."""
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from queue_process import Checks, Client, Queue, body, envelope, mint, shim

check = Checks()
POINTS = 150
SECTOR = 512


def read_trace(path):
    """(offset in the trace behind it, operation, words, bytes) of each call."""
    data, at, out = Path(path).read_bytes(), 0, []
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode().split(" ")
        at = end + 1
        blob = b""
        if words[0] == "pwrite":
            blob = data[at:at + int(words[3])]
            at += int(words[3])
        out.append((at, words[0], words[1:], blob))
    return out


class File:
    def __init__(self):
        self.synced = bytearray()
        self.pending = []  # (offset, bytes), or a new size

    def sync(self):
        self.synced = self.content(lambda: True)
        self.pending = []

    def content(self, kept):
        """What a disk may hold that kept some sectors of what it was not told to sync."""
        out = bytearray(self.synced)
        for offset, blob in self.pending:
            if blob is None:
                # Sizes are metadata: they come in order, or with the next sync.
                out = out[:offset] if len(out) > offset else out
                continue
            out.extend(b"\0" * (offset + len(blob) - len(out)))
            for i in range(0, len(blob), SECTOR):
                if kept():
                    out[offset + i:offset + min(i + SECTOR, len(blob))] = blob[i:i + SECTOR]
        return out


class Disk:
    """Files by name, as the last sync of their directory left them, and what came since."""

    def __init__(self):
        self.names, self.durable, self.pending = {}, {}, []

    def apply(self, names, op, words, made=None):
        if op == "create":
            names.setdefault(words[0], made)
        elif op == "rename" and words[0] in names:
            names[words[1]] = names.pop(words[0])
        elif op == "unlink":
            names.pop(words[0], None)

    def call(self, op, words, blob):
        if op == "pwrite":
            self.names[words[0]].pending.append((int(words[1]), blob))
        elif op == "truncate":
            self.names[words[0]].pending.append((int(words[1]), None))
        elif op == "allocate":
            f = self.names[words[0]]
            f.pending.append((int(words[1]), b""))
        elif op in ("fdatasync", "fsync") and words[0] in ("log", "big"):
            for change in self.pending:
                self.apply(self.durable, *change)
            self.pending = []
        elif op in ("fdatasync", "fsync"):
            self.names[words[0]].sync()
        else:
            made = self.names.get(words[0]) or File()
            self.apply(self.names, op, words, made)
            self.pending.append((op, words, made))

    def cut(self, directory, chance):
        """Writes one of the states that a power cut now may leave."""
        names = dict(self.durable)
        for change in self.pending[:random.randrange(len(self.pending) + 1)]:
            self.apply(names, *change)
        for name, f in names.items():
            path = Path(directory) / "queue" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f.content(lambda: random.random() < chance))


def record(base, lib):
    """A busy life, with two failed syncs in it. (trace, told 250 by trace offset, told 451, ended)"""
    trace, trigger = f"{base}/trace", f"{base}/trigger"
    q = Queue(f"{base}/life", start=False,
              env={"LD_PRELOAD": lib, "QUEUE_SHIM_TRACE": trace, "QUEUE_SHIM_FAIL": trigger})
    q.control("queuesegmentbytes", 65536)
    q.start()
    clients = [Client(q, tenant=f"t{i}") for i in range(4)]
    accepted, refused, delivered = {}, {}, {}
    for step in range(60):
        if step in (20, 45):
            Path(trigger).write_text("fdatasync 1\n")
        ids = []
        for c in clients:
            mid = mint()
            ids.append((mid, body(random.randrange(100, 6000), mid)))
            c.post(envelope(mid), ids[-1][1])
        for c, (mid, content) in zip(clients, ids):
            code, _ = c.verdict()
            if code == 250:
                accepted[mid] = (os.path.getsize(trace), content)
            else:
                refused[mid] = os.path.getsize(trace)
        q.drain(0.01)
        for m in list(q.messages.values()):
            if m.id not in delivered and random.random() < 0.5:
                q.delivered(m.serial)
                delivered[m.id] = os.path.getsize(trace)
    q.drain(0.3)
    q.kill()
    return read_trace(trace), accepted, refused, delivered


def look(base, number, disk, chance, at, told):
    accepted, refused, delivered = told
    directory = f"{base}/cut{number}"
    q = Queue(directory, start=False)
    q.control("queuesegmentbytes", 65536)
    disk.cut(directory, chance)
    q.start()
    there = {m.id: m for m in q.messages.values()}
    for mid, (since, content) in accepted.items():
        if since <= at and mid not in there and not delivered.get(mid, at + 1) <= at:
            check(False, f"cut {number} at {at}: {mid} is lost")
        if mid in there and since <= at and number % 10 == 0:
            m = there[mid]
            check(q.fetch(m.serial)[m.elen:] == content, f"cut {number}: {mid} is whole")
    back = {mid for mid, since in refused.items() if since <= at and mid in there}
    check(not back, f"cut {number} at {at}: resurrected {back}")
    q.kill()
    shutil.rmtree(directory)


def main():
    base = tempfile.mkdtemp(dir=os.environ.get("TEST_DIR"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    random.seed(seed)
    print(f"SEED={seed}")
    try:
        calls, *told = record(base, shim(base))
        check(len(told[1]) > 0, "some were answered 451")
        points = set(random.sample(range(len(calls)), min(POINTS, len(calls))))
        disk = Disk()
        for number, (at, op, words, blob) in enumerate(calls):
            disk.call(op, words, blob)
            if number in points:
                look(base, number, disk, random.choice((0, 0.3, 0.9, 1)), at, told)
    finally:
        shutil.rmtree(base)
    check.done()


main()
