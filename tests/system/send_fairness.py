#!/usr/bin/python3
"""One tenant's flood or one slow MX never delays another's mail: relay-send with stand-ins for relay-queue,
relay-remote and the resolver. What is counted is turns, that is transactions of others, never seconds."""
# limit: 120
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import run, wait_for
from send_process import Send

counter = 0


def start(test, **control):
    global counter
    counter += 1
    send = test.ends(Send(test.path(f"send{counter}"), {"retry": "60", "timeoutidle": "60", **control}))
    send.told()
    send.pump(lambda: "queue messages" in send.log_text())
    send.jobs = []
    send.mx = send.jobs.append  # each hangs until the test lets it go
    return send


def stat(send, kind):
    return [r for r in json.loads(send.ctl("--json", "stat").stdout) if r["row"] == kind]


def holds(send, tenant):
    return next((r["workers"] for r in stat(send, "tenant") if r["tenant"] == tenant), 0)


def flood(send, tenant, sites, each):
    for n in range(sites * each):
        send.message(f"u{n}@{tenant}{n % sites}.test", tenant=tenant)


def check_many_sites(test):
    """One tenant's mail for thirty MXs that never answer."""
    send = start(test, concurrencyremote="40")
    flood(send, "m", 30, 20)
    send.pump(lambda: len(send.jobs) == 20)
    send.still()
    test.equal((len(send.jobs), holds(send, "m")), (20, 20), "a flood to thirty slow MXs takes half of all connections")
    held = len(send.jobs)
    ids = {send.message(f"a{n}@quiet.test", tenant="a")[1] for n in range(4)}
    send.pump(lambda: len(send.jobs) == held + 4)
    test.equal({w.id for w in send.jobs[held:]}, ids, "another tenant's mail starts at once, none of the flood having ended")
    row = next(r for r in json.loads(send.ctl("--json", "list", "tenant:m").stdout) if r["state"] == "ready")
    reason = json.loads(send.ctl("--json", "why", row["id"]).stdout)[0]["reason"]
    test.check("tenant m holds its share of all connections (20 of 40" in reason, "why says so of the flood", reason)


def check_many_tenants(test, tenants=15):
    """Each tenant floods an MX of its own that never answers."""
    send = start(test, concurrencyremote="64")
    for n in range(tenants):
        flood(send, f"t{n}-", 1, 50)
    send.pump(lambda: len(send.jobs) >= 50, 5)
    send.still()
    shares = [holds(send, f"t{n}-") for n in range(tenants)]
    test.check(min(shares) >= 1 and sum(shares) < 64, "each has some, and not all are taken", shares)
    before = len(send.jobs)
    _, ident = send.message("a@new.test", tenant="new")
    send.pump(lambda: len(send.jobs) > before)
    test.equal([w.id for w in send.jobs[before:]], [ident], "the next tenant starts at once")
    for w in send.jobs[:before]:
        w.deliver()
    send.pump(lambda: len(send.results) >= before)
    send.still()
    after = [holds(send, f"t{n}-") for n in range(tenants)]
    test.check(max(after) - min(after) <= max(2, min(after)), "shares are alike when connections have changed hands", after)


def deliver_in_turn(send, count):
    """Lets count transactions end, one after the other; whose each was."""
    order = []
    while len(order) < count and send.pump(lambda: send.jobs, 5):
        w = send.jobs.pop(0)
        order.append(send.tenant_of[w.id])
        done = len(send.results)
        w.deliver()
        send.pump(lambda: len(send.results) > done)
    return order


def check_one_site(test):
    """Three tenants' mail for one MX."""
    send = start(test, concurrencysite="4")
    send.tenant_of = {}

    def message(tenant, **how):
        _, ident = send.message("u@shared.test", tenant=tenant, **how)
        send.tenant_of[ident] = tenant
        return ident
    for _ in range(300):
        message("m")
    send.pump(lambda: len(send.jobs) == 4)
    for _ in range(10):
        message("a")
        message("c")
    wait_for(lambda: json.loads(send.ctl("--json", "stat").stdout)[0]["messages"] == 320, "relay-send knows of all")
    order = deliver_in_turn(send, 60)
    last = max(n for n, t in enumerate(order) if t != "m")
    test.equal((order.count("a"), order.count("c")), (10, 10), "a's and c's ten messages go within the next sixty")
    test.check(last < 4 + 3 * 10, "each waits for its turn among three, whatever m has queued", last)

    send = start(test, concurrencysite="1")
    send.tenant_of = {}
    send.pause(True)
    for n, priority in enumerate((50, 0, 99, 10, 99, 50)):
        send.tenant_of[send.message("u@order.test", priority=priority)[1]] = (priority, n)
    send.pause(False)
    test.equal(deliver_in_turn(send, 6), [(99, 2), (99, 4), (50, 0), (50, 5), (10, 3), (0, 1)],
               "RELAYPRIORITY orders a tenant's mail, first in first out within each")


def check_idle(test):
    """Idle connections whose QUIT is never answered are nobody's share."""
    send = start(test, concurrencyremote="16")
    send.mx = lambda w: w.deliver()
    send.quit = lambda w: None
    for n in range(16):
        send.message(f"u@idle{n}.test", tenant="m")
        send.pump(lambda n=n: len(send.results) == n + 1, 2)
    done = len(send.results)
    relay = stat(send, "relay")[0]
    test.check(done >= 14 and relay["workers"] <= 16, "connections to as many MXs are kept", (done, relay["workers"]))
    for w in [w for w in send.workers if w.quit]:
        w.close()
    send.still()
    kept = stat(send, "relay")[0]["workers"]
    test.check(kept <= 14, "but some room is left for who comes next", kept)
    send.quit = lambda w: None
    send.jobs.clear()
    send.mx = send.jobs.append
    _, ident = send.message("a@new.test", tenant="a")
    send.pump(lambda: send.jobs)
    test.equal([w.id for w in send.jobs], [ident], "who waits for no QUIT")


def main(test):
    for check in (check_many_sites, check_many_tenants, check_one_site, check_idle):
        check(test)


run(main)
