#!/usr/bin/python3
"""kill -9 of each program in turn at random moments under load: what was answered 250 arrives whole."""
# limit: 420
# asan: no
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from load import Load
from relaytest import Failed, process_stat, run, wait_for

ROUNDS = int(os.environ.get("CRASH_ROUNDS", 50))
PROGRAMS = ("relay-smtpd", "relay-queue", "relay-send", "relay-remote", "worker", "resolver", "relay-bounce",
            "tcpserver")
# A result is durable within 200 ms of the MX's answer; the rest is a slow machine's.
RESULT_SECONDS = 2.0


def victims(relay, program):
    """The processes of that kind. relay-remote's children: the first is the resolver."""
    if program not in ("relay-remote", "worker", "resolver"):
        return relay.pids(program)
    pids = relay.pids("relay-remote")
    stats = {pid: process_stat(pid) for pid in pids}
    masters = [pid for pid in pids if stats[pid] and stats[pid][1] not in pids]
    if program == "relay-remote":
        return masters
    children = [pid for pid in pids if stats[pid] and stats[pid][1] in masters]
    return children[:1] if program == "resolver" else children[1:]


def kill_one(relay, rng, program):
    """The time of the kill, or None if there was nothing to kill."""
    for _ in range(40):
        pids = victims(relay, program)
        if pids:
            try:
                now = time.time()
                os.kill(rng.choice(pids), signal.SIGKILL)
                return now
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    return None


def crash_rounds(relay, rng):
    """Kills; returns [(time, program)]."""
    kills, order = [], []
    for _ in range(ROUNDS):
        if not order:
            order = list(PROGRAMS)
            rng.shuffle(order)
        program = order.pop()
        time.sleep(rng.uniform(0.1, 1.2))
        at = kill_one(relay, rng, program)
        if at:
            kills.append((at, program))
        if program not in ("relay-smtpd", "worker"):
            # Often killed again while it starts, often after it is up.
            if rng.random() < 0.7:
                wait_for(lambda: all(victims(relay, p) for p in ("tcpserver", "relay-queue", "relay-send", "resolver")),
                         f"supervise starts what ended with {program}", 30)
    return kills


def explain(test, duplicates, kills):
    """A second copy needs a kill between the MX's answer and its durable result (DESIGN)."""
    unexplained, blamed, longest = [], {}, 0.0
    for key, times in duplicates.items():
        for first in sorted(times)[:-1]:
            near = [(at - first, program) for at, program in kills if program not in ("relay-smtpd", "tcpserver")
                    and -0.5 <= at - first <= RESULT_SECONDS]
            if not near:
                unexplained.append((key, times))
                continue
            gap, program = min(near, key=lambda pair: abs(pair[0]))
            blamed[program] = blamed.get(program, 0) + 1
            longest = max(longest, gap)
    print(f"{len(duplicates)} delivered more than once; copies by what was killed within {RESULT_SECONDS} s, before "
          f"the result was durable: {blamed}; the longest of these times {longest:.2f} s")
    test.equal(unexplained, [], "every duplicate is explained by a kill")


def main(test):
    seed = int(os.environ.get("CRASH_SEED", random.randrange(10 ** 6)))
    print(f"seed {seed} (CRASH_SEED), {ROUNDS} rounds (CRASH_ROUNDS)", flush=True)
    rng = random.Random(seed)
    load = Load(test, seed)
    relay = test.relay(routes=load.routes, control={"retry": 2, "probefirst": 1, "probemax": 2,
                                                    "queuesegmentbytes": 4 << 20})
    load.start(relay)
    kills = crash_rounds(relay, rng)
    load.stop_clients()
    relay.wait_ready(30)
    try:
        relay.wait_drained()
    except Failed as e:
        test.check(False, "the queue gets empty", f"{e}: {relay.listed()[:5]}")
    ledger = load.ledger
    counts = {p: sum(1 for _, k in kills if k == p) for p in PROGRAMS}
    print(f"kills: {counts}\n{len(ledger.promised)} deliveries and {len(ledger.bounced)} notifications owed by a 250, "
          f"{ledger.unanswered} messages without a 250, {sum(map(len, ledger.arrived.values()))} copies arrived")
    test.check(len(ledger.promised) > 5 * ROUNDS, "there was load", str(len(ledger.promised)))
    test.check(len(kills) >= ROUNDS * 0.9 and min(counts.values()) > 0, "every program was killed", str(counts))
    test.equal(ledger.missing()[:20], [], "every message that was answered 250 has arrived")
    test.equal(ledger.corrupt, [], "none is corrupted")
    explain(test, ledger.duplicates(), kills)
    relay.down()
    test.equal(relay.queue_list().strip(), "", "nothing is left in queue/")
    test.check(not list((relay.directory / "queue/quarantine").glob("*")), "nothing was quarantined")


run(main)
