#!/usr/bin/python3
"""A real Postfix with TLS as the MX: policies, resumption, TLS 1.3 only, what log and relay-ctl say."""
# limit: 120
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from certificates import Certificate
from peers import PostfixMX
from relaytest import run, wait_for

CONTENT = b"From: a@b.test\r\nSubject: tls\r\n\r\nhello\r\n"
MX = "mx.dest.test"


def check_policies(test, relay, mx):
    for n, domain in enumerate(("may", "enc", "ca", "pin"), 1):
        relay.send("s@back.test", f"u@{domain}.test", CONTENT)
        wait_for(lambda n=n: len(mx.delivered()) == n, f"mail to {domain}.test arrives: {relay.log()[-1500:]}")
    for text in mx.delivered():
        test.check(re.search(r"using TLSv1\.2 with cipher ECDHE-ECDSA-AES", text), "Postfix's Received line has TLS", text)
    log = relay.log()
    for words in (r"= connect .*tls=TLSv1\.2,ECDHE-ECDSA-AES[^ ]*,(x25519|secp256r1) resumed=0 verify=none",
                  r"verify=ca policy=verify", r"verify=fingerprint policy=fingerprint",
                  r"= deliver .* tls=TLSv1\.2,"):
        test.check(re.search(words, log), f"the log has {words}", log[-3000:])


def check_resumption(test, relay, mx):
    """One more message to the verified domain when its connection is gone."""
    wait_for(lambda: relay.log().count("< 221 ") >= 4, "the first connections end", 20)
    relay.send("s@back.test", "u@ca.test", CONTENT)
    wait_for(lambda: len(mx.delivered()) == 5, "one more arrives")
    test.check(re.search(r"resumed=1 verify=ca policy=verify", relay.log()), "its session is resumed, still as verified",
               relay.log()[-2000:])


def check_failures(test, relay, new):
    ident = relay.send("s@back.test", "u@new-enc.test", CONTENT)
    row = relay.wait_tried(ident)[0]
    test.equal(row["state"], "waiting", "a TLS 1.3 only MX where encrypt is demanded: it waits")
    for words in ("control/tlspolicy demands TLS (encrypt)", "protocol version"):
        test.check(words in row["last"], f"why has {words!r}", row)
    test.check("kind=tls" in relay.log(), "the log has it as a trouble of the domain")
    relay.send("s@back.test", "u@new-may.test", CONTENT)
    wait_for(new.delivered, "where it may, the same MX gets mail in clear text")
    test.check("using TLS" not in new.delivered()[0], "indeed in clear text")
    test.check(re.search(r"= tls host=\S+ tls=none policy=may reason=\".*protocol version", relay.log()),
               "and the log says why", relay.log()[-2000:])
    before = new.log().count("TLS library problem")
    relay.send("s@back.test", "u@new-may2.test", CONTENT)
    wait_for(lambda: len(new.delivered()) == 2, "the next one, too")
    test.equal(new.log().count("TLS library problem"), before, "without trying TLS again")
    ident = relay.send("s@back.test", "u@wrong.test", CONTENT)
    row = relay.wait_tried(ident)[0]
    test.check(f"its certificate is for {MX}, not for elsewhere.test" in row["last"], "a name that is not the MX's", row)


def main(test):
    root = Certificate(test.path("certs"), "root", ca=True)
    good = Certificate(test.path("certs"), "good", root, names=[MX])
    chain = good.key.read_text() + good.chain.read_text()
    mx = test.ends(PostfixMX(test.path("mx"), "127.0.0.1", test.port(), MX, chain))
    new = test.ends(PostfixMX(test.path("new"), "127.0.0.1", test.port(), MX, chain, "smtpd_tls_protocols=>=TLSv1.3",
                              "smtpd_tls_mandatory_protocols=>=TLSv1.3"))
    pin = good.fingerprint()
    routes = [f"{d}.test:127.0.0.1:{mx.port}" for d in ("may", "enc", "ca", "pin", "wrong")]
    routes += [f"{d}.test:127.0.0.1:{new.port}" for d in ("new-enc", "new-may", "new-may2")]
    relay = test.relay(routes=routes, control={
        "tlspolicy": ["enc.test:encrypt", f"ca.test:verify:{MX}", f"pin.test:fingerprint:{pin}",
                      "new-enc.test:encrypt", "wrong.test:verify:elsewhere.test"],
        "tlsca": root.path.read_text(), "retry": 600, "timeoutidle": 1})
    check_policies(test, relay, mx)
    check_resumption(test, relay, mx)
    check_failures(test, relay, new)


run(main, root=True, tools=["postfix", "openssl"])
