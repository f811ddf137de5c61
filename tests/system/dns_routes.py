#!/usr/bin/python3
"""Where mail goes: MX, A and AAAA answers of tinydns, control/smtproutes, and what cannot be routed."""
# limit: 200
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver, Tinydns
from relaytest import BUILD, Failed, run, run_program, wait_for

CONTENT = b"From: a@b.test\r\nSubject: route\r\n\r\nhello\r\n"
SENDER = "sender@back.test"


def zone(test, dns):
    one, two, dead = test.address(31), test.address(32), test.address(39)
    dns.zone("test")
    dns.mx("back.test", "mx.back.test", 10, test.address(30))
    dns.mx("prefer.test", "one.test", 10).mx("prefer.test", "two.test", 20)
    dns.mx("reversed.test", "one.test", 30).mx("reversed.test", "two.test", 5)
    dns.mx("fallover.test", "dead.test", 10).mx("fallover.test", "two.test", 20)
    dns.host("one.test", one).host("two.test", two).host("dead.test", dead).host("aonly.test", one)
    dns.null_mx("null.test")
    dns.mx("self.test", "relay.test", 10).mx("self.test", "one.test", 20).host("relay.test", "127.0.0.1")
    dns.mx("behind.test", "two.test", 5).mx("behind.test", "relay.test", 10).mx("behind.test", "one.test", 20)
    dns.add("'textonly.test:no mail here:60")
    dns.host6("six.test", socket.inet_pton(socket.AF_INET6, "::1"))
    # A referral proves nothing about the domain (RFC 2308 2.2), nor does silence (silent.example).
    dns.add(f"&referred.test:{test.address(38)}:ns.referred.test:60")


def relay_for(test, six_port):
    one, two = test.port(), test.port()
    routes = [f"routed.test:{test.address(33)}:{one}", f".sub.test:{test.address(33)}:{two}",
              "byname.test:one.test:25", f"[192.0.2.9]:{test.address(33)}:{one}",
              f"six.route.test:[::1]:{six_port}", "exact.sub.test:", "gone.test:nosuch.test"]
    relay = test.relay(routes=routes, control={
        "resolver": f"{test.address(53)}:53", "mxlocal": [f"{test.net}.0/24", "::1"],
        "timeoutconnect": 3, "retry": 600})
    return relay, test.ends(Receiver(test.address(33), one)), test.ends(Receiver(test.address(33), two))


def check_routes(test, relay, wanted):
    """wanted: recipient to receiver."""
    for rcpt in wanted:
        relay.send(SENDER, rcpt, CONTENT)
    for rcpt, receiver in wanted.items():
        def arrived():
            return [m for m in receiver.messages if rcpt in m.rcpt_tos]
        try:
            wait_for(arrived, f"{rcpt} arrives", 15)
        except Failed as e:
            test.check(False, f"{rcpt} goes to {receiver.address}:{receiver.port}", f"{e} {relay.listed()}")
            continue
        test.equal(len(arrived()), 1, f"{rcpt} goes to {receiver.address}:{receiver.port}")


def check_bounces(test, relay, back, wanted):
    """wanted: recipient to (status, words of the reason)."""
    back.messages.clear()
    for rcpt in wanted:
        relay.send(SENDER, rcpt, CONTENT)
    for rcpt, (status, words) in wanted.items():
        def notices():
            return [m.content.decode() for m in back.messages if f"rfc822; {rcpt}" in m.content.decode()]
        wait_for(notices, f"a notification about {rcpt}", 20)
        notice = notices()[0]
        test.check(f"Status: {status}" in notice, f"{rcpt} bounces with {status}", notice)
        test.check(words in notice, f"its reason has {words!r}", notice)


def check_person(test, relay, receivers):
    """relay-remote --check goes the same ways."""
    routed, below, one = (f"{r.address}:{r.port}" for r in receivers)
    at_one, at_routed = one.split(":")[0], routed.split(":")[0]
    wanted = {  # domain: (status, words)
        "Routed.test": (0, f"routed.test goes to an address\n  control/smtproutes:1: routed.test:{routed}\n", at_routed),
        "y.z.sub.test": (0, f"control/smtproutes:2: .sub.test:{below}\n", at_routed),
        "byname.test": (0, "control/smtproutes:3: byname.test:one.test:25\n  host one.test, port 25\n", at_one),
        "exact.sub.test": (100, "exact.sub.test does not exist", "smtproutes:6: exact.sub.test::25\n"),
        "gone.test": (111, "gone.test has no usable host in control/smtproutes: mail waits", "smtproutes:7: gone.test:nosuch.test"),
        "aonly.test": (0, "aonly.test has no MX; mail goes to its address (RFC 5321 5.1)\n  no MX; address record of aonly.test\n",
                       at_one),
        "prefer.test": (0, "prefer.test mail goes to its MXs\n  MX 10 one.test\n  MX 20 two.test\n", at_one),
        "[127.0.0.1]": (100, "[127.0.0.1] is a local address, or malformed: mail is refused, 5.4.6", ""),
        "null.test": (100, "null MX", "")}
    for domain, (status, *words) in wanted.items():
        done = run_program(BUILD / "bin/relay-remote", "-d", relay.directory, "--check", domain, check=False)
        test.equal(done.returncode, status, f"--check {domain}: status {status}")
        test.check(all(w in done.stdout for w in words), f"--check {domain} says where its mail goes", done.stdout + done.stderr)
        test.equal("control/smtproutes:" in done.stdout, any("smtproutes:" in w for w in words),
                   "with the line that decided, if one did")
    (relay.directory / "control/smtproutes").open("a").write(":one.test\n")
    done = run_program(BUILD / "bin/relay-remote", "-d", relay.directory, "--check", "any.example", check=False)
    test.check("control/smtproutes:8: :one.test:25\n" in done.stdout and done.returncode == 0, "the default line counts, too",
               done.stdout + done.stderr)


def check_deferred(test, relay, rcpt, words):
    ident = relay.send(SENDER, rcpt, CONTENT)
    def deferred():
        found = relay.why(ident)
        return found and found[0]["state"] == "waiting" and found[0]
    row = wait_for(deferred, f"{rcpt} is deferred", 40)
    test.equal(row["state"], "waiting", f"{rcpt} waits")
    test.check(words in row["last"] + row["reason"], f"relay-ctl why {rcpt} has {words!r}", str(row))


def main(test):
    dns = test.ends(Tinydns(test.path("dns"), test.address(53)))
    zone(test, dns)
    dns.start()
    back, one, two = (test.ends(Receiver(test.address(n), 25)) for n in (30, 31, 32))
    six_port = test.port()
    six = test.ends(Receiver("::1", six_port))
    relay, routed, below = relay_for(test, six_port)
    check_routes(test, relay, {
        "a@prefer.test": one, "a@reversed.test": two, "a@aonly.test": one, "a@behind.test": two,
        "a@fallover.test": two, "a@routed.test": routed, "a@x.sub.test": below, "a@y.z.sub.test": below,
        "a@byname.test": one, "a@[192.0.2.9]": routed, "a@six.route.test": six})
    check_bounces(test, relay, back, {
        "a@null.test": ("5.1.10", "null.test"), "a@nosuch.test": ("5.1.2", "nosuch.test"),
        "a@self.test": ("5.4.6", "self.test"), "a@textonly.test": ("5.1.2", "textonly.test"),
        # A stranger's literal never makes the relay talk to its own host.
        f"a@[{test.address(32)}]": ("5.4.6", "literal"), "a@[IPv6:::1]": ("5.4.6", "literal")})
    check_person(test, relay, (routed, below, one))
    for domain in ("silent.example", "referred.test"):
        check_deferred(test, relay, f"a@{domain}", domain)
    check_ipv6(test, relay)


def check_ipv6(test, relay):
    """Port 25 of ::1 is one for the whole machine: only if nobody has it."""
    try:
        six = test.ends(Receiver("::1", 25))
    except OSError as e:
        print(f"not checked: AAAA (::1 port 25: {e})")
        return
    check_routes(test, relay, {"a@six.test": six})


run(main, root=True, tools=["tinydns"])
