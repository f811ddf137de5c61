#!/usr/bin/python3
"""svc -t under load: nothing is lost, and nothing comes twice, because TERM waits for final dots."""
# limit: 120
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from load import Load
from relaytest import run, wait_for


def main(test):
    seed = random.randrange(10 ** 6)
    print(f"seed {seed}")
    load = Load(test, seed, clients=3)
    relay = test.relay(routes=load.routes, control={"retry": 1, "probefirst": 1, "probemax": 1})
    load.start(relay)
    for n in range(8):
        time.sleep(1)
        before = relay.pids("relay-send")
        relay.svc("-t", "send")
        if n % 3 == 2:
            relay.svc("-t", "smtpd")
        wait_for(lambda: set(relay.pids("relay-send")) - set(before), f"restart {n + 1}", 30)
        relay.wait_ready(30)
    load.stop_clients()
    relay.wait_empty(40)
    ledger = load.ledger
    print(f"{len(ledger.promised)} deliveries and {len(ledger.bounced)} notifications owed by a 250, "
          f"{ledger.unanswered} messages without a 250")
    test.check(len(ledger.promised) > 100, "there was load", str(len(ledger.promised)))
    test.equal(ledger.missing()[:20], [], "every message that was answered 250 has arrived")
    test.equal(ledger.corrupt, [], "none is corrupted")
    test.equal(dict(list(ledger.duplicates().items())[:10]), {}, "none came twice")


run(main)
