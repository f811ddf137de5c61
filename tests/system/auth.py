#!/usr/bin/python3
"""AUTH: mechanisms with Python and swaks, what may relay then and as whom, what is refused, failures
slowed down for who fails and for nobody else, no password in any log, relay-authd killed."""
# limit: 200
import base64
import os
import re
import shutil
import signal
import smtplib
import ssl
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from peers import Receiver, swaks
from relaytest import BUILD, TOP, Client, run, run_program, wait_for

USER, PASSWORD = "user@relay.test", "Geheim-Wort-7"
CONTENT = b"Subject: authenticated\r\n\r\nbody\r\n"


def context():
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


def secured(relay, source="127.0.0.1"):
    client = Client(relay, source=source)
    client.starttls(context=context())
    client.ehlo()
    return client


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(user, password, authorize=""):
    return b64(f"{authorize}\0{user}\0{password}")


def check_mechanisms(test, relay, sink):
    client = Client(relay)
    test.check("auth" not in client.esmtp_features, "AUTH is not offered in clear")
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 538, "and refused: 538")
    test.equal(client.docmd("MAIL FROM:<a@b.test> AUTH=<>")[0], 250, "AUTH= is taken")
    test.equal(client.docmd("RCPT TO:<c@d.test>")[0], 550, "without AUTH there is no relaying")
    client.close()
    for count, mechanism in enumerate(("PLAIN", "LOGIN", "CRAM-MD5"), 1):
        client = secured(relay)
        test.check(mechanism in client.esmtp_features.get("auth", ""), f"{mechanism} is offered")
        client.user, client.password = USER, PASSWORD
        method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login, "CRAM-MD5": client.auth_cram_md5}[mechanism]
        test.equal(client.auth(mechanism, method)[0], 235, f"{mechanism}: 235")
        test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 503, f"{mechanism}: AUTH once")
        client.message("a@b.test", "c@d.test", CONTENT, mail=["AUTH=x+2By@b.test"])
        client.quit()
        received = sink.wait(count)[-1].content.decode()
        test.check(re.match(r"Received: from client.test .*\r\n  by relay.test with ESMTPSA id", received),
                   f"{mechanism}: ESMTPSA", received[:200])
        test.check(USER not in received, f"{mechanism}: no user name in the message", received)
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        done = swaks(relay, "--tls", "--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD,
                     "--from", "a@b.test", "--to", "c@d.test")
        test.equal(done.returncode, 0, f"swaks --tls --auth {mechanism}")
    sink.wait(6)
    log = relay.log("smtpd") + relay.log("send")
    test.check(f"tenant={USER}" in relay.log("smtpd"), "relay-smtpd's log has the tenant")
    test.check(re.search(rf"= queued id=\w+ .*tenant={USER}", relay.log("send")), "relay-queue's, too")
    test.check(f" auth={USER}" in log, "the accept line says who")
    test.check(f"auth result=yes user={USER}" in relay.log("authd"), "relay-authd's log")


def check_cram(test, relay, sink):
    """swaks knows a wrong password from the right one, whichever order the password program wants."""
    wrong = "Geheim-Wort-8"
    for n, (order, password) in enumerate((("challenge", wrong), ("response", wrong), ("response", PASSWORD))):
        if order != (relay.directory / "control/authcram").read_text().strip():
            restart_authd(relay, order)
        good, source, count = password == PASSWORD, test.address(70 + n), len(sink.messages)
        done = swaks(relay, "--local-interface", source, "--tls", "--auth", "CRAM-MD5", "--auth-user", USER,
                     "--auth-password", password, "--from", "a@b.test", "--to", "c@d.test")
        test.equal(done.returncode, 0 if good else 28, f"authcram {order}: swaks with {password}")
        test.check(re.search(rf"^<[~*]+ +{235 if good else 535} ", done.stdout, re.MULTILINE),
                   f"it hears {235 if good else 535}", done.stdout[-1500:])
        wait_for(lambda source=source, result="yes" if good else "no": re.search(
            rf"auth result={result} user={USER} client={source} .*method=cram-md5", relay.log("authd")),
            f"relay-authd's log has it: {relay.log('authd')[-500:]}")
        if good:
            sink.wait(count + 1)
        else:
            test.equal(len(sink.messages), count, "and sends nothing")


def restart_authd(relay, order):
    old = relay.pids("relay-authd")
    relay.control("authcram", order)
    relay.control("checkpassword", check_command(relay.directory, order))
    relay.svc("-t", "authd")
    wait_for(lambda: set(relay.pids("relay-authd")) - set(old), "relay-authd has started again")


def check_command(home, order):
    words = f"{home}/checkpassword {home}/users true"
    return f"/usr/bin/env CRAM=response {words}" if order == "response" else words


def check_refusals(test, relay):
    client = secured(relay)
    for line, code, what in (
            ("AUTH", 504, "no mechanism"), ("AUTH GSSAPI", 504, "an unknown one"),
            ("AUTH PLAIN x", 501, "no base64"), ("AUTH PLAIN " + b64("x"), 501, "no PLAIN message"),
            ("AUTH PLAIN " + plain(USER, PASSWORD, "other"), 535, "another identity"),
            ("AUTH PLAIN " + plain("a b", PASSWORD), 535, "a name with a blank"),
            ("AUTH PLAIN " + b64(b"\0" + b"u" * 65 + b"\0p"), 535, "a long name"),
            ("AUTH PLAIN =", 501, "an empty initial response"),
            ("AUTH CRAM-MD5 " + b64("x"), 501, "CRAM-MD5 with an initial response")):
        test.equal(client.docmd(line)[0], code, f"{what}: {code}")
    client.close()
    client = secured(relay)
    test.equal(client.docmd("AUTH LOGIN")[0], 334, "LOGIN")
    test.equal(client.docmd("*")[0], 501, "cancelled: 501")
    test.equal(client.docmd("AUTH CRAM-MD5")[0], 334, "CRAM-MD5")
    test.equal(client.docmd(b64(f"{USER} nothex"))[0], 501, "garbled: 501")
    test.equal(client.docmd("AUTH PLAIN")[0], 334, "PLAIN without an initial response")
    test.equal(client.docmd(plain(USER, PASSWORD))[0], 235, "235")
    client.docmd("MAIL FROM:<a@b.test>")
    client.close()
    client = secured(relay)
    client.docmd("MAIL FROM:<a@b.test>")
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 503, "not in a transaction")
    client.close()
    for user, why in (("broken", "failed"), ("killed", "failed")):
        client = secured(relay)
        test.equal(client.docmd("AUTH PLAIN " + plain(user, "x"))[0], 454, f"the program is {user}: 454")
        client.close()
        wait_for(lambda user=user, why=why: re.search(rf"result=unknown user={user} .*{why}", relay.log("authd")),
                 f"the log says that {user} {why}")


def check_slowed(test, relay):
    """One address fails and waits longer each time; another one does not wait for it."""
    attacker, other = test.address(66), test.address(67)
    client = secured(relay, attacker)
    codes = [client.docmd("AUTH PLAIN " + plain(USER, "wrong"))[0] for _ in range(2)]
    test.equal(codes, [535, 535], "wrong passwords: 535")
    waits = re.findall(rf"result=no user={USER} client={attacker} .* failures=(\d) delay=(\d+)s", relay.log("authd"))
    test.equal(waits, [("1", "1"), ("2", "2")], "each delay is twice the one before")
    thread = threading.Thread(target=client.docmd, args=("AUTH PLAIN " + plain(USER, "wrong"),))
    thread.start()
    wait_for(lambda: re.search(rf"client={attacker} .*failures=3", relay.log("authd")), "a third failure is held back")
    good = secured(relay, other)
    test.equal(good.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 235, "another client is served meanwhile")
    test.check(thread.is_alive(), "(it is still held back)")
    good.close()
    thread.join()
    wait_for(lambda: "end reason=auth-failures" in relay.log("smtpd"), "three failures end the session")
    client.close()


class Late(threading.Thread):
    """An attempt whose check takes a minute; there are twenty seconds for it, in which the test goes on."""

    def __init__(self, test, relay):
        super().__init__()
        self.client, self.reply = secured(relay, test.address(68)), None
        self.start()

    def run(self):
        self.reply = self.client.docmd("AUTH PLAIN " + plain("slow", "x"))

    def check(self, test, relay):
        self.join()
        test.equal(self.reply[0], 454, "a check that takes too long: 454")
        test.check(re.search("result=unknown user=slow .*took too long", relay.log("authd")), "and the log says so")
        self.client.close()


def check_half_ends(test, relay, half):
    """Of the two processes, in the middle of a check."""
    client, slow = secured(relay), {}
    def attempt():
        slow["code"] = client.docmd("AUTH PLAIN " + plain("slow", "x"))[0]
    thread = threading.Thread(target=attempt)
    wait_for(lambda: len(relay.pids("relay-authd")) == 2, "both processes are there")
    root, server = relay.pids("relay-authd")
    thread.start()
    wait_for(lambda: len(children(root)) == 2, "a check is running")
    checker = next(p for p in children(root) if p != server)
    os.kill(root if half == "root" else server, signal.SIGKILL)
    thread.join()
    wait_for(lambda: not any(Path(f"/proc/{p}").exists() for p in (root, server, checker)),
             "the check and the other half end, too")
    test.equal(slow["code"], 454, f"kill -9 of the {half} in the middle: 454")
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 235, "the next attempt waits for the next one")
    client.close()


def check_authd_ends(test, relay):
    for half in ("server", "root"):
        check_half_ends(test, relay, half)
    wait_for(lambda: relay.pids("relay-authd"), "relay-authd is back")
    relay.svc("-d", "authd")
    wait_for(lambda: not relay.pids("relay-authd"), "relay-authd is down")
    client = secured(relay)
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 454, "without relay-authd: 454")
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 250, "the session goes on")
    client.close()
    relay.svc("-u", "authd")
    wait_for(lambda: relay.pids("relay-authd"), "relay-authd is up")


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def check_policy(test, relay):
    def rules(variables):
        (relay.directory / "service/smtpd/rules").write_text(f"127.:allow{variables}\n")
        run_program("make", cwd=relay.directory / "service/smtpd")
    rules(',RELAYAUTH="require"')
    client = secured(relay)
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 530, "RELAYAUTH=require: MAIL needs AUTH")
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 235, "AUTH")
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 250, "then MAIL")
    client.close()
    rules(',RELAYAUTH="require",RELAYTLS="require"')
    client = Client(relay)
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 530, "RELAYTLS=require: AUTH is 530 in clear")
    client.close()
    rules(',RELAYAUTH="clear"')
    client = Client(relay)
    test.check("auth" in client.esmtp_features, "RELAYAUTH=clear: offered in clear")
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 235, "and taken")
    test.equal(client.docmd("STARTTLS")[0], 220, "STARTTLS after AUTH")
    client.sock = context().wrap_socket(client.sock)
    client.file = None
    client.ehlo()
    test.equal(client.docmd("MAIL FROM:<a@b.test>")[0], 250, "MAIL")
    test.equal(client.docmd("RCPT TO:<c@d.test>")[0], 550, "what AUTH had allowed is forgotten")
    client.close()
    rules(',RELAYAUTH="none"')
    client = secured(relay)
    test.equal(client.docmd("AUTH PLAIN " + plain(USER, PASSWORD))[0], 502, "RELAYAUTH=none: 502")
    test.equal(client.docmd("MAIL FROM:<a@b.test> AUTH=<>")[0], 555, "and AUTH= is unknown")
    client.close()
    rules("")


def main(test):
    home = test.path("relay")
    certificates.self_signed(home / "control/tls", "ec")
    shutil.copy(TOP / "tests/lib/checkpassword", home / "checkpassword")
    (home / "users").write_text(f"{USER}:{PASSWORD}\nslow:slow\nbroken:broken\nkilled:killed\n")
    sink = test.ends(Receiver("127.0.0.1", test.port()))
    relay = test.relay(routes=[f":127.0.0.1:{sink.port}"], rules="127.:allow\n:deny\n", control={
        "servercert": "tls/ec.pem tls/ec.key", "authcram": "challenge",
        "checkpassword": check_command(home, "challenge")})
    check_cram(test, relay, sink)
    late = Late(test, relay) if "asan" not in BUILD.name else None
    check_mechanisms(test, relay, sink)
    check_refusals(test, relay)
    check_slowed(test, relay)
    check_policy(test, relay)
    if late:
        late.check(test, relay)
    check_authd_ends(test, relay)
    logs = "".join(relay.log(s) for s in ("smtpd", "send", "authd", "keyd"))
    for secret in (PASSWORD, b64(PASSWORD), plain(USER, PASSWORD), b64(f"\0{USER}\0")[:-4]):
        test.check(secret not in logs, "no password is in a log")
    test.check("AUTH [redacted]" in logs, "AUTH is redacted")


run(main, tools=["openssl", "swaks"])
