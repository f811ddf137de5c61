#!/usr/bin/python3
"""RELAYMODE=transparent in network namespaces: MSAs that mean an MX reach it through the relay, by
IPv4 and IPv6, under the recipes of doc/transparent.md; nobody reaches the relay itself."""
# limit: 240
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from netns import Net, NsClient, NsReceiver, connect
from relaytest import TOP, Failed, Skip, rows, run, run_program, wait_for

DOC = (TOP / "doc/transparent.md").read_text()
TCPSERVER6 = TOP / "build/tools/ucspi-tcp-ipv6/usr/bin"
CONTENT = b"Subject: to %s\r\n\r\nx\r\n"
# What the doc warns of: everything is redirected, the relay's own deliveries too.
CARELESS = """table inet careless {
  chain in { type nat hook prerouting priority dstnat; tcp dport { 25, 26 } redirect to :25; }
  chain out { type nat hook output priority -100; ip daddr 198.51.100.12 tcp dport 25 redirect to :25; }
}"""


def recipe(kind, words):
    """The block of doc/transparent.md in that language that has these words."""
    found = [b for b in re.findall(rf"^```{kind}\n(.*?)^```", DOC, re.M | re.S) if words in b]
    if len(found) != 1:
        raise Failed(f"doc/transparent.md has {len(found)} blocks of {kind} with {words!r}")
    return found[0]


class World:
    def __init__(self, test):
        self.test, self.net = test, Net(test)
        if self.net.run(self.net.relay, "nft", "list", "ruleset", check=False).returncode:
            raise Skip("this kernel has no nftables")
        self.mxs = {a: test.ends(NsReceiver(self.net.mx, a, 25))
                    for a in ("198.51.100.9", "198.51.100.10", "2001:db8:2::9")}
        self.other_port = test.ends(NsReceiver(self.net.mx, "198.51.100.9", 26))
        self.notices = test.ends(NsReceiver(self.net.mx, "198.51.100.11", 2525))
        self.relay = None

    def start(self, name, listen, path=None, **control):
        """All mail that is not transparent goes to the receiver of notices."""
        if self.relay:
            self.relay.down()
        rules = recipe("rules", "RELAYMODE")
        if not path:  # ucspi-tcp's tcprules refuses IPv6 addresses
            rules = re.sub("^2001:.*\n", "", rules, flags=re.M)
        rules += '198.51.100.1:allow,RELAYCLIENT="",RELAYMODE="transparent"\n'
        self.relay = self.test.relay(
            name=name, listen=listen, netns=self.net.relay, path=path, control=control,
            rules=rules + '127.:allow,RELAYCLIENT=""\n:deny\n', routes=[":[198.51.100.11]:2525"])

    def nft(self, text):
        self.net.run(self.net.relay, "nft", "flush", "ruleset")
        self.net.run(self.net.relay, "nft", "-f", "-", input=text)

    def iptables(self, text):
        self.net.run(self.net.relay, "sh", "-ec", text)

    def delivers(self, what, address, namespace=None, source=None, port=25, receiver=None):
        """One message to that server arrives there, and nowhere else."""
        receiver = receiver or self.mxs[address]
        with NsClient(namespace or self.net.msa, address, port, source) as c:
            ident = c.message("s@back.test", "r@elsewhere.test", CONTENT % address.encode())
        message = receiver.wait(1)[0]
        receiver.messages.clear()
        good = message.rcpt_tos == ["r@elsewhere.test"] and message.helo == "relay.test" and \
            b"\r\n  by relay.test with ESMTP id " + ident.encode() in message.content
        self.test.check(good, f"{what}: {address} has it through the relay", message.content)
        self.test.equal([a for a, r in self.mxs.items() if r.messages], [], f"{what}: and no other")
        return message

    def denied(self, what, address, reply, source=None, port=25):
        """554, then 503 to everything but QUIT."""
        with connect(self.net.msa, address, port, source) as c:
            f = c.makefile("rwb")
            said = [f.readline()]
            for line in (b"EHLO x.test", b"MAIL FROM:<a@b.test>", b"QUIT"):
                f.write(line + b"\r\n")
                f.flush()
                said.append(f.readline())
            said.append(f.readline())
        self.test.check(said[0].startswith(reply) and [s[:3] for s in said] == [b"554", b"503", b"503", b"221", b""],
                        f"{what}: {reply.decode()}", str(said))
        wait_for(lambda: re.search(r" = denied destination=\"", self.relay.log("smtpd")), "the log says denied")


def check_ipv4(w):
    """Debian's tcpserver, IPv4 only; first without any NAT, then by iptables."""
    w.start("plain", ("0.0.0.0", 25))
    w.denied("no NAT in sight", "192.0.2.1", b"554 5.7.1 ")
    w.iptables(recipe("sh", "PREROUTING"))
    for address in ("198.51.100.9", "198.51.100.10"):
        w.delivers("iptables", address)
    w.denied("NAT loaded, not applied", "192.0.2.1", b"554 5.7.1 ")
    w.iptables(recipe("sh", "OUTPUT"))
    w.delivers("iptables, from the relay's host", "198.51.100.9", w.net.relay)
    w.iptables("for t in iptables ip6tables; do $t -t nat -F; done")


def check_both(w):
    """A dual-stack tcpserver and nftables; smtproutes say something else and are not asked."""
    w.start("dual", ("0", 25), path=TCPSERVER6)
    w.nft(recipe("nft", "prerouting") + recipe("nft", "output"))
    for address in w.mxs:
        w.delivers("nftables", address)
    w.delivers("nftables, from the relay's host", "198.51.100.9", w.net.relay)
    sites = {row["site"] for row in rows(w.relay.ctl_json("stat")) if "window" in row}
    w.test.equal(sites, {"[198.51.100.9]", "[198.51.100.10]", "[2001:db8:2::9]"}, "each server is a site")
    w.denied("IPv4 client of a dual-stack listener", "192.0.2.1", b"554 5.7.1 ")
    w.denied("IPv6 client", "2001:db8:1::1", b"554 5.7.1 ")
    wait_for(lambda: '= transparent destination="2001:db8:2::9 25"' in w.relay.log("smtpd"), "the log says where to")


def check_open_relay(w):
    """The mode alone lets nobody send anywhere."""
    (w.relay.directory / "service/smtpd/rules").write_text('192.0.2.:allow,RELAYMODE="transparent"\n:deny\n')
    run_program("make", cwd=w.relay.directory / "service/smtpd")
    with NsClient(w.net.msa, "198.51.100.9") as c:
        c.docmd("MAIL", "FROM:<s@back.test>")
        w.test.equal(c.docmd("RCPT", "TO:<r@elsewhere.test>")[0], 550, "without RELAYCLIENT: 550")


def check_notices(w):
    """What the MX refuses comes back by smtproutes; what it defers waits for the same server."""
    mx = w.mxs["198.51.100.9"]
    mx.rcpt = "550 5.1.1 nobody here"
    with NsClient(w.net.msa, "198.51.100.9") as c:
        c.message("s@back.test", "r@elsewhere.test", CONTENT % b"be refused")
    notice = w.notices.wait(1)[0]
    w.test.check(notice.rcpt_tos == ["s@back.test"] and b"nobody here" in notice.content, "a notice goes by smtproutes")
    w.notices.messages.clear()
    mx.rcpt = None
    mx.stop()
    with NsClient(w.net.msa, "198.51.100.9") as c:
        ident = c.message("s@back.test", "r@elsewhere.test", CONTENT % b"wait")
    wait_for(lambda: "refused" in w.relay.why(ident)[0]["last"], "its server is down")
    w.test.equal([r["id"] for r in w.relay.listed("domain:198.51.100.9 25")], [ident], "relay-ctl lists by destination")
    mx.start()
    w.relay.ctl("retry", ident)
    mx.wait(1)
    mx.messages.clear()
    w.test.equal([len(r.messages) for r in (*w.mxs.values(), w.notices)], [0] * 4, "it waited for that one")


def check_loops(w):
    """A careless redirect: own addresses are refused at once, a circle ends."""
    w.start("careless", ("0", 25), path=TCPSERVER6)
    w.nft(CARELESS)
    w.denied("another address of the relay's host", "198.51.100.1", b"554 5.4.6 ")
    w.denied("another port of the relay's", "192.0.2.1", b"554 5.4.6 ", port=26)
    w.denied("another port of the relay's, by IPv6", "2001:db8:1::1", b"554 5.4.6 ", port=26)
    w.delivers("another port", "198.51.100.9", port=26, receiver=w.other_port)
    w.relay.control("ipme", "198.51.100.9")
    w.denied("an address of control/ipme", "198.51.100.9", b"554 5.4.6 ")
    w.relay.control("transparent", ["# the router's other side", "198.51.100.0/28"])
    w.delivers("control/transparent allows it", "198.51.100.9", port=26, receiver=w.other_port)
    w.relay.control("transparent", ["198.51.100.0/28", "router"])
    with connect(w.net.msa, "198.51.100.10") as c:
        w.test.check(c.recv(1000).startswith(b"421 4.3.5 "), "malformed control/transparent: 421")
    wait_for(lambda: "control/transparent:2: not an address or network: router" in w.relay.log("smtpd"), "it is named")
    w.relay.control("transparent", None)
    with NsClient(w.net.msa, "198.51.100.12") as c:
        c.message("s@back.test", "r@elsewhere.test", CONTENT % b"go round")
    notice = w.notices.wait(1)[0]
    w.test.check(b"mail loop: it has been here 11 times" in notice.content, "a circle ends with a notice",
                 notice.content.decode())
    w.relay.wait_empty()


def check_load(w):
    """smtp-source in one namespace, smtp-sink in the other: all arrive, over few connections."""
    w.start("load", ("0", 25), path=TCPSERVER6)
    w.nft(recipe("nft", "prerouting"))
    sink = subprocess.Popen(["ip", "netns", "exec", w.net.mx, "smtp-sink", "-u", "nobody", "-c",
                             "198.51.100.12:25", "100"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: " 198.51.100.12:25 " in w.net.run(w.net.mx, "ss", "-ltn").stdout, "smtp-sink listens")
        w.net.run(w.net.msa, "smtp-source", "-s", "5", "-m", "200", "-f", "s@back.test", "-t", "r@elsewhere.test",
                  "198.51.100.12:25", timeout=60)
        wait_for(lambda: w.relay.stat()["delivered"] == 200, "200 messages are delivered")
    finally:
        sink.kill()
    sessions, messages = map(int, re.findall(rb"sess= *(\d+) quit= *\d+ mesg= *(\d+)", sink.stdout.read())[-1])
    w.test.check(messages == 200 and sessions <= 40, "over few connections", f"{messages} in {sessions}")


def main(test):
    w = World(test)
    if not (TCPSERVER6 / "tcpserver").exists():
        raise Failed("no tcpserver with IPv6: tests/setup tests")
    for part in (check_ipv4, check_both, check_notices, check_open_relay, check_loops, check_load):
        part(w)


run(main, root=True, tools=["ip", "nft", "iptables", "smtp-source", "smtp-sink"])
