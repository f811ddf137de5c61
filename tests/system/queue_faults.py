#!/usr/bin/python3
"""relay-queue and a failing disk: writes, syncs, a full disk (a small loop mount; root)."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from queue_process import Checks, Client, Queue, body, shim

check = Checks()


def faults(base, lib):
    trigger = f"{base}/trigger"

    def fail(text):
        with open(trigger, "w") as f:
            f.write(text + "\n")
    q = Queue(f"{base}/faults", env={"LD_PRELOAD": lib, "QUEUE_SHIM_FAIL": trigger})
    c = Client(q, tenant="t")
    good, _ = c.submit()
    q.until(lambda: q.by_id(good))
    q.result(q.by_id(good).serial, (0, "t", "450 later", 1, 1900000000000, False))
    fail("fdatasync 1")
    bad, v = c.submit()
    check(v[0] == 451 and v[1].startswith("4.3.0"), f"a failed sync is 451: {v}")
    again, v = c.submit()
    check(v[0] == 250, "the next goes to a new segment")
    listing = q.listing()
    check(bad not in listing and good in listing and again in listing, "nothing is resurrected (-l)")
    q.kill()
    q.start()
    check({m.id for m in q.messages.values()} == {good, again}, "nor by a restart")
    check(q.by_id(good).rcpts[0]["attempts"] == 1, "the batch's result was written again")
    c = Client(q, tenant="t")
    fail("pwrite 1 5000")
    bad, v = c.submit(content=body(9000))
    check(v[0] == 452, f"a short write is 452: {v}")
    fail("pwrite 0")
    time.sleep(1.1)
    ok, v = c.submit(content=body(200))
    check(v[0] == 250, f"and over with the trouble: {v}")
    q.kill()
    q.start()
    check({m.id for m in q.messages.values()} == {good, again, ok}, "the short one is cut off")
    fail("pwrite 3")
    q.until(lambda: q.by_id(good))
    q.delivered(q.by_id(good).serial)
    q.until(lambda: q.paused)
    check(True, "P 1 while a result cannot be written")
    _, v = Client(q, tenant="t").submit()
    check(v[0] == 452, "and 452 to clients")
    q.until(lambda: not q.paused)
    check(True, "P 0 when it can be again")
    q.kill()
    q.start()
    check({m.id for m in q.messages.values()} == {again, ok}, "the result was kept")
    fail("fdatasync 2")
    c = Client(q, tenant="t")
    _, v = c.submit()
    check(v is None and q.process.wait(10) == 111, f"two failed syncs: no answer, exit 111: {v}")
    q.shut()
    q.start()
    check({again, ok} <= {m.id for m in q.messages.values()}, "all that was answered is there")
    q.kill()


def full(base):
    if os.getuid() != 0:
        print("disk full: not run, needs root for a loop mount")
        return
    image, mount = f"{base}/image", f"{base}/mount"
    os.mkdir(mount)
    with open(image, "wb") as f:
        f.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, mount], check=False).returncode != 0:
        print("disk full: not run, no loop mounts here")
        return
    q = Queue(f"{mount}/relay", start=False)
    try:
        q.control("queuesegmentbytes", 1 << 20)
        q.start()
        c = Client(q, tenant="t")
        accepted, refused = [], 0
        content = body(200000)
        for i in range(2000):
            mid, v = c.submit(content=content)
            if v[0] == 250:
                accepted.append(mid)
            else:
                check(v[0] == 452, f"a full disk is 452: {v}")
                refused += 1
                if refused > 5:
                    break
        check(len(accepted) > 100 and refused > 5, f"{len(accepted)} fitted")
        # Now somebody else takes the rest.
        with open(f"{mount}/filler", "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        q.until(lambda: q.by_id(accepted[-1]))
        for mid in accepted[:-3]:
            q.delivered(q.by_id(mid).serial)
        time.sleep(3)
        q.drain()
        check(not q.paused, "results go where intake may not")
        os.unlink(f"{mount}/filler")
        deadline = time.monotonic() + 15
        v = None
        while time.monotonic() < deadline:
            mid, v = Client(q, tenant="t").submit(content=content)
            if v[0] == 250:
                break
            time.sleep(0.3)
        check(v[0] == 250, f"recovers by itself: {v}")
        q.end()
        q.start()
        check({m.id for m in q.messages.values()} == set(accepted[-3:]) | {mid},
              "what was delivered is gone, what was not is there")
        m = q.by_id(accepted[-1])
        check(q.fetch(m.serial)[m.elen:] == content, "and whole")
    finally:
        if q.process and q.process.poll() is None:
            print(q.log_text()[-1500:] if check.failed else "", end="")
            q.kill()
        subprocess.run(["umount", mount], check=False)


def main():
    base = tempfile.mkdtemp(dir=os.environ.get("TEST_DIR"))
    try:
        faults(base, shim(base))
        full(base)
    finally:
        shutil.rmtree(base)
    check.done()


main()
