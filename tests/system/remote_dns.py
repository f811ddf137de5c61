#!/usr/bin/python3
"""The resolver process of relay-remote against tinydns, and against servers that
fail: each kind of answer of lib/resolve.h, and nothing permanent without proof."""
# limit: 120
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from remote_peer import Remote  # noqa: E402

PROGRAM = os.environ["BUILD"] + "/bin/relay-remote"
NET = os.environ.get("TEST_NET", "127.0.213")
PORT = int(os.environ.get("TEST_PORT", "21300"))
DIR = os.environ.get("TEST_DIR", "/tmp")
ZONES = f"""
.example:{NET}.1:a.ns.example:300
.xn--bcher-kva.test:{NET}.1:b.ns.example:300
@one.example:198.51.100.1:mx.one.example:10:120
@two.example:198.51.100.2:b.two.example:20:120
@two.example:198.51.100.1:a.two.example:10:90
@equal.example:198.51.100.1:a.equal.example:10
@equal.example:198.51.100.2:b.equal.example:10
@equal.example:198.51.100.3:c.equal.example:10
=plain.example:198.51.100.9:77
@null.example::.:0:600
'text.example:nothing here:300
@nohost.example::gone.nohost.example:10
@loop.example:127.0.0.1:mx.loop.example:10
@zero.example:0.0.0.0:mx.zero.example:10
@self.example::relay.example:10
+relay.example:198.51.100.50
@backup.example:198.51.100.1:a.backup.example:5
@backup.example::relay.example:10
@backup.example:198.51.100.3:c.backup.example:20
@own.example:198.51.100.77:mx.own.example:10
@allowed.example:127.9.9.9:mx.allowed.example:10
Calias.example:one.example:60
@viacname.example::cn.viacname.example:10
Ccn.viacname.example:plain.example:60
@literal.example::198.51.100.4:10
@xn--bcher-kva.test:198.51.100.8:mx.xn--bcher-kva.test:10
:v6.example:28:\\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001:60
+v6.example:198.51.100.60:60
"""
failures = []


def expect(remote, name, status, hosts=None, addresses=None, ttl=None, kind="m", text=""):
    a = remote.ask(name, kind)
    got = (a["status"], [h for _, h in a["hosts"]], [ip for _, ip in a["addresses"]])
    if (got[0] != status or (hosts is not None and got[1] != hosts) or text not in a["text"]
            or (addresses is not None and got[2] != addresses) or (ttl is not None and a["ttl"] != ttl)):
        failures.append(name)
        print(f"{name}: {a}")
    return a


def tinydns():
    """tinydns knows port 53 only, so it has an address of its own (and needs root)."""
    root = f"{DIR}/tinydns.{os.getpid()}"
    os.mkdir(root)
    with open(f"{root}/data", "w") as f:
        f.write(ZONES)
    make = "/usr/bin/tinydns-data" if os.path.exists("/usr/bin/tinydns-data") else "/usr/sbin/tinydns-data"
    subprocess.run([make], cwd=root, check=True)
    os.chmod(root, 0o755)
    env = dict(os.environ, ROOT=root, IP=f"{NET}.1", UID="65534", GID="65534")
    p = subprocess.Popen([make[:-5]], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    return p


def question_end(q):
    at = 12
    while q[at]:
        at += q[at] + 1
    return at + 5


def answer(q, rcode, records=b"", count=0, flags=0x8180):
    return q[:2] + struct.pack("!HHHHH", flags | rcode, 1, count, 0, 0) + q[12:question_end(q)] + records


def mx_records(n):
    return b"".join(b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x09" + struct.pack("!H", i) + b"\x04mx%02d" % i
                    + b"\xc0\x0c" for i in range(n))


class FakeDNS:
    """A server that treats every question as it is told by the name's first label."""

    def __init__(self, port):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", port))
        self.tcp = socket.create_server(("127.0.0.1", port))
        self.asked_tcp = 0
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def reply(self, q):
        label = q[13:13 + q[12]]
        qtype = struct.unpack("!H", q[question_end(q) - 4:question_end(q) - 2])[0]
        if label == b"servfail":
            return answer(q, 2)
        if label == b"refused":
            return answer(q, 5)
        if label == b"garbage":
            return q[:2] + b"\x81\x80" + b"\xff" * 40
        if label == b"cut":  # an answer whose record ends in the middle
            return answer(q, 0, b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x20\x00\x0a", 1)
        if label == b"loop":  # a name whose compression points at itself
            return answer(q, 0, b"\xc0" + bytes([question_end(q)]) + b"\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x00", 1)
        if label.startswith(b"mx"):
            return answer(q, 0, b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02" + label[2:3], 1) \
                if qtype == 1 else answer(q, 0)
        if label == b"halfway" and qtype != 15:
            return answer(q, 2)
        if label in (b"many", b"big"):
            return answer(q, 0, mx_records(60), 60)
        if label == b"aliasloop":
            return answer(q, 0, b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c", 1)
        return None if label == b"silent" else answer(q, 0)

    def serve_udp(self):
        while True:
            q, peer = self.udp.recvfrom(4096)
            r = answer(q, 0, flags=0x8380) if q[13:16] == b"big" else self.reply(q)
            if r:
                self.udp.sendto(r, peer)

    def serve_tcp(self):
        while True:
            c, _ = self.tcp.accept()
            while True:
                n = c.recv(2)
                if len(n) < 2:
                    break
                r = self.reply(c.recv(struct.unpack("!H", n)[0]))
                self.asked_tcp += 1
                c.sendall(struct.pack("!H", len(r)) + r)


def with_tinydns():
    remote = Remote(PROGRAM, {"resolver": f"{NET}.1\n", "ipme": "198.51.100.77\n", "mxlocal": "127.9.0.0/16\n"})
    r = remote
    expect(r, "one.example", "o", ["mx.one.example"], ["198.51.100.1"], 120)
    expect(r, "ONE.example", "o", ["mx.one.example"])
    expect(r, "two.example", "o", ["a.two.example", "b.two.example"], ["198.51.100.1", "198.51.100.2"], 90)
    expect(r, "plain.example", "o", ["plain.example"], ["198.51.100.9"], 77)
    expect(r, "null.example", "n", [], ttl=600)
    expect(r, "missing.example", "x", [], text="does not exist")
    expect(r, "text.example", "a", [])
    expect(r, "nohost.example", "t", [])
    expect(r, "loop.example", "s", [])
    expect(r, "zero.example", "s", [])
    expect(r, "self.example", "s", [], text="relay.example")
    expect(r, "backup.example", "o", ["a.backup.example"], ["198.51.100.1"])
    expect(r, "own.example", "s", [])
    expect(r, "allowed.example", "o", ["mx.allowed.example"], ["127.9.9.9"])
    expect(r, "alias.example", "o", ["mx.one.example"], ["198.51.100.1"])
    expect(r, "viacname.example", "o", ["cn.viacname.example"], ["198.51.100.9"])
    expect(r, "literal.example", "t", [])
    expect(r, "bücher.test".encode(), "o", ["mx.xn--bcher-kva.test"], ["198.51.100.8"])
    a = expect(r, "v6.example", "o", ["v6.example"])
    if sorted(ip for _, ip in a["addresses"]) != ["198.51.100.60", "2001:db8::1"]:
        failures.append("v6.example addresses")
    expect(r, "[198.51.100.3]", "o", [""], ["198.51.100.3"])
    expect(r, "[IPv6:2001:db8::5]", "o", [""], ["2001:db8::5"])
    expect(r, "[127.0.0.1]", "s")
    expect(r, "mx.one.example", "o", ["mx.one.example"], ["198.51.100.1"], kind="h")
    expect(r, "mx.loop.example", "o", ["mx.loop.example"], ["127.0.0.1"], kind="h")
    expect(r, "127.0.0.1", "o", [""], ["127.0.0.1"], kind="h")
    expect(r, "missing.example", "x", kind="h")
    expect(r, "a..example", "x")
    expect(r, "x" * 64 + ".example", "x")
    expect(r, "nowhere.invalid", "t", text="nowhere.invalid")  # tinydns: not its zone, no answer or refused
    orders = {tuple(h for _, h in r.ask("equal.example")["hosts"]) for _ in range(60)}
    if len(orders) != 6 or any(len(o) != 3 for o in orders):
        failures.append("equal preferences are not shuffled")
        print(orders)
    if remote.stop() != 0:
        failures.append("stop")


def with_broken_servers():
    fake = FakeDNS(PORT + 40)
    remote = Remote(PROGRAM, {"resolver": f"127.0.0.1:{PORT + 40}\n", "mxlocal": "127.0.0.0/8\n"})
    for name in ("servfail", "refused", "garbage", "cut", "loop", "halfway", "aliasloop", "silent"):
        expect(remote, f"{name}.example", "t", [])
    expect(remote, "empty.example", "a", [], ttl=0)
    many = expect(remote, "many.example", "o")
    if len(many["hosts"]) != 20 or many["hosts"][0][1] != "mx00.many.example":
        failures.append("many.example hosts")
        print(many)
    expect(remote, "big.example", "o")
    if fake.asked_tcp == 0:
        failures.append("a truncated answer is asked for over TCP")
    if remote.stop() != 0:
        failures.append("stop")
    dead = Remote(PROGRAM, {"resolver": f"127.0.0.1 {PORT + 41}\n127.0.0.1:{PORT + 40}\n"})
    expect(dead, "empty.example", "a", [])
    dead.stop()


def malformed_control():
    for name, text in (("resolver", "127.0.0.1:53\nexample.com\n"), ("ipme", "x\n"), ("mxlocal", "127.0.0.0/33\n")):
        directory = f"{DIR}/control.{os.getpid()}.{name}"
        os.makedirs(f"{directory}/control")
        with open(f"{directory}/control/{name}", "w") as f:
            f.write(text)
        done = subprocess.run([PROGRAM, "-d", directory], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              text=True, timeout=10)
        line = 2 if name == "resolver" else 1
        if done.returncode != 100 or f"control/{name}:{line}:" not in done.stderr:
            failures.append(f"malformed {name}")
            print(done)


def main():
    malformed_control()
    with_broken_servers()
    if os.geteuid() == 0:
        server = tinydns()
        try:
            with_tinydns()
        finally:
            server.terminate()
    else:
        print("not root: without tinydns, which can only bind port 53")
    print(f"{len(failures)} wrong", *failures, sep=", ")
    sys.exit(1 if failures else 0)


main()
