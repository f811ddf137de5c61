#!/usr/bin/python3
"""What a relay-smtpd that was taken over may try with relay-keyd and relay-authd: garbage, requests out
of order, things to sign that are no key exchange, sessions of others, connections without end. And
certificates that cannot be read: a FIFO, a file system that does not answer."""
# limit: 120
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from netstring import ns as pack
from relaytest import BUILD, TOP, Client, memory, run, run_program, wait_for

POINT = b"\x03\x00\x1d\x20" + b"p" * 32
CHOOSE = pack("C", "relay.test", 7)


def connect(relay, name="keyd"):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(20)
    sock.connect(str(relay.directory / "run" / name))
    return sock


def ask(relay, *requests, name="keyd"):
    """In a process of its own, as each relay-smtpd is one: what came back, "" where it was closed."""
    code = ("import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.settimeout(20)\n"
            "s.connect(sys.argv[1])\n"
            "for r in sys.argv[2:]:\n"
            "  try:\n    s.send(bytes.fromhex(r)); print(s.recv(65536).hex())\n"
            "  except OSError: print()\n")
    out = run_program("/usr/bin/python3", "-c", code, relay.directory / "run" / name, *(r.hex() for r in requests)).stdout
    return [bytes.fromhex(line) for line in out.split("\n")[:-1]]


def secured(relay):
    client = Client(relay)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    client.ehlo()
    return client


def check_signing(test, relay):
    good = b"c" * 32 + b"s" * 32 + POINT
    answers = ask(relay, CHOOSE, pack("S", 0x0403, good))
    test.check(answers[0].startswith(b"1:+,") and answers[1].startswith(b"1:+,"), "a key exchange is signed", answers)
    tls13 = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"h" * 32
    for what, text in (("a CertificateVerify of TLS 1.3", tls13), ("a hash", b"h" * 32), ("nothing", b""),
                       ("a longer text", good + b"x"), ("another curve", good[:66] + b"\x19" + good[67:]),
                       ("a certificate", b"\x30\x82\x01\x00" + b"x" * 96)):
        test.equal(ask(relay, CHOOSE, pack("S", 0x0403, text))[1], b"", f"{what} is not signed")
    test.equal(ask(relay, pack("S", 0x0403, good))[0], b"", "nothing is signed before a key is chosen")
    answers = ask(relay, CHOOSE, pack("S", 0x0403, good), pack("S", 0x0403, good))
    test.equal(answers[2], b"", "one signature a connection")
    test.check(ask(relay, CHOOSE, pack("S", 0x0201, good))[1].startswith(b"1:-,"), "not with SHA-1")
    test.check(b"PRIVATE" not in b"".join(ask(relay, CHOOSE)) and len(ask(relay, CHOOSE)[0]) < 3000,
               "the answer is the certificate alone")


def check_sessions(test, relay):
    secret, ident = b"m" * 48, b"i" * 32
    def save(value):
        # no answer: the next request on the connection closes what has been asked too often
        ask(relay, pack("K", ident, 0x303, 0xC02B, value), pack("L", ident))
    save(secret)
    save(b"x" * 48)
    test.check(secret in ask(relay, pack("L", ident))[0], "a session is given to who knows its id, and not replaced")
    test.check(ask(relay, pack("L", b"j" * 32))[0].startswith(b"1:-,"), "another id: none")
    test.equal(ask(relay, pack("L", ident), pack("L", ident))[1], b"", "one look a connection")
    if os.geteuid() == 0 and "asan" not in BUILD.name:  # whose shadow is terabytes
        # wiped in time is what is in the table: a copy elsewhere would outlive it
        test.equal(memory(relay.pids("relay-keyd")[1]).count(secret[:32]), 1, "a session's secret is there once")


def check_holding(test, relay):
    """One process with many connections: four are taken, and it is told no; others are served."""
    socks = []
    for _ in range(50):
        socks.append(connect(relay))
    time.sleep(0.3)
    alive = 0
    for sock in socks:
        try:
            sock.send(CHOOSE)
            alive += bool(sock.recv(65536))
        except OSError:
            pass
    test.check(alive <= 4, "a process has four connections", alive)
    client = secured(relay)
    test.equal(client.noop()[0], 250, "another process is served meanwhile")
    client.quit()
    test.check("refused process" in relay.log("keyd"), "the log says who comes too often")
    held = [subprocess.Popen(["/usr/bin/python3", "-c", "import socket,sys,time\nss=[]\nfor i in range(4):\n"
                              " s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); ss.append(s)\n"
                              "print('held',flush=True)\ntime.sleep(60)", str(relay.directory / "run/keyd")],
                             stdout=subprocess.PIPE) for _ in range(10)]
    for process in held:
        process.stdout.readline()
    client = secured(relay)
    test.equal(client.noop()[0], 250, "forty silent connections hold nobody up")
    client.quit()
    for process in held:
        process.kill()
        process.wait()
        process.stdout.close()


def check_garbage(test, relay):
    for name in ("keyd", "authd"):
        before = relay.pids(f"relay-{name}")
        for data in (b"", b"x", b"1:C,", b"1:Z,", os.urandom(1000), b"9" * 60000, pack("C", "x" * 300, 7),
                     pack("P", "a", "b", "c" * 300), pack("P", "a b", "c", "d")):
            if data:
                test.equal(ask(relay, data, name=name)[0], b"", f"relay-{name} ends a connection that says {data[:12]!r}")
        with connect(relay, name) as sock, open("/dev/null", "rb") as null:
            try:
                socket.send_fds(sock, [CHOOSE], [null.fileno(), null.fileno()])
                sock.recv(100)
            except OSError:
                pass
        test.equal(relay.pids(f"relay-{name}"), before, f"relay-{name} is the same process")
        test.check("garbled request" in relay.log(name), f"relay-{name}'s log says so")


class Keyd:
    """A relay-keyd without a relay. Files with "stale" in their names cannot be opened, nor is that said."""

    def __init__(self, test, name, servercert):
        self.directory = test.path(name)
        certificates.self_signed(self.directory / "control/tls", "ec")
        (self.directory / "run").mkdir()
        os.mkfifo(self.directory / "control/tls/fifo.pem")
        shim = test.directory / "stale_shim.so"
        if not shim.exists():
            run_program("gcc", "-shared", "-fPIC", "-o", shim, TOP / "tests/shim/stale_shim.c", "-ldl")
        self.lists(servercert)
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen([BUILD / "bin/relay-keyd", "-d", self.directory], stderr=log,
                                            stdin=subprocess.DEVNULL, env={**os.environ, "LD_PRELOAD": str(shim)})

    def lists(self, servercert):
        (self.directory / "control/servercert").write_text(servercert + "\n")

    def hup(self, servercert):
        self.lists(servercert)
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        return (self.directory / "log").read_text()

    def children(self):
        pid = self.process.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    def chain(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(20)
            sock.connect(str(self.directory / "run/keyd"))
            sock.send(CHOOSE)
            return sock.recv(65536)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Unreadable:
    """Two relay-keyds that wait for a file system, one at its start, one at a HUP, while the test goes on."""

    def __init__(self, test):
        self.fresh = test.ends(Keyd(test, "fresh", "tls/ec.pem tls/stale.key"))
        self.running = test.ends(Keyd(test, "running", "tls/ec.pem tls/ec.key"))
        wait_for(lambda: "ECDSA" in self.running.log(), "relay-keyd has its key")
        self.servers = self.running.children()
        test.check(self.running.chain().startswith(b"1:+,"), "and gives it")
        self.running.hup("tls/fifo.pem tls/ec.key")
        wait_for(lambda: "the old keys stay: control/servercert:1: control/tls/fifo.pem is not a regular file"
                 in self.running.log(), "a FIFO as a certificate: the log names it")
        self.running.hup("tls/stale.pem tls/ec.key")

    def check(self, test):
        why = "not ready within 10 s, waiting for control/tls/stale"
        wait_for(lambda: f"fatal: {why}.key" in self.fresh.log(), "a start ends that waits for a file system")
        test.equal(self.fresh.process.wait(20), 111, "with 111")
        wait_for(lambda: f"warning: the old keys stay: {why}.pem" in self.running.log(), "and so does a HUP")
        wait_for(lambda: self.running.children() == self.servers, "with the server there was")
        test.check(self.running.chain().startswith(b"1:+,"), "which has its keys")
        self.running.hup("tls/ec.pem tls/ec.key")
        wait_for(lambda: self.running.log().count("ECDSA") == 2, "the next HUP is heard")
        test.equal(Keyd(test, "fifo", "tls/fifo.pem tls/ec.key").process.wait(20), 100, "a start with a FIFO: 100")


def main(test):
    unreadable = Unreadable(test) if "asan" not in BUILD.name else None  # its runtime wants to be first
    home = test.path("relay")
    certificates.self_signed(home / "control/tls", "ec")
    relay = test.relay(control={"servercert": "tls/ec.pem tls/ec.key", "checkpassword": "/bin/false true"})
    check_signing(test, relay)
    check_sessions(test, relay)
    check_holding(test, relay)
    check_garbage(test, relay)
    if unreadable:
        unreadable.check(test)
    client = secured(relay)
    try:
        client.login("ann", "wrong")
        test.check(False, "a wrong password is refused")
    except smtplib.SMTPAuthenticationError as error:
        test.equal(error.smtp_code, 535, "all goes on as before")
    wait_for(lambda: re.search("result=no user=ann", relay.log("authd")), "and is logged")
    client.close()


run(main, tools=["openssl", "gcc"])
