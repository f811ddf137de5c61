#!/usr/bin/python3
"""A real Postfix as MX, with the limits of anvil(8): so many connections, so many messages a minute from
one client. The relay learns the first, and paces itself by the second."""
# limit: 200
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Postfix
from relaytest import Client, run, wait_for


def mx(test, name, address, *settings):
    """Takes mail for everybody, drops it, and counts everybody."""
    return test.ends(Postfix(test.path(name), address, 25, f"myhostname={name}.test", "smtpd_client_event_limit_exceptions=",
                             "mydestination=", "relay_domains=static:all", "relay_transport=discard:",
                             "smtpd_recipient_restrictions=reject_unauth_destination", "mynetworks=192.0.2.1/32",
                             *settings))


def site(relay, postfix):
    return next(r for r in relay.ctl_json("stat") if r["row"] == "site" and postfix.host in r["site"])


def send(relay, domain, count):
    content = b"Subject: x\r\n\r\n" + b"0123456789" * 20 + b"\r\n"
    with Client(relay) as client:
        for n in range(count):
            client.message("s@source.test", [f"u{n}@{domain}"], content)


def taken(postfix):
    return postfix.log().count("status=sent (")


def check_connections(test, relay, postfix, count=600):
    relay.ctl("hold", "all")  # so that there is a backlog, however slow the machine is
    send(relay, "conn.test", count)
    relay.ctl("release", "all")
    relay.wait_empty(90)
    log = postfix.log()
    refused = log.count("too many connections from") or log.count("Connection concurrency limit exceeded")
    test.check(taken(postfix) >= count, "all mail is taken", taken(postfix))
    test.check(1 <= refused <= 6, "the limit is met few times", refused)
    row = site(relay, postfix)
    test.check(row["ceiling"] == 6 and "too many connections" in row["trouble"], "and learnt", row)
    attempts = [line for line in relay.log("send").splitlines() if " = attempt " in line and "deferred=0" not in line]
    test.equal(attempts, [], "no recipient was deferred for it")


def check_rate(test, relay, postfix, limit):
    relay.ctl("hold", "all")
    send(relay, "rate.test", limit + 30)
    relay.ctl("release", "all")
    wait_for(lambda: "kind=rate" in relay.log("send"), "the rate is complained about", 30)
    row = site(relay, postfix)
    test.check(0 < row["rate"] <= limit, "the learnt rate is not above Postfix's", row)
    test.check("too much mail from" in row["trouble"] and row["kind"] == "rate", "from its own words", row)
    refused = postfix.log().count("Message delivery request rate limit exceeded")
    test.check(1 <= refused <= 25, "it was asked for more only by what was under way", refused)
    test.check(row["waiting"] >= 5, "the rest waits", row)
    # anvil's minute is three seconds here, so that what was learnt is soon more than enough
    wait_for(lambda: taken(postfix) >= limit + 30 or site(relay, postfix)["waiting"] < row["waiting"],
             "then it goes on", 60)
    deferred = [line for line in relay.log("send").splitlines() if " = attempt " in line and "4.7.1" in line]
    test.equal(deferred, [], "nobody's attempt was spent")


def main(test):
    one, two = test.address(31), test.address(32)
    conn = mx(test, "conn", one, "smtpd_client_connection_count_limit=6")
    rate = mx(test, "rate", two, "smtpd_client_message_rate_limit=40", "anvil_rate_time_unit=5s")
    relay = test.relay(routes=[f"conn.test:[{one}]:25", f"rate.test:[{two}]:25"],
                       control={"probefirst": "3", "probemax": "5"})
    check_connections(test, relay, conn)
    check_rate(test, relay, rate, 40)


run(main, root=True, tools=["postfix"])
