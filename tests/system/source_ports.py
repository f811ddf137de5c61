#!/usr/bin/python3
"""A worker that binds its source address takes no port for itself alone: two ports are enough for
connections to four MXs at a time (IP_BIND_ADDRESS_NO_PORT)."""
# limit: 100
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from netns import Net, NsReceiver, inside
from relaytest import Client, run

PLACES = [(f"198.51.100.{n}", 25) for n in (9, 10, 11, 12)] + [("2001:db8:2::9", n) for n in (25, 26, 27, 28)]


def main(test):
    net = Net(test)
    net.run(net.relay, "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40001")
    receivers = [test.ends(NsReceiver(net.mx, *place)) for place in PLACES]
    routes = [f"d{i}.test:[{address}]:{port}" for i, (address, port) in enumerate(PLACES)]
    relay = test.relay(routes=routes, netns=net.relay, listen=("127.0.0.1", 25),
                       rules='127.:allow,RELAYCLIENT="",RELAYSOURCE="out"\n',
                       control={"sources": "out 198.51.100.1 2001:db8:2::1 out.test", "timeoutidle": 60})

    def send():
        # Of the client's own connection the port is free again: it is the first to close.
        with Client(relay) as c:
            c.message("s@a.test", [f"x@d{i}.test" for i in range(len(PLACES))], b"Subject: x\r\n\r\nx\r\n")
    inside(net.relay, send)
    for receiver in receivers:
        message = receiver.wait(1, 10)[0]
        wanted = "2001:db8:2::1" if ":" in receiver.address else "198.51.100.1"
        test.equal((message.peer[0], message.helo), (wanted, "out.test"),
                   f"{receiver.address} port {receiver.port} is reached from {wanted}")
    open_now = net.run(net.relay, "ss", "-Htn", "state", "established").stdout
    ports = re.findall(r"(?:198\.51\.100\.1|\[2001:db8:2::1\]):(\d+) ", open_now)
    test.check(len(ports) == 8 and set(ports) <= {"40000", "40001"}, "eight connections over two ports", open_now)


run(main, root=True, tools=["ip", "ss", "sysctl"])
