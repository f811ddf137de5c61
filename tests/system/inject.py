#!/usr/bin/python3
"""relay-inject as cron, PHP and people call sendmail, from several uids."""
# limit: 120
import os
import pwd
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver
from relaytest import run, run_program

CRON = """From: root (Cron Daemon)
To: admin@dest.test
Subject: Cron <root@host> test -x /bin/true
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
X-Cron-Env: <SHELL=/bin/sh>

output line
.
still output
"""
PHP = """To: Bob <bob@dest.test>, "Q, R" <qr@dest.test>
Subject: from a form
Cc: cc@dest.test
Bcc: hidden@dest.test
From: shop@shop.test
X-PHP-Originating-Script: 1000:mail.php

Thank you.
"""


def sendmail(relay, uid, *words, text):
    command = [relay.directory / "bin/sendmail", "-d", relay.directory, *words]
    if uid != os.geteuid():
        command = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *command]
    return run_program(*command, input=text, check=False, cwd="/")


def delivered(test, receiver, done, what):
    test.equal((done.returncode, done.stderr), (0, ""), f"{what}: status 0, silent")
    receiver.wait(1)
    return receiver.messages.pop(0)


def check_received(test, message, uid, what):
    first = message.content.split(b"\r\nSubject")[0].decode()
    received = first[:first.index("\r\n", first.index("Received:") + 300) if len(first) > 600 else None]
    test.check("Received:" in first and f"uid {uid}" in received, f"{what}: its Received line names uid {uid}", first)


def check_cron(test, relay, receiver):
    uid = os.geteuid()
    done = sendmail(relay, uid, "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "admin@dest.test", text=CRON)
    message = delivered(test, receiver, done, "cron")
    test.equal(message.rcpt_tos, ["admin@dest.test"], "cron: recipients are the arguments")
    test.check(b"output line\r\n.\r\nstill output\r\n" in message.content, "-i: a lone dot is text", message.content)
    check_received(test, message, uid, "cron")
    test.check(f"tenant=local:{uid}" in relay.log("send"), f"cron: the tenant is local:{uid}")
    test.check("@" in message.mail_from, "the sender has a domain", message.mail_from)


def check_php(test, relay, receiver, uid):
    done = sendmail(relay, uid, "-t", "-i", "-f", "bounce@shop.test", text=PHP)
    message = delivered(test, receiver, done, f"PHP as uid {uid}")
    test.equal(sorted(message.rcpt_tos), sorted(["bob@dest.test", "qr@dest.test", "cc@dest.test", "hidden@dest.test"]),
               "-t: recipients are To, Cc and Bcc")
    test.check(b"hidden@" not in message.content, "-t: Bcc is taken out")
    test.equal(message.mail_from, "bounce@shop.test", "-f is the sender")
    for name in (b"Date:", b"Message-ID:", b"From: shop@shop.test"):
        test.check(name.lower() in message.content.lower(), f"it has {name.decode()}", message.content)
    check_received(test, message, uid, "PHP")
    test.check(f"tenant=local:{uid}" in relay.log("send"), f"the tenant is local:{uid}")


def check_forms(test, relay, receiver):
    uid = os.geteuid()
    done = sendmail(relay, uid, "-oi", "-fann@a.test", "x@dest.test", text="Subject: LF\n\nline\n\nend without newline")
    message = delivered(test, receiver, done, "-oi -fADDRESS")
    test.check(message.content.endswith(b"line\r\n\r\nend without newline\r\n"), "lines end in CRLF", message.content)
    done = sendmail(relay, uid, "-f", "<>", "-i", "x@dest.test", text="Subject: crlf\r\n\r\nline\r\n")
    message = delivered(test, receiver, done, "-f <>")
    test.equal(message.mail_from, "", "the empty sender")
    test.check(b"\r\r" not in message.content, "CRLF stays CRLF", message.content)
    done = sendmail(relay, uid, "-f", "a@a.test", "x@dest.test", text="Subject: dot\n\nbefore\n.\nafter\n")
    message = delivered(test, receiver, done, "without -i")
    test.check(b"after" not in message.content, "a lone dot ends the message")
    body = "".join(f"{n:06d} " + "x" * 70 + "\n" for n in range(30000))
    done = sendmail(relay, uid, "-i", "-f", "a@a.test", "big@dest.test", text="Subject: big\n\n" + body)
    message = delivered(test, receiver, done, "2 MB")
    test.check(message.header_body()[1] == body.replace("\n", "\r\n").encode(), "2 MB arrive byte for byte")


def check_refusals(test, relay, receiver):
    uid = os.geteuid()
    for words, text in ((["-t", "-i"], "Subject: nobody\n\nx\n"), (["-i", "not an address@@"], "Subject: bad\n\nx\n"),
                        (["-i"], "Subject: none\n\nx\n")):
        done = sendmail(relay, uid, *words, text=text)
        test.check(done.returncode != 0 and done.stderr.strip(), f"{' '.join(words)} without a good recipient: "
                   "a status and a text", f"{done.returncode} {done.stderr}")
    relay.down()
    done = sendmail(relay, uid, "-i", "x@dest.test", text="Subject: down\n\nx\n")
    test.equal(done.returncode, 75, "no relay: EX_TEMPFAIL, the caller keeps the message")
    test.equal(len(receiver.messages), 0, "nothing else arrived")


def main(test):
    port = test.port()
    receiver = test.ends(Receiver("127.0.0.1", port))
    relay = test.relay(routes=[f":127.0.0.1:{port}"])
    check_cron(test, relay, receiver)
    uids = [os.geteuid()]
    if os.geteuid() == 0:
        uids = [pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("relayd").pw_uid, 12345]
    for uid in uids:
        check_php(test, relay, receiver, uid)
    check_forms(test, relay, receiver)
    relay.wait_empty()
    check_refusals(test, relay, receiver)


run(main)
