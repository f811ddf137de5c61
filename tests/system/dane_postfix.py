#!/usr/bin/python3
"""DANE with a real Postfix on both sides: as the MX that TLSA records are about, and as the client that
looks for those of relay-smtpd. A record that is wrong stops mail, and none goes in clear text."""
# limit: 60
# asan: no
import re
import smtplib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from peers import Postfix, PostfixMX
from relaytest import Skip, run, run_program, wait_for
from signedzones import SignedZones

CONTENT = b"From: a@b.test\r\nSubject: dane %s\r\n\r\nhello\r\n"


def make_zones(test, hosts):
    """NAME.dane.test has the MX host mx-NAME.dane.test, with an address and a TLSA record."""
    lines = []
    for name, address, record in hosts:
        lines += [f"{name} MX 10 mx-{name}", f"mx-{name} A {address}",
                  f"_25._tcp.mx-{name} {certificates.tlsa_text(record)}"]
    dns = SignedZones(test.path("dns"), test.address(1), test.address(53))
    dns.zone("dane.test", lines, signed=True)
    return test.ends(dns).start()


def check_relay_verifies(test, relay, mx):
    for count, (name, how) in enumerate((("ee", "dane-ee"), ("ta", "dane-ta")), 1):
        relay.send("s@back.test", f"u@{name}.dane.test", CONTENT % name.encode())
        wait_for(lambda n=count: len(mx.delivered()) == n, f"mail to {name} is delivered: {relay.log()[-1500:]}")
        test.check(re.search(rf"= tls host=mx-{name}\.dane\.test\S* tls=TLSv1\.2,\S+ resumed=0 verify={how} policy=dane",
                             relay.log()), f"{name}: the log has {how}", relay.log()[-2000:])
    for name in ("noee", "nota"):
        ident = relay.send("s@back.test", f"u@{name}.dane.test", CONTENT % name.encode())
        row = relay.wait_tried(ident)[0]
        test.check(row["state"] == "waiting" and "none of its 1 usable TLSA records is about its certificate" in row["last"],
                   f"mail to {name} waits, and why says so", row)
    test.equal(len(re.findall(r": client=", mx.log())), 2, "Postfix has seen no other envelope")


def send(msa, rcpt):
    with smtplib.SMTP(msa.host, msa.port, local_hostname="client.test", timeout=30) as client:
        client.sendmail("s@back.test", [rcpt], CONTENT % b"in")


def check_postfix_verifies(test, relay, msa, mx):
    """Good: on through the relay to the other Postfix, whose TLSA records the relay has looked up."""
    send(msa, "u@in.dane.test")
    wait_for(lambda: len(mx.delivered()) == 3, f"mail goes from Postfix to Postfix: {msa.log()[-2000:]}")
    for text in mx.delivered():
        test.check(re.search(r"by mx\.dane\.test \(Postfix\) with ESMTPS", text), "Postfix's Received line has TLS", text)
    test.check(re.search(r"Verified TLS connection established to mx-in\.dane\.test\[\S+ TLSv1\.2 with cipher ECDHE-ECDSA",
                         msa.log()), "Postfix has verified relay-smtpd", msa.log()[-2000:])
    send(msa, "u@notin.dane.test")
    found = wait_for(lambda: re.search(r"to=<u@notin\.dane\.test>.*status=(\w+) (.*)", msa.log()),
                     f"mail by a wrong record has been tried: {msa.log()[-2000:]}")
    test.equal(found.group(1), "deferred", "it is deferred")
    test.check("Server certificate not" in found.group(2), "because of the certificate", found.group(0))
    test.check("u@notin.dane.test" not in relay.log("smtpd"), "the relay has not heard of it")


def main(test):
    if run_program("unshare", "-m", "true", check=False).returncode:
        raise Skip("no mount namespace can be made")
    mx_address, relay_address = test.address(25), test.address(26)
    root = certificates.Certificate(test.path("certs"), "root", ca=True)
    good = certificates.Certificate(test.path("certs"), "good", root, names=["mx-ta.dane.test", "mx-nota.dane.test"])
    mine = certificates.self_signed(test.path("relay") / "control/tls", "ec", "mx-in.dane.test")
    other = certificates.Certificate(test.path("certs"), "other", ca=True)
    dns = make_zones(test, (
        ("ee", mx_address, good.tlsa(3, 1, 1)), ("ta", mx_address, root.tlsa(2, 1, 1)),
        ("noee", mx_address, other.tlsa(3, 1, 1)), ("nota", mx_address, other.tlsa(2, 1, 1)),
        ("in", relay_address, mine.tlsa(3, 1, 1)), ("notin", relay_address, other.tlsa(3, 1, 1))))
    mx = test.ends(PostfixMX(test.path("mx"), mx_address, 25, "mx.dane.test",
                             good.key.read_text() + good.full.read_text()))
    relay = test.relay(listen=(relay_address, 25), routes=["in.dane.test:mx-ee.dane.test"], control={
        "tlspolicy": ":dane", "resolver": dns.resolver, "mxlocal": f"{test.net}.0/24", "retry": 600,
        "servercert": "tls/ec.pem tls/ec.key"})
    check_relay_verifies(test, relay, mx)
    msa = test.ends(Postfix(test.path("msa"), "127.0.0.1", test.port(), "disable_dns_lookups=no", "smtp_host_lookup=dns",
                            "smtp_dns_support_level=dnssec", "smtp_tls_security_level=dane", "smtp_tls_loglevel=1",
                            resolver=dns.resolver))
    check_postfix_verifies(test, relay, msa, mx)


run(main, root=True, tools=["postfix", "unbound", "nsd", "ldns-signzone", "ldns-keygen", "drill", "openssl", "unshare"])
