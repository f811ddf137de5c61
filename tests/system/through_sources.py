#!/usr/bin/python3
"""RELAYTHROUGH with RELAYMODE=transparent and RELAYSOURCE: the answer is that of the server that the
client meant, seen from its source; a source that cannot be used is 4xx under only, queued otherwise."""
# limit: 100
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from netns import Net, NsClient, NsReceiver
from relaytest import run, wait_for

LINES = ["out 198.51.100.1 - out.test", "six - 2001:db8:2::1 -", "absent 192.0.2.77 - -"]
NAT = """table inet test {
  chain c { type nat hook prerouting priority dstnat; tcp dport 25 redirect to :25; }
}"""
# client, RELAYTHROUGH, RELAYSOURCE, the code and text of its reply
CASES = [(7, "only:10", "out", 250, "[198.51.100.9] said: kept"),
         (8, "only:10", "six", 451, "4.3.5 source six has no IPv4 address"),
         (9, "only:10", "absent", 451, "4.3.5 this host cannot use the source address 192.0.2.77"),
         (10, "only:10", "gone", 451, "4.3.5 source gone is not in control/sources"),
         (11, "5", "out", 250, "[198.51.100.9] said: kept"),
         (12, "5", "six", 250, " queued")]


def main(test):
    net = Net(test)
    mx = test.ends(NsReceiver(net.mx, "198.51.100.9", 25))
    rules = [f'192.0.2.{n}:allow,RELAYCLIENT="",RELAYMODE="transparent",RELAYTHROUGH="{through}",RELAYSOURCE="{source}"'
             for n, through, source, _, _ in CASES]
    relay = test.relay(netns=net.relay, listen=("0.0.0.0", 25), routes=[":[198.51.100.11]:2525"],
                       control={"sources": LINES}, rules="\n".join(rules) + '\n127.:allow,RELAYCLIENT=""\n')
    # relay-smtpd knows of it, relay-send has not been told.
    relay.control("sources", [*LINES, "gone 198.51.100.1 - -"])
    for n in range(9, 13):
        net.ip(net.msa, f"addr add 192.0.2.{n}/24 dev eth0")
    net.run(net.relay, "nft", "-f", "-", input=NAT)
    for n, through, source, code, text in CASES:
        with NsClient(net.msa, "198.51.100.9", 25, f"192.0.2.{n}") as c:
            c.docmd("MAIL", "FROM:<s@a.test>")
            c.docmd("RCPT", "TO:<r@elsewhere.test>")
            reply = c.data(b"Subject: x\r\n\r\nx\r\n")
        test.check(reply[0] == code and text in reply[1].decode(), f"RELAYTHROUGH={through}, source {source}: {text}",
                   str(reply))
    test.equal({(m.peer[0], m.helo) for m in mx.wait(2)}, {("198.51.100.1", "out.test")}, "all from their source")
    test.equal(relay.stat()["messages"], 1, "one waits for its source")
    relay.control("sources", [LINES[0], "six 198.51.100.1 2001:db8:2::1 six.test"])
    relay.svc("-h")
    wait_for(lambda: mx.messages[-1].helo == "six.test", "when the source is mended, it goes")
    test.equal(len(mx.messages), 3, "once")


run(main, root=True, tools=["ip", "nft"])
