#!/usr/bin/python3
# limit: 180
# asan: no
"""A disk that fails under the whole relay (tests/shim): writes and syncs of queue/ fail once,
in the middle of a record, or for seconds. Clients hear 451 or 452; the relay goes on by
itself; all that was answered 250 arrives once; nothing that relay-queue refused comes back,
not even after kill -9 and a restart."""
import os
import shutil
import signal
import stat
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
import relaytest
from badclient import ANY_SIZE, END, Client, Quiet, envelope, undotted, without_received
from badmx import BadMX
from relaytest import TOP, run, run_program, wait_for

SENDERS = 6


class Failing:
    def __init__(self, test):
        self.v, self.test = Quiet(test), test
        self.fail = test.directory / "fail"
        self.fail.write_text("none 0\n")
        self.fail.chmod(0o666)
        self.preload()
        self.port = test.port()
        self.relay = test.relay(routes=f":[{test.address(9)}]:{self.port}", control={
            "retry": 2, "probefirst": 1, "probemax": 2, "queuesegmentbytes": 1 << 20})
        self.mx, self.number, self.lock = None, 0, threading.Lock()
        self.accepted, self.refused, self.cut = {}, {}, {}

    def preload(self):
        """A build directory whose relay-queue is the real one with the shim in front."""
        build, real = self.test.path("build") / "bin", self.test.path("real")
        shutil.copytree(relaytest.BUILD / "bin", build, symlinks=True, dirs_exist_ok=True)
        shutil.copy(build / "relay-queue", real)
        run_program("gcc", "-O2", "-shared", "-fPIC", "-o", real / "shim.so", TOP / "tests/shim/queue_shim.c", "-ldl")
        (build / "relay-queue").unlink()
        (build / "relay-queue").write_text(
            f"#!/bin/sh\nexec env LD_PRELOAD={real}/shim.so QUEUE_SHIM_FAIL={self.fail} {real}/relay-queue \"$@\"\n")
        for path in (build / "relay-queue", real / "relay-queue", real / "shim.so"):
            path.chmod(path.stat().st_mode | stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        relaytest.BUILD = build.parent

    def send(self, size):
        """One message; True when it was accepted."""
        with self.lock:
            self.number += 1
            mark = b"%d" % self.number
        body = b"Subject: " + mark + b"\r\n\r\n" + (mark + b" " + b"x" * 70 + b"\r\n") * (size // 75)
        reply = b""
        try:
            with Client((self.relay.host, self.relay.port)) as c:
                if not c.reply().startswith(b"220"):
                    return False
                c.say(b"EHLO x")
                c.send(envelope(b"a@msa.test", [b"b@dest.test"]) + body + END[2:])
                for _ in range(4):
                    reply = c.reply()
        except ConnectionError:
            pass
        with self.lock:
            if reply.startswith(b"250"):
                self.accepted[mark] = body
            elif not reply or b"restarting" in reply:
                self.cut[mark] = body  # what became of it is not known, and the client was told so
            else:
                self.refused[mark] = reply
        self.v.check(reply[:3] in (b"", b"250", b"421", b"451", b"452"), "reply", reply)
        return reply.startswith(b"250")

    def traffic(self, seconds, big=False):
        """Senders in parallel for so long."""
        end = time.monotonic() + seconds

        def sender(n):
            sizes = (1000, 20000, 1000, 1300000 if big else 5000)
            while time.monotonic() < end:
                self.send(sizes[n % 4])
                n += 1
                time.sleep(0.01)
        threads = [threading.Thread(target=sender, args=(n,)) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        return threads

    def during(self, words, what, seconds=1.5, times=1, big=False):
        """Traffic; in the middle the disk fails; afterwards mail is taken by itself."""
        accepted, refused, pid = len(self.accepted), len(self.refused), self.relay.pids("relay-queue")
        threads = self.traffic(seconds, big)
        for _ in range(times):
            time.sleep(seconds / (times + 2))
            self.fail.write_text(what + "\n")
        for thread in threads:
            thread.join()
        left = self.fail.read_text().split()
        self.fail.write_text("none 0\n")
        wait_for(lambda: self.send(2000), f"mail is taken again after {words}", 20)
        self.v.check(len(self.refused) > refused or len(self.cut) or left[1] != "0", words, "nothing failed")
        same = "" if pid == self.relay.pids("relay-queue") else ", relay-queue was started anew"
        print(f"{words}: {len(self.accepted) - accepted} accepted, {len(self.refused) - refused} refused{same}", flush=True)

    def kill(self):
        os.kill(self.relay.pids("relay-queue")[0], signal.SIGKILL)
        time.sleep(0.5)
        self.relay.wait_ready()

    def arrived(self, words):
        """What has come is what was accepted."""
        if not self.mx:
            self.mx = BadMX(ANY_SIZE, host=self.test.address(9), port=self.port)
        self.relay.ctl("retry", "all")
        self.relay.wait_empty(40)
        found = {}
        for message in self.mx.messages:
            lines = without_received(undotted(message))
            found.setdefault(lines[0][9:], []).append(b"\r\n".join(lines) + b"\r\n")
        lost, back = set(self.accepted) - set(found), set(found) & set(self.refused)
        self.v.check(not lost, words, "answered 250 and lost:", sorted(lost)[:20])
        self.v.check(not back, words, "refused and delivered:", [(m, self.refused[m]) for m in sorted(back)[:5]], len(back))
        bodies = {**self.accepted, **self.cut}
        changed = [m for m in found if m in bodies and any(x != bodies[m] for x in found[m])]
        self.v.check(not changed, words, "changed:", changed[:20])
        twice = [m for m in found if len(found[m]) > 1]
        print(f"{words}: {len(self.accepted)} accepted, {len(self.refused)} refused, {len(self.cut)} cut off, "
              f"{len(found)} arrived, {len(twice)} of them twice; {len(set(found) & set(self.cut))} of those cut off", flush=True)
        return twice


def main(test):
    f = Failing(test)
    # The MX is down: what is wrongly in the queue stays there, and shows after the restart.
    f.during("a sync fails, three times over", "fdatasync 1", times=3)
    f.kill()
    f.during("a write fails at its start", "pwrite 1 0", times=2)
    f.during("a write fails in the middle of a record", "pwrite 2 300", times=2)
    f.kill()
    f.during("fsync fails (big files, directories)", "fsync 1", times=3, big=True)
    f.relay.svc("-t")
    f.relay.wait_ready()
    test.equal(f.arrived("the MX was down"), [], "nothing arrives twice")
    f.during("writes fail for a while", "pwrite 100000 0", seconds=3)
    test.equal(f.arrived("writes failed for a while"), [], "nothing arrives twice")
    f.during("a sync fails while mail goes out", "fdatasync 1", times=5, seconds=3)
    test.equal(f.arrived("syncs failed while mail went out"), [], "nothing arrives twice")
    # Two syncs in a row: relay-queue gives up, and starts when the disk does.
    f.during("every sync fails", "fdatasync 100000", seconds=4)
    f.arrived("every sync failed")


run(main)
