#!/usr/bin/python3
"""The master secret of a TLS session is where it is needed and nowhere else: once in relay-send and
relay-keyd, which keep it for the next connection, once in the engine of who speaks."""
# limit: 60
# asan: no
import ssl
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from memory import copies
from relaytest import Client, process_stat, run, wait_for
from tlsmx import TlsMX, context

CONTENT = b"Subject: secrets\r\n\r\nx\r\n"


def secrets(path):
    """The master secrets of a key log (NSS' format), in order."""
    return [bytes.fromhex(line.split()[2]) for line in path.read_text().splitlines() if line.startswith("CLIENT_RANDOM")]


def worker(relay):
    """The worker, if there is one; it may end at any time."""
    parents = {p: stat[1] for p in relay.pids("relay-remote") if (stat := process_stat(p))}
    children = [p for p, parent in parents.items() if parent in parents]
    return children[1] if len(children) > 1 else None  # the first is the resolver


def check_to_mx(test, relay, mx, keylog):
    for count, what in enumerate(("a full handshake", "a resumed session"), 1):
        relay.send("a@b.test", "c@d.test", CONTENT)
        wait_for(lambda n=count: relay.log().count("= deliver ") == n, f"message {count} arrives")
        test.equal((mx.handshakes, mx.reused), (count, count - 1), f"connection {count}: {what}")
        secret = secrets(keylog)[-1]
        test.equal(copies(relay.pids("relay-send")[0], secret), 1, f"{what}: copies in relay-send")
        test.equal(copies(worker(relay), secret), 1, f"{what}: copies in the worker")
        wait_for(lambda: not worker(relay), "the connection ends")


def check_from_client(test, relay, keylog):
    client_context, session = ssl.create_default_context(cafile=relay.directory / "control/tls/ec.pem"), None
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    client_context.keylog_filename = str(keylog)
    for what in ("a full handshake", "a resumed session"):
        client = Client(relay)
        client.docmd("STARTTLS")
        client.sock = client_context.wrap_socket(client.sock, server_hostname="relay.test", session=session)
        client.file = None
        test.equal(client.sock.session_reused, session is not None, f"a client: {what}")
        client.ehlo()
        session, secret = client.sock.session, secrets(keylog)[-1]
        test.equal([copies(p, secret) for p in relay.pids("relay-keyd")], [0, 1], f"{what}: copies in relay-keyd")
        test.equal(copies(relay.pids("relay-smtpd")[-1], secret), 1, f"{what}: copies in relay-smtpd")
        client.quit()


def main(test):
    cert = certificates.self_signed(test.path("relay") / "control/tls", "ec")
    tls, keylog = context(cert.chain, cert.key), test.directory / "keylog"
    tls.keylog_filename = str(keylog)
    mx = TlsMX({}, tls)
    relay = test.relay(routes=[f":127.0.0.1:{mx.port}"], control={"servercert": "tls/ec.pem tls/ec.key", "timeoutidle": 2})
    check_from_client(test, relay, test.directory / "client.keylog")
    check_to_mx(test, relay, mx, keylog)


run(main, root=True, tools=["openssl"])
