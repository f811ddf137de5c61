#!/usr/bin/python3
"""relay-remote's TLS: broken and bad MXs x what control/tlspolicy demands, with the verdict of each;
what a session is resumed for; that workers share no randomness."""
# limit: 120
import concurrent.futures
import hashlib
import os
import ssl
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badmx import CLOSE, HANG  # noqa: E402
from certificates import Certificate  # noqa: E402
from remote_peer import Message, Remote  # noqa: E402
from tlsmx import TlsMX, context  # noqa: E402

PROGRAM = os.environ["BUILD"] + "/bin/relay-remote"
DIR = Path(os.environ.get("TEST_DIR") or tempfile.mkdtemp(prefix="remote-tls."))
CONTENT = b"Subject: test\r\n\r\nline\r\n"
NAME = "mx.test.example"
failures = []


def wrong(name, text):
    failures.append(name)
    print(f"{name}: {text}")


def make_certificates():
    """All kinds by name."""
    def nc(where):
        return [f"nameConstraints={where}permitted;DNS:test.example"]
    c = {}
    c["root"] = root = Certificate(DIR, "root", ca=True)
    c["other"] = other = Certificate(DIR, "other", ca=True)
    c["middle"] = middle = Certificate(DIR, "middle", root, ca=True)
    loose, strict = (Certificate(DIR, n, root, ca=True, extra=nc(w))
                     for n, w in (("nc", ""), ("nc-critical", "critical,")))
    weak = Certificate(DIR, "weakca", root, key="rsa1024", ca=True)
    leaf = Certificate(DIR, "leaf", root)  # no CA, and signs all the same
    names = [NAME, "also.test.example"]
    c["good"] = Certificate(DIR, "good", middle, names=names)
    c["rsa"] = Certificate(DIR, "rsa", middle, key="rsa", names=names)
    c["wildcard"] = Certificate(DIR, "wildcard", middle, names=["*.test.example"])
    c["wide wildcard"] = Certificate(DIR, "wide", middle, names=["*.example", "*"])
    c["expired"] = Certificate(DIR, "expired", middle, names=names, expired=True)
    c["wrong name"] = Certificate(DIR, "wrong", middle, names=["other.example"])
    c["common name only"] = Certificate(DIR, "cn", middle, cn=NAME)
    c["self-signed"] = Certificate(DIR, "self", names=names)
    c["unknown authority"] = Certificate(DIR, "unknown", other, names=names)
    c["SHA-1"] = Certificate(DIR, "sha1", middle, names=names, digest="sha1")
    c["RSA-1024"] = Certificate(DIR, "rsa1024", middle, key="rsa1024", names=names)
    c["RSA-PSS"] = Certificate(DIR, "pss", middle, key="rsapss", names=names)
    c["nameConstraints"] = Certificate(DIR, "ncleaf", loose, names=names)
    c["critical nameConstraints"] = Certificate(DIR, "ncleaf2", strict, names=names)
    c["long chain"] = Certificate(DIR, "long", middle, names=names)
    with open(c["long chain"].full, "a") as full:
        full.write(root.path.read_text() * 9)
    c["weak authority"] = Certificate(DIR, "byweak", weak, names=names)
    c["signed by a leaf"] = Certificate(DIR, "byleaf", leaf, names=names)
    return c


def run_all(jobs):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for f in [pool.submit(*job) for job in jobs]:
            f.result()


DEMANDS = ("none", "may", "encrypt", "verify", "fingerprint", "key", "dane-ee", "dane-ta")


def demand(kind, cert, certs, name=NAME):
    """What relay-send would say (lib/work_tls.h), for this certificate."""
    root = certs["other"] if cert.issuer is certs["other"] else certs["root"]
    return {
        "none": ("n", name, "", "", "", ""), "may": ("m", name, "", "", "", ""),
        "encrypt": ("e", name, "", "", "", ""), "verify": ("v", name, name, "", "", ""),
        "fingerprint": ("f", name, "", "", bytes(32) + hashlib.sha256(cert.der).digest(), ""),
        "key": ("f", name, "", "", hashlib.sha256(cert.public_key).digest(), ""),
        "dane-ee": ("d", name, name, "", cert.tlsa(3, 1, 1), ""),
        "dane-ta": ("d", name, name, "", root.tlsa(2, 0, 1), ""),
        "dane-ta of its issuer": ("d", name, name, "", (cert.issuer or cert).tlsa(2, 1, 1), "")}[kind]


# certificate: over TLS (t), in clear text (c) or deferred (x), in the order of DEMANDS; words of verify's x
CERTIFICATES = {
    "good": ("ctttttt" "t", ""), "rsa": ("ctttttt" "t", ""), "wildcard": ("ctttttt" "t", ""),
    "wide wildcard": ("cttxtttx", "for *.example *, not for mx.test.example"),
    "expired": ("cttxtttx", "has expired or is not yet valid (the first is good until 2021-01-01)"),
    "wrong name": ("cttxtttx", "its certificate is for other.example, not for mx.test.example"),
    "common name only": ("cttxtttx", "its certificate is for no host name"),
    "self-signed": ("cttxtttx", "no trusted authority has signed its certificate (issuer \"self\")"),
    "unknown authority": ("cttxttt" "t", "no trusted authority"),
    "SHA-1": ("cttxtttx", "SHA-1"), "RSA-1024": ("cttxxxxx", "less than 2048 bits"),
    "RSA-PSS": ("ccxxxxxx", "handshake failure"),
    "nameConstraints": ("cttxtttx", "nameConstraints"),
    "critical nameConstraints": ("cttxtttx", "critical extension"),
    "long chain": ("ccxxxxxx", "more than 10 certificates"),
    "signed by a leaf": ("cttxtttx", "no CA"), "weak authority": ("cttxtttx", "less than 2048 bits"),
}

# The authority that a DANE-TA record names is what is wrong.
ISSUERS = {"good": ("t", ""), "nameConstraints": ("x", "nameConstraints"),
           "critical nameConstraints": ("x", "nameConstraints"), "signed by a leaf": ("x", "no CA"),
           "weak authority": ("x", "less than 2048 bits")}

# behaviour: script, offered, words of the reason; clear text under none and may, deferred under all else
BROKEN = {
    "TLS 1.3 only": ({}, True, "protocol version"),
    "TLS 1.1 only": ({}, True, ""),
    "static RSA only": ({}, True, "handshake failure"),
    "closes in the handshake": ({"handshake": CLOSE}, True, "handshake"),
    "garbage in the handshake": ({"handshake": b"\x00\xff" * 500}, True, "not TLS"),
    "SMTP in the handshake": ({"handshake": b"500 what?\r\n"}, True, "not TLS"),
    "an alert": ({"handshake": b"\x15\x03\x03\x00\x02\x02\x28"}, True, "handshake failure"),
    "half a record": ({"handshake": b"\x16\x03\x03\x40\x00\x02"}, True, "handshake"),
    "never answers": ({"starttls": [HANG]}, True, "timed out"),
    "silent in the handshake": ({"handshake": lambda c: time.sleep(600)}, True, "timeout"),
    "injection": ({"starttls": b"220 go\r\n250 2.0.0 injected\r\n"}, True, "clear text came behind"),
    "refused 454": ({"starttls": b"454 4.7.0 not now\r\n"}, True, "454 4.7.0 not now"),
    "refused 502": ({"starttls": b"502 what\r\n"}, True, "502 what"),
    "garbled answer": ({"starttls": b"hello\r\n"}, True, "garbled"),
    "not offered": ({}, False, "does not offer STARTTLS"),
}


def contexts(certs):
    def of(name, **how):
        return context(certs[name].full, certs[name].key, **how)
    v = ssl.TLSVersion
    special = {"TLS 1.3 only": of("good", low=v.TLSv1_3, high=v.TLSv1_3),
               "TLS 1.1 only": of("good", low=v.TLSv1, high=v.TLSv1_1),
               "static RSA only": of("rsa", ciphers="kRSA")}
    return special, of


def deliver(remote, mx, demanded, name, helo=5):
    """Opened, found, worker: of one message on a new connection."""
    w = remote.worker().open([(NAME, "127.0.0.1", mx.port)], tls=[demanded], helo=helo)
    opened = w.opened(60)
    if opened is None:
        wrong(name, "the worker ended")
        return None, None, w
    if opened[0] == "N":
        return opened, None, w
    result = w.deliver(Message(["a@b.example"], CONTENT), timeout=30)
    w.quit()
    return opened, result[0][0] if result else None, w


def check(remote, mx, kind, demanded, wanted, words, name):
    opened, found, w = deliver(remote, mx, demanded, name, helo=1)
    name = f"{name}, {kind}"
    if wanted == "x":
        if opened[0] != "N" or opened[1]["verdict"] + opened[1]["stage"] != "tt" \
                or not opened[1]["status"].startswith("4.7.") or mx.messages or mx.tls_messages:
            wrong(name, f"not deferred: {opened} {found}")
        elif words not in opened[1]["reply"]:
            wrong(name, f"{opened[1]['reply']!r} has no {words!r}")
        return
    if found is None or found["verdict"] != "d":
        wrong(name, f"not delivered: {opened} {found}")
        return
    if (len(mx.messages), len(mx.tls_messages)) != ((1, 0) if wanted == "c" else (0, 1)):
        wrong(name, f"{len(mx.messages)} in clear text, {len(mx.tls_messages)} in TLS; {w.tls}")
    if (w.tls["facts"] == "none") != (wanted == "c"):
        wrong(name, f"facts {w.tls['facts']}")


def run_certificate(remote, certs, of, name, kind, wanted, words):
    mx = TlsMX({}, of(name))
    check(remote, mx, kind, demand(kind, certs[name], certs), wanted, words, f"certificate {name}")
    if wanted == "t" and mx.sni != [NAME]:
        wrong(name, f"SNI {mx.sni}")
    mx.close()


def run_broken(remote, certs, special, of, name, kind):
    script, offered, words = BROKEN[name]
    mx = TlsMX(script, special.get(name) or of("good"), offered=offered)
    wanted = "c" if kind in ("none", "may") else "x"
    check(remote, mx, kind, demand(kind, certs["good"], certs), wanted, words, name)
    mx.close()


def resumption(remote, certs, of):
    """A session is given out once, resumed by another worker, and never verified again; so it is
    keyed by what it was verified against (relay-send's part, send_tls.py)."""
    mx = TlsMX({}, of("good"))
    verify = demand("verify", certs["good"], certs)
    _, found, first = deliver(remote, mx, verify, "resumption")
    session = first.tls["session"]
    if not session or "resumed=0 verify=ca" not in first.tls["facts"]:
        wrong("resumption", f"no session: {first.tls}")
    _, found, second = deliver(remote, mx, verify[:5] + (session,), "resumption")
    if mx.reused != 1 or "resumed=1 verify=ca" not in second.tls["facts"] or second.tls["session"]:
        wrong("resumption", f"{mx.reused} resumed: {second.tls}")
    # A server that knows it no more: a full handshake, verified, and a new session.
    mx.tls = of("wrong name")
    opened, found, _ = deliver(remote, mx, verify[:5] + (session,), "forgotten session")
    if opened[0] != "N" or "other.example" not in opened[1]["reply"]:
        wrong("a session that the server has forgotten", f"{opened}")
    mx.tls = of("good")
    _, found, third = deliver(remote, mx, verify[:5] + (session,), "new session")
    if "resumed=0 verify=ca" not in third.tls["facts"] or third.tls["session"] in ("", session):
        wrong("a new session", f"{third.tls}")
    for bad in (b"x", session[:-1], b"\x03\x03\xc0\x2b" + b"c\xff" + bytes(81)):
        _, found, w = deliver(remote, mx, verify[:5] + (bad,), "bad session")
        if found is None or "resumed=0 verify=ca" not in w.tls["facts"]:
            wrong("a malformed session", f"{bad!r} {found}")


def randomness(remote, certs, of):
    """Workers are forks of one master: none may have another's random bytes."""
    mx = TlsMX({}, of("good"))
    for _ in range(8):
        deliver(remote, mx, demand("may", certs["good"], certs), "randomness")
    randoms = {h[11:43] for h in mx.hellos}
    if len(randoms) != 8 or any(len(r) != 32 for r in randoms):
        wrong("ClientHello", f"{len(randoms)} different randoms of 8")


def fallbacks(remote, certs, of):
    """What is remembered as broken is not tried; the next host is, where one will not do."""
    mx = TlsMX({"handshake": CLOSE}, of("good"))
    may = demand("may", certs["good"], certs)
    _, found, w = deliver(remote, mx, may, "broken")
    if "handshake" not in w.tls["broken"] or mx.sessions != 2:
        wrong("broken TLS", f"{w.tls} {mx.sessions} sessions")
    _, found, w = deliver(remote, mx, may[:3] + ("broken before",) + may[4:], "known to be broken")
    if w.tls["broken"] or mx.sessions != 3 or len(mx.messages) != 2:
        wrong("TLS known to be broken", f"{w.tls} {mx.sessions} sessions")
    good = TlsMX({}, of("good"))
    encrypt, barred = demand("encrypt", certs["good"], certs), ("x", "", "", "no TLSA", "", "")
    w = remote.worker().open([("bad.example", "127.0.0.1", mx.port), ("bar.example", "127.0.0.1", good.port),
                              (NAME, "127.0.0.1", good.port)], tls=[encrypt, barred, encrypt])
    if w.opened()[:2] != ("O", f"{NAME}[127.0.0.1]:{good.port}"):
        wrong("next host", "not reached")
    w.quit()
    w = remote.worker().open([("bar.example", "127.0.0.1", good.port)], tls=[barred])
    kind, o = w.opened()[:2]
    if kind != "N" or (o["stage"], o["status"], o["reply"]) != ("t", "4.7.5", "no TLSA"):
        wrong("barred", o)


def content(remote, certs, of):
    """Big content both ways through the pump; the MX that ends in the middle; EHLO is said again."""
    mx = TlsMX({}, of("rsa"))
    big = b"".join(b".%d %s\r\n" % (i, b"x" * (i % 90)) for i in range(20000))
    w = remote.worker().open([(NAME, "127.0.0.1", mx.port)], tls=[demand("encrypt", certs["rsa"], certs)])
    w.opened()
    for _ in range(2):
        found, end = w.deliver(Message(["a@b.example"], big))
        if found[0]["verdict"] != "d" or not end["keep"]:
            wrong("content", f"{found} {end}")
    got = [b"".join(x[1:] if x[:1] == b"." else x for x in m.splitlines(True)) for m in mx.tls_messages]
    if got != [big, big] or mx.sessions != 1:
        wrong("content", f"{[len(g) for g in got]} {mx.sessions}")
    if [c[:4] for c in mx.commands[:3]] != [b"EHLO", b"STAR", b"EHLO"]:
        wrong("EHLO after STARTTLS", mx.commands[:3])
    w.quit()
    for stage, script, wanted in (("dot", {"dot": CLOSE}, "t."), ("data", {"data": CLOSE}, "td"),
                                  ("silence", {"mail": [HANG]}, "tm")):
        mx = TlsMX(script, of("good"))
        w = remote.worker().open([(NAME, "127.0.0.1", mx.port)], mail=1,
                                 tls=[demand("encrypt", certs["good"], certs)])
        w.opened()
        found, end = w.deliver(Message(["a@b.example"], CONTENT))
        if found[0]["verdict"] + found[0]["stage"] != wanted or end["keep"]:
            wrong(f"ends at {stage}", f"{found} {end}")


def ends(remote, certs, of):
    """A kept connection that is dead is nobody's failure; a worker without relay-send ends, in the
    middle of a handshake, too."""
    mx = TlsMX({"mail": [b"250 ok\r\n", CLOSE]}, of("good"))
    w = remote.worker().open([(NAME, "127.0.0.1", mx.port)], tls=[demand("encrypt", certs["good"], certs)])
    w.opened()
    m = Message(["a@b.example"], CONTENT)
    w.deliver(m)
    found, end = w.deliver(m)
    if found or not end["stale"] or end["keep"]:
        wrong("a dead kept connection", f"{found} {end}")
    mx = TlsMX({"handshake": lambda c: time.sleep(600)}, of("good"))
    w = remote.worker().open([(NAME, "127.0.0.1", mx.port)], tls=[demand("may", certs["good"], certs)], helo=60)
    for _ in range(100):
        if mx.hellos:
            break
        time.sleep(0.05)
    w.start(m)
    w.cancel()
    opened = w.opened(10)
    if opened is None or opened[0] != "N" or opened[1]["stage"] == "t" or "cancelled" not in opened[1]["reply"]:
        wrong("cancelled in the handshake", opened)
    w = remote.worker().open([(NAME, "127.0.0.1", mx.port)], tls=[demand("may", certs["good"], certs)], helo=60)
    for _ in range(100):
        if len(mx.hellos) > 1:
            break
        time.sleep(0.05)
    w.close()
    for _ in range(100):
        if not os.path.exists(f"/proc/{w.pid}"):
            break
        time.sleep(0.05)
    else:
        wrong("a worker without relay-send", "goes on in the handshake")


def main():
    certs = make_certificates()
    remote = Remote(PROGRAM, control={"tlsca": certs["root"].path.read_text()})
    special, of = contexts(certs)
    # Which words verify says, the others need not say.
    jobs = [(run_certificate, remote, certs, of, name, kind, wanted, words if kind == "verify" else "")
            for name, (verdicts, words) in CERTIFICATES.items() for kind, wanted in zip(DEMANDS, verdicts)]
    jobs += [(run_certificate, remote, certs, of, name, "dane-ta of its issuer", *wanted)
             for name, wanted in ISSUERS.items()]
    jobs += [(run_broken, remote, certs, special, of, name, kind)
             for name in BROKEN for kind in DEMANDS if kind not in ("key", "dane-ta")]
    run_all(jobs)
    for f in (resumption, randomness, fallbacks, content, ends):
        f(remote, certs, of)
    for warning in (x for x in remote.log().splitlines() if x.startswith("relay-remote:")):
        wrong("log", warning)
    if remote.process.poll() is not None or remote.stop() != 0:
        wrong("master", "did not live to the end")
    print(f"{len(jobs)} cases, {len(failures)} wrong")
    sys.exit(1 if failures else 0)


main()
