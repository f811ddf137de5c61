#!/usr/bin/python3
"""relay-smtpd's TLS with real clients: openssl, Python, swaks, Postfix; keys, names, sessions; what
must be refused; relay-keyd killed, told to load again, given nonsense."""
# limit: 200
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from memory import regions
from peers import Postfix, Receiver, swaks
from relaytest import BUILD, Client, run, run_program, wait_for

CONTENT = b"Subject: over TLS\r\n\r\nbody\r\n"


def s_client(relay, *options, send="", port=None):
    """openssl s_client: all that it says."""
    starttls = [] if port else ["-starttls", "smtp"]
    done = subprocess.run(["openssl", "s_client", *starttls, "-connect", f"127.0.0.1:{port or relay.port}", *options],
                          input=send, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return done.stdout + done.stderr


def subject(text):
    found = re.search(r"subject=.*CN = (\S+)", text)
    return found and found.group(1)


def context():
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


def raw(relay):
    sock = socket.create_connection(("127.0.0.1", relay.port), timeout=30)
    return sock, sock.makefile("rb")


def check_clients(test, relay, sink):
    client = Client(relay)
    test.check("starttls" in client.esmtp_features, "STARTTLS is offered")
    client.starttls(context=context())
    test.equal(client.sock.version(), "TLSv1.2", "the version")
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 503, "EHLO is forgotten")
    client.ehlo()
    test.check("starttls" not in client.esmtp_features, "STARTTLS is offered once")
    test.equal(client.docmd("STARTTLS")[0], 503, "and refused again")
    client.message("a@b.test", "c@d.test", CONTENT)
    client.message("a@b.test", "c@d.test", b"X: y\r\n\r\n" + b"0123456789abcde\r\n" * 200000)
    client.quit()
    done = swaks(relay, "--tls", "--from", "a@b.test", "--to", "c@d.test")
    test.equal(done.returncode, 0, "swaks --tls")
    messages = sink.wait(3)
    messages = sorted(messages, key=lambda m: len(m.content))  # they come in any order
    received = messages[0].content.decode().split("\r\nSubject")[0]
    test.check(re.search(r"with ESMTPS id \w+\r\n  for <c@d.test>\r\n  tls TLS_ECDHE_ECDSA_WITH_AES_\d+_GCM_SHA\d+"
                         r" group x25519;", received), "Received names protocol, suite and group", received)
    test.equal(len(messages[-1].after_received()), 8 + 200000 * 17, "a large message arrives whole")
    log = relay.log("smtpd")
    test.check(re.search(r"= secure tls=TLSv1.2,ECDHE-ECDSA-AES\d+-GCM-SHA\d+,x25519 resumed=0", log), "the log's facts")
    test.check(re.search(r"= accept id=\w+ .* tls=TLSv1.2,ECDHE", log), "the accept line has them too")


def check_openssl(test, relay):
    for options, want in (([], "ECDHE-ECDSA-AES128-GCM-SHA256"),
                          (["-cipher", "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384"],
                           "ECDHE-RSA-AES256-GCM-SHA384"),
                          (["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "ECDHE-ECDSA-CHACHA20-POLY1305"),
                          (["-sigalgs", "RSA+SHA512"], "ECDHE-RSA-AES128-GCM-SHA256"),
                          (["-sigalgs", "ECDSA+SHA384"], "ECDHE-ECDSA-AES128-GCM-SHA256"),
                          (["-curves", "P-256"], "ECDHE-ECDSA-AES128-GCM-SHA256")):
        text = s_client(relay, *options, "-tls1_2")
        test.check(f"Cipher is {want}" in text, f"{' '.join(options)}: {want}", text[-1500:])
    for options, why in ((["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "sent alert 70 (protocol version)"),
                         (["-tls1_3"], "sent alert 40 (handshake failure)"),
                         (["-tls1_2", "-cipher", "AES128-SHA"], "sent alert 40 (handshake failure)"),
                         (["-tls1_2", "-curves", "P-521"], "sent alert 40 (handshake failure)")):
        text = s_client(relay, *options)
        test.check("Cipher is (NONE)" in text, f"{' '.join(options)} is refused", text[-1500:])
        wait_for(lambda why=why: f'tls-failed reason="{why}"' in relay.log("smtpd"), f"the log says {why}")
    for name, want in (("other.test", "other.test"), ("a.wild.test", "other.test"), ("a.b.wild.test", "relay.test"),
                       ("unknown.test", "relay.test")):
        test.equal(subject(s_client(relay, "-tls1_2", "-servername", name)), want, f"the certificate for {name}")
    test.equal(subject(s_client(relay, "-servername", "other.test", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256",
                                "-tls1_2")), "relay.test", "a client without ECDSA gets the other name's RSA")


def check_resumption(test, relay):
    session = test.directory / "session"
    s_client(relay, "-tls1_2", "-sess_out", session)
    test.check("Reused, TLSv1.2" in s_client(relay, "-tls1_2", "-sess_in", session), "another process resumes it")
    wait_for(lambda: "resumed=1" in relay.log("smtpd"), "the log says so")
    test.check("Reused" in s_client(relay, "-tls1_2", "-sess_in", session), "and again")
    text = s_client(relay, "-tls1_2", "-sess_in", session, "-cipher", "ECDHE-RSA-AES256-GCM-SHA384")
    test.check("New, TLSv1.2, Cipher is ECDHE-RSA-AES256" in text, "not with another suite", text[-1000:])
    return session


def check_injection(test, relay):
    """Bytes behind STARTTLS, in the same segment, are an error; later ones are no TLS."""
    sock, lines = raw(relay)
    lines.readline()
    sock.sendall(b"STARTTLS\r\nRSET\r\n")
    test.check(lines.readline().startswith(b"554"), "a command behind STARTTLS: 554")
    test.equal(lines.readline(), b"", "and the end")
    sock, lines = raw(relay)
    lines.readline()
    sock.sendall(b"STARTTLS\r\n")
    test.check(lines.readline().startswith(b"220"), "220")
    sock.sendall(b"MAIL FROM:<evil@b.test>\r\n")
    test.equal(lines.read(), b"", "clear text for the handshake: not a word more in clear")
    test.check("evil@b.test" not in relay.log("smtpd"), "and it is no command")
    for line, code in (("STARTTLS x", 501), ("STARTTLS", 220)):
        client = Client(relay)
        test.equal(client.docmd(line)[0], code, line)
        client.sock.close()


def set_rules(relay, variables):
    (relay.directory / "service/smtpd/rules").write_text(f'127.:allow,RELAYCLIENT="",{variables}\n')
    run_program("make", cwd=relay.directory / "service/smtpd")


def check_refused(test, relay):
    """A client that relay-queue refuses hears why, inside TLS."""
    relay.control("concurrencyincoming", 2)
    relay.svc("-t")
    wait_for(lambda: relay.ctl("stat", check=False).returncode == 0, "relay-queue is back")
    first = smtplib.SMTP_SSL("127.0.0.1", relay.port, context=context(), timeout=30)
    try:
        smtplib.SMTP_SSL("127.0.0.1", relay.port, context=context(), timeout=30).close()
        smtplib.SMTP_SSL("127.0.0.1", relay.port, context=context(), timeout=30).close()
        test.check(False, "one connection too many is refused")
    except smtplib.SMTPConnectError as error:
        test.equal(error.smtp_code, 421, "one connection too many: 421, inside TLS")
    first.close()
    relay.control("concurrencyincoming", 1000)
    relay.svc("-t")
    wait_for(lambda: relay.ctl("stat", check=False).returncode == 0, "relay-queue is back")


def check_when(test, relay):
    set_rules(relay, 'RELAYTLS="immediate"')
    with smtplib.SMTP_SSL("127.0.0.1", relay.port, context=context(), timeout=30) as client:
        client.ehlo()
        test.check("starttls" not in client.esmtp_features, "immediate: no STARTTLS is offered")
        test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 250, "immediate: MAIL")
    test.check("Cipher is ECDHE" in s_client(relay, "-tls1_2", port=relay.port), "immediate: openssl")
    sock, lines = raw(relay)
    sock.sendall(b"EHLO x\r\n")
    test.equal(lines.read(), b"", "clear text on that port is not answered")
    check_refused(test, relay)
    set_rules(relay, 'RELAYTLS="require"')
    client = Client(relay)
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 530, "require: no MAIL in clear")
    test.equal(client.docmd("NOOP")[0], 250, "require: NOOP")
    client.starttls(context=context())
    client.ehlo()
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 250, "require: MAIL inside TLS")
    client.close()
    set_rules(relay, 'RELAYTLS="none"')
    client = Client(relay)
    test.check("starttls" not in client.esmtp_features, "none: not offered")
    test.equal(client.docmd("STARTTLS")[0], 502, "none: and refused")
    client.close()
    set_rules(relay, 'RELAYTLS="may"')


def keyds(relay):
    return relay.pids("relay-keyd")


def check_memory(test, relay, keys):
    """No relay-smtpd holds a byte of a private key; relay-keyd does (so that the search is one)."""
    client = Client(relay)
    client.starttls(context=context())
    client.ehlo()
    secrets = [n for key in keys for n in certificates.private_bytes(key)]
    def holds(pid):
        return sum(s in data or s[::-1] in data for data in regions(pid) for s in secrets)
    root, server = keyds(relay)
    test.check(holds(server) >= len(secrets) - 1, "relay-keyd's server holds them (but RSA's d)", holds(server))
    test.equal(holds(root), 0, "relay-keyd's first process does not")
    test.equal(holds(relay.pids("relay-smtpd")[0]), 0, "relay-smtpd does not")
    client.quit()


def check_reload(test, relay, session):
    tls = relay.directory / "control/tls"
    certificates.self_signed(tls, "new", "new.test")
    in_session = Client(relay)
    in_session.starttls(context=context())
    in_session.ehlo()
    relay.control("servercert", ["tls/new.pem tls/new.key", "tls/rsa.pem tls/rsa.key"])
    old = keyds(relay)[1]
    relay.svc("-h", "keyd")
    wait_for(lambda: len(keyds(relay)) == 2 and keyds(relay)[1] != old, "a new server")
    test.equal(subject(s_client(relay, "-tls1_2")), "new.test", "HUP: the new certificate")
    test.equal(in_session.noop()[0], 250, "sessions go on")
    in_session.quit()
    test.check("New," in s_client(relay, "-tls1_2", "-sess_in", session), "old sessions are not resumed")
    for lines, word in ((["tls/none.pem"], "control/tls/none.pem: No such file"),
                        (["tls/rsa.pem tls/new.key"], "not the private key of"),
                        (["tls/new.key"], "no certificate in it"),
                        (["tls/new.pem tls/new.key b@d"], "not a server name"),
                        (["tls/new.pem tls/new.pem"], "everybody can read it")):
        relay.control("servercert", lines)
        relay.svc("-h", "keyd")
        wait_for(lambda word=word: re.search(f"warning: the old keys stay: control/servercert:1: .*{re.escape(word)}",
                                             relay.log("keyd")), f"HUP with nonsense: {word}")
    test.equal(subject(s_client(relay, "-tls1_2")), "new.test", "and the old certificate stays")
    relay.control("servercert", ["tls/new.pem tls/new.key", "tls/rsa.pem tls/rsa.key"])


def check_killed(test, relay):
    for victim in (0, 1):
        before = keyds(relay)
        os.kill(before[victim], signal.SIGKILL)
        client = Client(relay)  # at once: it waits for the next relay-keyd
        try:
            client.starttls(context=context())
            client.ehlo()
            test.equal(client.noop()[0], 250, f"kill -9 of process {victim} of relay-keyd: the next handshake waits")
        except (smtplib.SMTPException, ssl.SSLError) as error:
            test.check(False, f"kill -9 of process {victim} of relay-keyd", error)
        client.close()
        wait_for(lambda before=before: len(keyds(relay)) == 2 and not set(before) & set(keyds(relay)), "both are new")
    relay.svc("-d", "keyd")
    wait_for(lambda: not keyds(relay), "relay-keyd is down")
    client = Client(relay)
    test.equal(client.docmd("STARTTLS")[0], 454, "without relay-keyd: 454")
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 250, "and mail goes on in clear")
    client.close()
    relay.svc("-u", "keyd")
    wait_for(lambda: len(keyds(relay)) == 2, "relay-keyd is up")


def check_postfix(test, relay, sink):
    address = ("127.0.0.1", test.port())
    postfix = test.ends(Postfix(test.path("postfix"), *address, f"relayhost=[127.0.0.1]:{relay.port}",
                                "smtp_tls_security_level=encrypt", "smtp_tls_loglevel=1",
                                "smtp_tls_session_cache_database=btree:${data_directory}/scache"))
    for n in range(2):
        with smtplib.SMTP(*address, timeout=30) as client:
            client.sendmail("p@b.test", ["c@d.test"], b"Subject: postfix %d\r\n\r\nx\r\n" % n)
        sink.wait(4 + n)
    test.check("TLS connection established to 127.0.0.1" in postfix.log(), "Postfix sends over TLS", postfix.log()[-1500:])


def main(test):
    tls = test.path("relay") / "control/tls"
    made = [certificates.self_signed(tls, "ec"), certificates.self_signed(tls, "rsa", key="rsa"),
            certificates.self_signed(tls, "other", "other.test", "*.wild.test", key="p384")]
    sink = test.ends(Receiver("127.0.0.1", test.port()))
    relay = test.relay(routes=[f":127.0.0.1:{sink.port}"],
                       control={"servercert": "tls/ec.pem tls/ec.key\ntls/rsa.pem tls/rsa.key\n"
                                              "tls/other.pem tls/other.key other.test *.wild.test"})
    check_clients(test, relay, sink)
    check_openssl(test, relay)
    session = check_resumption(test, relay)
    check_injection(test, relay)
    check_when(test, relay)
    if os.geteuid() == 0:
        if "asan" not in BUILD.name:  # its shadow memory is terabytes
            check_memory(test, relay, [c.key for c in made])
        check_postfix(test, relay, sink)
    check_reload(test, relay, session)
    check_killed(test, relay)
    with Client(relay) as client:
        client.starttls(context=context())
        client.ehlo()
        client.message("a@b.test", "c@d.test", CONTENT)


run(main, tools=["openssl", "swaks"])
