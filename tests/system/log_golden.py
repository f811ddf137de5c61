#!/usr/bin/python3
"""relay-log and real recordio logs: swaks against Postfix and against relay-smtpd, smtplib's and
poplib's logins, Dovecot's POP3; many sessions at a time. No byte of a body and no password comes
out, what should does, and however the log is cut the output is the same."""
# limit: 200
import base64
import concurrent.futures
import hashlib
import hmac
import os
import poplib
import re
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from badmx import BadMX
from logpeers import Dovecot, Recorded, recut
from relaytest import BUILD, TOP, run, run_program

MARK = "bodymark"
USER, PASSWORD = "joe", "hunter2-Geheim"
IMITATION = f"""Subject: {MARK}1
From: {MARK}2@x
\tfolded {MARK}3

MAIL FROM:<{MARK}4@x>
RCPT TO:<{MARK}5@x>
DATA {MARK}6
BDAT 10 LAST {MARK}
AUTH PLAIN {MARK}7
QUIT {MARK}8
250 {MARK}9
354 {MARK}10
+OK {MARK}11
-ERR {MARK}
220 {MARK} ESMTP
19799 < MAIL FROM:<{MARK}12@x>
19799 = accept {MARK}13
tcpserver: ok 19799 {MARK}14
.
.{MARK}15
..
. {MARK}16
{MARK}17+
{MARK}18 
[EOF]
"""
HEADER = """From: Joe <joe@sender.test>
To: Ann <ann@rcpt.test>,
\tBob <bob@rcpt.test>
Subject: a long subject that goes on and on, so that recordio's 256 bytes end somewhere in the middle of it,
 as they did in the paper, whose filters then missed the line, because a line that goes on is no line
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.test; s=s; h=from:to:subject;
\tbh=g3zLYH4xKxcPrHOD18z9YfpQcnk/GaJedfustWU5uGs=; b=VnnjXE0cDpZ2MgEr
Message-ID: <1@sender.test>
"""
MESSAGE = (HEADER + "\n" + IMITATION).replace("\n", "\r\n").encode()
UNFOLDED = [
    "To: Ann <ann@rcpt.test>,\\x09Bob <bob@rcpt.test>",
    "Subject: a long subject that goes on and on, so that recordio's 256 bytes end somewhere in the middle of it,"
    " as they did in the paper, whose filters then missed the line, because a line that goes on is no line",
]


def relay_log(log, *words, pieces=None):
    """What comes out of relay-log WORDS cat for that log."""
    process = subprocess.Popen([BUILD / "bin/relay-log", *words, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    if pieces is None:
        out, err = process.communicate(log, timeout=60)
    else:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            reading = pool.submit(process.stdout.read)
            for i in range(0, len(log), pieces):
                process.stdin.write(log[i:i + pieces])
                process.stdin.flush()
            process.stdin.close()
            out, err = reading.result(), process.stderr.read()
        process.wait()
    if process.returncode or err:
        raise RuntimeError(f"relay-log: {process.returncode}: {err}")
    return out


def swaks(address, port, data, *words):
    """data is a message, or None: then swaks makes one."""
    return run_program("swaks", "--server", f"{address}:{port}", "--from", "joe@sender.test", "--to",
                       "ann@rcpt.test,bob@rcpt.test", "--ehlo", "client.test", "--timeout", "60",
                       *(["--data", data] if data else []), *words)


def smtp_login(address, port, mechanism, good=True):
    with smtplib.SMTP(address, port, "client.test", timeout=60) as client:
        client.ehlo()
        client.user, client.password = USER, PASSWORD if good else PASSWORD + "x"
        try:
            method = getattr(client, "auth_" + mechanism.lower().replace("-", "_"))
            client.auth(mechanism, method, initial_response_ok=mechanism == "PLAIN")
        except smtplib.SMTPAuthenticationError:
            assert not good
        client.sendmail("joe@sender.test", ["ann@rcpt.test"], MESSAGE)


def smtp_two_messages(address, port):
    """Several in one session, one BDAT, one refused recipient, one TLS handshake at the end."""
    context = ssl._create_unverified_context()
    with smtplib.SMTP(address, port, "client.test", timeout=60) as client:
        client.ehlo()
        client.sendmail("joe@sender.test", ["ann@rcpt.test"], MESSAGE)
        client.mail("joe@sender.test")
        client.rcpt("ann@rcpt.test")
        first, rest = MESSAGE[:100], MESSAGE[100:]
        client.send(b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (len(first), first, len(rest), rest))
        assert client.getreply()[0] == 250 and client.getreply()[0] == 250
        if client.has_extn("starttls"):
            client.starttls(context=context)
            client.ehlo()
            client.sendmail("joe@sender.test", ["tlsmark@rcpt.test"], MESSAGE)


def pop3_session(address, port, how):
    client = poplib.POP3(address, port, timeout=60)
    client.capa()
    if how == "apop":
        client.apop(USER, PASSWORD)
    elif how == "plain":
        client._shortcmd("AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode())
    elif how == "cram":
        challenge = client._shortcmd("AUTH CRAM-MD5")[2:]
        digest = hmac.new(PASSWORD.encode(), base64.b64decode(challenge), hashlib.md5).hexdigest()
        client._shortcmd(base64.b64encode(f"{USER} {digest}".encode()).decode())
    elif how == "stls":
        client.stls(ssl._create_unverified_context())
        client.user(USER)
        client.pass_(PASSWORD)
    else:
        client.user(USER)
        client.pass_(PASSWORD)
    count = client.stat()[0]
    client.list()
    client.uidl()
    for number in range(1, count + 1):
        client.retr(number)
        client.top(number, 2)
        client.list(number)
    client.quit()


def pop3_ahead(address, port):
    """Commands sent without waiting."""
    import socket
    with socket.create_connection((address, port), 60) as peer:
        peer.sendall(f"USER {USER}\r\nPASS {PASSWORD}\r\nSTAT\r\nLIST\r\nRETR 1\r\nUIDL\r\nRETR 2\r\nTOP 1 0\r\nQUIT\r\n".encode())
        while peer.recv(65536):
            pass


def secrets():
    """Every form in which a password might be seen."""
    plain = [MARK, PASSWORD, f"\0{USER}\0{PASSWORD}", f"{PASSWORD}x", f"\0{USER}\0{PASSWORD}x"]
    found = [s.encode() for s in plain]
    for text in plain:
        for lead in range(3):  # base64 of it at any place in a longer text
            code = base64.b64encode(b"x" * lead + text.encode())
            found.append(code[4 if lead else 0:-4])
    return [s for s in found if len(s) >= 6]


def check_clean(test, out, what):
    for secret in secrets():
        test.checks += 1
        if secret in out:
            line = next(l for l in out.splitlines() if secret in l)
            test.check(False, f"{what}: nothing secret in it", (secret, line))
            return
    digests = re.findall(rb"\b[0-9a-f]{32}\b", out)
    test.equal(digests, [], f"{what}: no body, no password, no digest in {len(out)} bytes")


def check_cuts(test, log, words, what):
    whole = relay_log(log, *words)
    for size in [*range(1, 12), 17, 64, 100, 255]:
        if relay_log(recut(log, size), *words) != whole:
            test.check(False, f"{what}: as if recordio had read {size} bytes at a time")
    for pieces in (1, 7, 4096):
        part = log[:len(log) if pieces > 1 else 30000]
        part = part[:part.rindex(b"\n") + 1]
        if relay_log(part, *words, pieces=pieces) != relay_log(part, *words):
            test.check(False, f"{what}: read {pieces} bytes at a time")
    test.check(True, f"{what}: the same however it is cut")
    return whole


def by_session(out):
    found = {}
    for line in out.decode().splitlines():
        head = re.match(r"(\d+) [<>=] ", line)
        if head:
            found.setdefault(head.group(1), []).append(line[len(head.group(1)) + 1:])
    return found


def check_smtp(test, log, what, tls):
    test.check(MARK.encode() in log, f"{what}: recordio has the bodies")
    out = check_cuts(test, log, ["smtp"], what)
    check_clean(test, out, what)
    sessions = by_session(out)
    for lines in sessions.values():
        test.checks += 1
        if "= tls begin=starttls" not in lines and not (lines[-1].startswith("> 221 ") or lines[-1].startswith("= end")):
            test.check(False, f"{what}: a session is logged to its end", lines[-3:])
        if any("unfollowed" in line for line in lines):
            test.check(False, f"{what}: every session can be followed", lines)
    swaks_sessions = [s for s in sessions.values() if "< EHLO client.test" in s]
    test.check(len(swaks_sessions) >= 3, f"{what}: sessions are there", len(swaks_sessions))
    test.check(len(log) > 130000, f"{what}: an attachment of 100,000 bytes is among them")
    for lines in [s for s in swaks_sessions if "< Message-ID: <1@sender.test>" in s]:
        for wanted in UNFOLDED:
            if f"< {wanted}" not in lines:
                test.check(False, f"{what}: {wanted[:20]} unfolded", lines)
    test.equal("= tls begin=starttls" in sum(sessions.values(), []), tls, f"{what}: STARTTLS is said")
    few = relay_log(log, "-h", "From,Subject", "smtp")
    names = set(re.findall(rb"^\d+ < ([A-Za-z-]+): ", few, re.M))
    test.equal(names, {b"From", b"Subject"}, f"{what}: -h From,Subject")
    kept = relay_log(log, "smtp", "-*", "+* < Subject: *").splitlines()
    test.check(kept and all(b" < Subject: " in line for line in kept) and
               all(b"is no line" in line or b" < Subject: test " in line for line in kept), f"{what}: '-*' '+* < Subject: *'")
    return sessions


def check_golden(test, sessions):
    """One session with Postfix, word for word but for what differs each time."""
    wanted = ["> 220 postfix.test ESMTP Postfix", "< EHLO client.test", "> 250-postfix.test", "> 250-PIPELINING",
              "> 250-SIZE 10240000", "> 250-VRFY", "> 250-ETRN", "> 250-STARTTLS", "> 250-AUTH PLAIN LOGIN CRAM-MD5",
              "> 250-ENHANCEDSTATUSCODES", "> 250-8BITMIME", "> 250-DSN", "> 250-SMTPUTF8", "> 250 CHUNKING",
              "< MAIL FROM:<joe@sender.test>", "> 250 2.1.0 Ok", "< RCPT TO:<ann@rcpt.test>", "> 250 2.1.5 Ok",
              "< RCPT TO:<bob@rcpt.test>", "> 250 2.1.5 Ok", "< DATA", "> 354 End data with <CR><LF>.<CR><LF>",
              "< From: Joe <joe@sender.test>", *[f"< {line}" for line in UNFOLDED],
              "< DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.test; s=s; h=from:to:subject;\\x09"
              "bh=g3zLYH4xKxcPrHOD18z9YfpQcnk/GaJedfustWU5uGs=; b=VnnjXE0cDpZ2MgEr",
              "< Message-ID: <1@sender.test>", f"= content bytes={len(stuffed(MESSAGE)) + 2}", "> 250 2.0.0 Ok: queued as ID",
              "< QUIT", "> 221 2.0.0 Bye"]
    found = [[re.sub("queued as .*", "queued as ID", line) for line in lines] for lines in sessions.values()]
    best = next((lines for lines in found if lines == wanted), None)
    test.check(best is not None, "a session of swaks with Postfix, line for line",
               next((lines for lines in found if "< AUTH" not in " ".join(lines)), None))


def stuffed(message):
    """As on the wire: dots stuffed. swaks ends it with an empty line more."""
    return re.sub(rb"^\.", b"..", message, flags=re.M)


def main(test):
    address, path = test.address(1), test.path("peers")
    body = path / "message"
    body.write_text(HEADER + "\n" + IMITATION)
    attached = path / "attached"
    attached.write_bytes(os.urandom(100000) + MARK.encode() * 100)
    mx = BadMX({}, host=test.address(9))
    relay = test.relay(routes=f":[{mx.host}]:{mx.port}")
    pop3, smtp = test.port(), test.port()
    dovecot = test.ends(Dovecot(test.path("dovecot"), address, pop3, {USER: PASSWORD},
                                [(HEADER + "\n" + IMITATION).encode(), b"Subject: second\n\n" + IMITATION.encode() * 20]))
    instance = [TOP / "tests/lib/postfix-instance"]
    run_program(*instance, "up", test.path("postfix"), "127.0.0.1", smtp, "smtpd_sasl_auth_enable=yes",
                "smtpd_sasl_type=dovecot", f"smtpd_sasl_path={dovecot.directory}/auth", "smtpd_tls_security_level=may",
                f"smtpd_tls_cert_file={dovecot.directory}/cert.pem", f"smtpd_tls_key_file={dovecot.directory}/cert.key",
                f"relayhost=[{mx.host}]:{mx.port}", "smtp_sasl_auth_enable=no")
    test.stack.callback(run_program, *instance, "down", test.path("postfix"), check=False)
    pump = TOP / "tests/lib/pump"
    to_postfix = test.ends(Recorded(path / "postfix.log", address, test.port(), pump, "127.0.0.1", smtp))
    to_dovecot = test.ends(Recorded(path / "dovecot.log", address, test.port(), pump, address, pop3))
    to_relay = test.ends(Recorded(path / "relay.log", address, test.port(), BUILD / "bin/relay-smtpd", "-d",
                                  relay.directory, env={"RELAYCLIENT": ""},
                                  options=["-u", run_program("id", "-u", "relayd").stdout.strip(),
                                           "-g", run_program("id", "-g", "relayd").stdout.strip()]))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = []
        for server in (to_postfix, to_relay):
            jobs += [pool.submit(swaks, server.address, server.port, f"@{body}") for _ in range(3)]
            jobs += [pool.submit(swaks, server.address, server.port, f"@{body}", "--pipeline")]
            jobs += [pool.submit(swaks, server.address, server.port, None, "--attach", f"@{attached}", "--body", MARK)]
        jobs += [pool.submit(swaks, to_postfix.address, to_postfix.port, f"@{body}", "--auth", mechanism, "--auth-user", USER,
                             "--auth-password", PASSWORD) for mechanism in ("PLAIN", "LOGIN")]
        jobs += [pool.submit(smtp_login, to_postfix.address, to_postfix.port, mechanism, good)
                 for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5") for good in (True, False)]
        jobs += [pool.submit(smtp_two_messages, to_postfix.address, to_postfix.port) for _ in range(2)]
        jobs += [pool.submit(pop3_session, to_dovecot.address, to_dovecot.port, how)
                 for how in ("pass", "apop", "plain", "cram", "stls")]
        jobs += [pool.submit(pop3_ahead, to_dovecot.address, to_dovecot.port) for _ in range(2)]
        for job in jobs:
            job.result()
    sessions = check_smtp(test, to_postfix.idle(), "Postfix", True)
    check_golden(test, sessions)
    text = "\n".join(sum(sessions.values(), []))
    for mechanism in ("PLAIN [redacted]", "LOGIN", "CRAM-MD5"):
        test.check(f"< AUTH {mechanism}" in text, f"AUTH {mechanism} is named")
    test.check("tlsmark" not in text, "nothing behind STARTTLS")
    check_smtp(test, to_relay.idle(), "relay-smtpd", False)
    check_pop3(test, to_dovecot.idle())


def check_pop3(test, log):
    test.check(MARK.encode() in log and PASSWORD.encode() in log, "Dovecot: recordio has bodies and passwords")
    out = check_cuts(test, log, ["pop3"], "Dovecot")
    check_clean(test, out, "Dovecot")
    sessions = by_session(out)
    test.equal(len(sessions), 7, "Dovecot: seven sessions")
    text = "\n".join(sum(sessions.values(), []))
    for wanted in ("< PASS [redacted]", f"< APOP {USER} [redacted]", "< AUTH PLAIN [redacted]", "< AUTH CRAM-MD5", "> + [redacted]",
                   "= tls begin=starttls", *[f"> {line}" for line in UNFOLDED], "> Subject: second"):
        test.check(wanted in text, f"Dovecot: {wanted[:30]}")
    test.check("unfollowed" not in text, "Dovecot: every session can be followed", text)
    test.check(all(s[-1].startswith("> +OK") or "tls" in s[-1] for s in sessions.values()), "Dovecot: to their end",
               [s[-1] for s in sessions.values()])


run(main, root=True, tools=["swaks", "tcpserver", "recordio", "dovecot"])
