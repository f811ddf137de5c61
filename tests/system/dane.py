#!/usr/bin/python3
"""DANE (RFC 7672) with signed zones of nsd, validated by unbound: what the resolver says about each kind
of host, and what a whole relay does with its mail."""
# limit: 120
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from certificates import Certificate, tlsa_text
from relaytest import BUILD, run, run_program, wait_for
from remote_peer import Remote
from signedzones import SignedZones
from tlsmx import TlsMX, context

CONTENT = b"From: a@b.test\r\nSubject: dane\r\n\r\nhello\r\n"
WRONG = bytes(32)


def make_zones(test, certs):
    good, root = certs
    ee, ta, nobody = good.tlsa(3, 1, 1), root.tlsa(2, 0, 1), b"\x03\x01\x01" + WRONG
    lines, address = [], iter(range(100, 200))

    def host(name, *records, mail=True):
        lines.append(f"mx-{name} A {test.address(next(address))}")
        lines.extend(f"_25._tcp.mx-{name} {r if isinstance(r, str) else tlsa_text(r)}" for r in records)
        if mail:
            lines.append(f"{name} MX 10 mx-{name}")

    host("ee", ee)
    host("ta", ta)
    host("wrong", nobody)
    host("none")
    host("many", ee, good.tlsa(3, 1, 2), good.tlsa(3, 0, 2), good.tlsa(1, 1, 1), nobody)
    host("unusable", good.tlsa(1, 1, 1), good.tlsa(3, 1, 0), b"\x03\x01\x01short", b"\x03\x05\x01" + WRONG)
    host("tlsacname", "CNAME _tlsa")
    lines.append(f"_tlsa {tlsa_text(ee)}")
    host("cleartext")
    lines.append(f"_25._tcp.mx-cleartext {tlsa_text(ee)}")
    # Aliases of MX hosts: the records of the end count, else those of the alias.
    lines += ["alias MX 10 mx-alias", "mx-alias CNAME mx-ee", f"_25._tcp.mx-alias {tlsa_text(nobody)}",
              "alias2 MX 10 mx-alias2", "mx-alias2 CNAME mx-none", f"_25._tcp.mx-alias2 {tlsa_text(ee)}",
              "outalias MX 10 mx-outalias", "mx-outalias CNAME mx.plain.test."]
    # A delegation whose signatures cannot be right, and one to nobody.
    host("bogus")
    host("lame")
    lines += ["_tcp.mx-bogus NS ns", "_tcp.mx-bogus DS 12345 13 2 " + "ab" * 32, "_tcp.mx-lame NS dead",
              f"dead A {test.address(254)}"]
    lines += ["insecurehost MX 10 mx.plain.test.", "two MX 10 mx-bogus", "two MX 20 mx-ee",
              f"_2525._tcp.mx-none {tlsa_text(nobody)}"]
    dns = SignedZones(test.path("dns"), test.address(1), test.address(53), test.address(54))
    dns.zone("dane.test", lines, signed=True)
    dns.zone("_tcp.mx-bogus.dane.test", [f"_25 {tlsa_text(ee)}"])
    dns.zone("plain.test", [f"mx A {test.address(99)}", f"_25._tcp.mx {tlsa_text(nobody)}", "@ MX 10 mx-ee.dane.test.",
                            "own MX 10 mx"])
    dns.zone("broken.test", ["@ MX 10 mx-ee.dane.test."], signed=True)
    dns.zone("", ["test NS ns.dane.test."], signed=True)
    # Its zone is served without the signatures that its anchor promises.
    dns.zones[-2] = ("broken.test", dns.directory / "broken.test.zone")
    return test.ends(dns).start()


def check_resolver(test, dns, certs):
    ee, ta = certs[0].tlsa(3, 1, 1), certs[1].tlsa(2, 0, 1)
    remote = Remote(str(BUILD / "bin/relay-remote"), control={"resolver": f"{dns.resolver}\n", "mxlocal": f"{test.net}.0/24\n"})
    wanted = {
        "ee": ("r", "mx-ee", ee), "ta": ("r", "mx-ta", ta), "none": ("n", "", b""), "unusable": ("u", "", b""),
        "tlsacname": ("r", "mx-tlsacname", ee), "alias": ("r", "mx-ee", ee), "alias2": ("r", "mx-alias2", ee),
        "bogus": ("t", "", b""), "lame": ("t", "", b""), "insecurehost": ("i", "", b""), "outalias": ("i", "", b"")}
    for name, (status, base, records) in wanted.items():
        answer = remote.ask(f"{name}.dane.test", "M", 60)
        base = base and base + ".dane.test"
        test.equal((answer["status"], answer["dane"]), ("o", [(status, base, records)]), f"TLSA of {name}")
    many = remote.ask("many.dane.test", "M")["dane"][0]
    test.equal((many[0], sorted(len(r) for r in split(many[2]))), ("r", [67, 67]),
               "of two digests of one kind only the stronger counts; unusable ones do not")
    test.equal([d[0] for d in remote.ask("two.dane.test", "M")["dane"]], ["t", "r"], "each host has its own")
    test.equal(remote.ask("plain.test", "M")["dane"][0][0], "i", "an unsigned MX record proves nothing")
    test.equal(remote.ask("own.plain.test", "M")["dane"][0][0], "i", "nor does an unsigned zone")
    test.equal(remote.ask("broken.test", "M")["status"], "t", "a bogus MX record is no answer")
    test.equal(remote.ask("ee.dane.test", "m")["dane"][0][0], "-", "unasked, nothing is looked up")
    test.equal(remote.ask("mx-ee.dane.test", "H")["dane"], [("r", "mx-ee.dane.test", ee)], "of a host of control/smtproutes")
    test.equal(remote.ask("mx-none.dane.test", "H", port=2525)["dane"][0][0], "r", "each port has its own")
    test.equal(remote.ask("127.0.0.9", "H")["dane"][0][0], "-", "an address has none")
    remote.stop()
    far = Remote(str(BUILD / "bin/relay-remote"), control={"resolver": f"{dns.resolver}\n192.0.2.53\n",
                                                           "mxlocal": f"{test.net}.0/24\n"})
    test.equal(far.ask("ee.dane.test", "M")["dane"][0][0], "l", "a server that is not on this host is not believed")
    far.stop()


def check_validation(test, dns, certs):
    """A resolver that does not validate is told from names that are not signed, once."""
    words = "warning: resolver: the DNS server does not validate"
    for server, wanted in ((dns.resolver, 0), (dns.careless, 1)):
        remote = Remote(str(BUILD / "bin/relay-remote"), control={"resolver": f"{server}\n", "mxlocal": f"{test.net}.0/24\n"})
        test.equal(remote.ask("own.plain.test", "m")["dane"][0][0], "-", "TLSA records are not wanted: none is looked up")
        test.check(words not in remote.log(), "and the log has no warning", remote.log())
        for _ in range(3):
            test.equal(remote.ask("own.plain.test", "M")["dane"][0][0], "i", "a name that is not signed proves nothing")
        if wanted:
            wait_for(lambda r=remote: words in r.log(), "a resolver that does not validate: the log says so")
        status, _, records = remote.ask("ee.dane.test", "M")["dane"][0]
        test.equal((status, records), ("i", b"") if wanted else ("r", certs[0].tlsa(3, 1, 1)), "one that is")
        test.equal(remote.log().count(words), wanted, f"{server}: warnings")
        remote.stop()


def split(records):
    out = []
    while records:
        size = 3 + (32 if records[2] == 1 else 64)
        out.append(records[:size])
        records = records[size:]
    return out


def check_relay(test, dns, certs):
    good = certs[0]
    relay = test.relay(control={"tlspolicy": [":dane", "none.dane.test:dane:only"], "resolver": dns.resolver,
                                "mxlocal": f"{test.net}.0/24", "probefirst": 1, "retry": 600})
    addresses = {}
    for line in (dns.directory / "dane.test.zone").read_text().splitlines():
        if line.startswith("mx-") and " A " in line:
            addresses[line.split()[0][3:]] = line.split()[2]
    mxs = {}
    for name, ip in addresses.items():
        mxs[name] = TlsMX({}, context(good.full, good.key), offered=name != "cleartext", host=ip, port=25)
    for name in ("ee", "ta", "many", "tlsacname", "unusable"):
        relay.send("s@back.test", f"u@{name}.dane.test", CONTENT)
        wait_for(lambda n=name: mxs[n].tls_messages, f"mail to {name} arrives over TLS: {relay.log()[-1500:]}")
    relay.send("s@back.test", "u@plain.test", CONTENT)
    wait_for(lambda: len(mxs["ee"].tls_messages) == 2, "mail for an unsigned domain arrives")
    log = relay.log()
    for words in ("verify=dane-ee", "verify=dane-ta", "policy=encrypt", "policy=may"):
        test.check(words in log, f"the log has {words}")
    for name, words in (("wrong", "none of its 1 usable TLSA records is about its certificate"),
                        ("bogus", "its TLSA records could not be looked up"), ("lame", "could not be looked up"),
                        ("cleartext", "it does not offer STARTTLS"), ("none", "no TLSA records in a signed zone")):
        ident = relay.send("s@back.test", f"u@{name}.dane.test", CONTENT)
        def why(i=ident):
            return [r for r in relay.why(i) if r["state"] == "waiting"]
        row = wait_for(why, f"mail to {name} waits: {relay.log()[-1500:]}", 40)[0]
        test.check(row["state"] == "waiting" and words in row["last"], f"mail to {name} waits, and why says so", row)
        test.equal((mxs[name].messages, mxs[name].tls_messages), ([], []), f"nothing went to {name}")
    relay.send("s@back.test", "u@two.dane.test", CONTENT)
    wait_for(lambda: len(mxs["ee"].tls_messages) == 3, "the next MX is used where one has bogus records")
    check_person(test, relay)


def check_person(test, relay):
    def says(domain):
        return run_program(BUILD / "bin/relay-remote", "-d", relay.directory, "--check", domain, check=False)
    done = says("EE.Dane.test")
    for words in ("dane", "TLSv1.2", "verify=dane-ee", "3 1 1"):
        test.check(words in done.stdout, f"--check says {words}", done.stdout)
    test.check("validate" not in done.stdout, "and nothing about a resolver that validates", done.stdout)
    test.equal(done.returncode, 0, "--check of a good domain")
    done = says("own.plain.test")
    test.check("TLSA: not looked at: its MX or address records are not signed\n" in done.stdout,
               "--check of an unsigned domain", done.stdout)
    done = says("wrong.dane.test")
    test.check("none of its 1 usable" in done.stdout and done.returncode == 111, "--check of one whose mail waits",
               f"{done.returncode} {done.stdout}")


def check_careless(test, dns):
    directory = test.path("careless")
    (directory / "control").mkdir()
    for name, text in (("me", "relay.test"), ("tlspolicy", ":dane"), ("mxlocal", f"{test.net}.0/24"),
                       ("resolver", dns.careless)):
        (directory / "control" / name).write_text(f"{text}\n")
    done = run_program(BUILD / "bin/relay-remote", "-d", directory, "--check", "ee.dane.test", check=False)
    for words in ("warning: the DNS server does not validate", "TLSA: not looked at: the DNS server does not validate",
                  "dane (control/tlspolicy, \":\"), so may"):
        test.check(words in done.stdout, f"--check with such a resolver says {words}", done.stdout)


def main(test):
    root = Certificate(test.path("certs"), "root", ca=True)
    good = Certificate(test.path("certs"), "good", root, names=["mx-ta.dane.test", "other.test"])
    dns = make_zones(test, (good, root))
    check_resolver(test, dns, (good, root))
    check_validation(test, dns, (good, root))
    check_relay(test, dns, (good, root))
    check_careless(test, dns)


run(main, root=True, tools=["unbound", "nsd", "ldns-signzone", "ldns-keygen", "drill"])
