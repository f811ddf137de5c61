#!/usr/bin/python3
"""Delivery status notifications as a mail program sees them: RFC 3464 by Python's email package,
NOTIFY, RET, ENVID, ORCPT (RFC 3461), delay, expiry, double bounces, UTF-8 (RFC 6533)."""
# limit: 200
import email
import email.policy
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from badmx import BadMX
from peers import Receiver
from relaytest import Client, run, wait_for

SENDER = "ann@back.test"
CONTENT = (b"From: Ann <ann@back.test>\r\nTo: bob@refuse.test\r\nSubject: the subject\r\n"
           b"Message-ID: <original@back.test>\r\n\r\nthe body, line one\r\n.line two\r\n")
WORDS = "550 5.1.1 no mailbox here by the name of"


class Mailbox:
    """Where the notifications arrive."""

    def __init__(self, test):
        self.receiver = test.ends(Receiver("127.0.0.1", test.port()))

    def take(self, seconds=20):
        """The next notification: (Message of peers.py, its parsed content)."""
        self.receiver.wait(1, seconds)
        message = self.receiver.messages.pop(0)
        return message, email.message_from_bytes(message.content, policy=email.policy.default)

    def quiet(self, seconds=2):
        time.sleep(seconds)
        return not self.receiver.messages


def part(notice, kind):
    return next((p for p in notice.walk() if p.get_content_type() == kind), None)


def fields(notice, which):
    """The nth group of fields of the delivery status: 0 is the message's, then the recipients'."""
    status = part(notice, "message/delivery-status") or part(notice, "message/global-delivery-status")
    return status.get_payload()[which]


def check_failure(test, relay, box):
    ident = relay.send(SENDER, ["bob@refuse.test"], CONTENT, mail=["RET=FULL", "ENVID=env+2B42"],
                       rcpt=["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Baddress@old.test"])
    message, notice = box.take()
    test.equal(message.mail_from, "", "its envelope sender is <>")
    test.equal(message.rcpt_tos, [SENDER], "it goes to the sender")
    test.equal(notice.get_content_type(), "multipart/report", "it is a multipart/report")
    test.equal(notice.get_param("report-type"), "delivery-status", "of report-type delivery-status")
    test.equal([p.get_content_type() for p in notice.iter_parts()],
               ["text/plain", "message/delivery-status", "message/rfc822"], "with three parts")
    test.check(not notice.defects, "the parser finds no defect", str(notice.defects))
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted"):
        test.check(notice[name], f"it has {name}")
    test.check("auto-replied" in str(notice["Auto-Submitted"]), "Auto-Submitted: auto-replied (RFC 3834)",
               str(notice["Auto-Submitted"]))
    whole, rcpt = fields(notice, 0), fields(notice, 1)
    test.equal(whole["Reporting-MTA"], "dns; relay.test", "Reporting-MTA")
    test.equal(whole["Original-Envelope-Id"], "env+42", "Original-Envelope-Id, xtext decoded")
    test.check(whole["Arrival-Date"], "Arrival-Date")
    test.equal(rcpt["Original-Recipient"], "rfc822; first+address@old.test", "Original-Recipient")
    test.equal(rcpt["Final-Recipient"], "rfc822; bob@refuse.test", "Final-Recipient")
    test.equal((rcpt["Action"], rcpt["Status"]), ("failed", "5.1.1"), "Action and Status")
    test.check(f"{WORDS} bob@refuse.test" in " ".join(str(rcpt["Diagnostic-Code"]).split()),
               "Diagnostic-Code has the MX's own words", str(rcpt))
    test.check(str(rcpt["Diagnostic-Code"]).startswith("smtp; "), "Diagnostic-Code is of type smtp")
    test.check(rcpt["Remote-MTA"] and rcpt["Last-Attempt-Date"], "Remote-MTA and Last-Attempt-Date", str(rcpt))
    text = part(notice, "text/plain").get_content()
    test.check(WORDS in text and "transcript" in text.lower() and "127.0.0.1" in text,
               "people read the transcript: who was asked, what was said", text)
    test.check(ident in text, "and the id that is in the log", text)
    original = part(notice, "message/rfc822").get_payload()[0]
    test.equal(original["Message-ID"], "<original@back.test>", "the original is returned")
    test.check("the body, line one\n.line two" in original.get_content().replace("\r\n", "\n"),
               "RET=FULL: with its body", original.as_string())
    test.check(all(len(line) <= 998 for line in message.content.split(b"\r\n")), "no line is over 998 bytes")


def check_ret_and_notify(test, relay, box):
    relay.send(SENDER, ["bob@refuse.test"], CONTENT, mail=["RET=HDRS"])
    _, notice = box.take()
    returned = part(notice, "text/rfc822-headers")
    test.check(returned and "the subject" in returned.get_content(), "RET=HDRS: the header is returned")
    test.check(b"line two" not in notice.as_bytes(), "RET=HDRS: the body is not")
    relay.send(SENDER, ["bob@refuse.test"], CONTENT, rcpt=["NOTIFY=NEVER"])
    relay.send(SENDER, ["bob@refuse.test"], CONTENT, rcpt=["NOTIFY=SUCCESS,DELAY"])
    relay.send(SENDER, ["good@plain.test"], CONTENT)
    relay.wait_empty()
    test.check(box.quiet(), "NOTIFY=NEVER, NOTIFY without FAILURE, and a delivery without NOTIFY tell nobody")
    relay.send(SENDER, ["good@plain.test"], CONTENT, rcpt=["NOTIFY=SUCCESS"])
    _, notice = box.take()
    test.equal(fields(notice, 1)["Action"], "relayed", "NOTIFY=SUCCESS, an MX without DSN: action relayed")
    test.check(fields(notice, 1)["Status"].startswith("2."), "with a status of class 2")


def check_passed_on(test, relay, box, dsn_mx):
    relay.send(SENDER, ["good@dsn.test"], CONTENT, mail=["RET=HDRS", "ENVID=abc"],
               rcpt=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;good@dsn.test"])
    wait_for(lambda: dsn_mx.messages, "the MX with DSN has it")
    said = " ".join(c if isinstance(c, str) else c.decode() for c in dsn_mx.commands)
    for word in ("RET=HDRS", "ENVID=abc", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;good@dsn.test"):
        test.check(word in said, f"an MX that offers DSN gets {word}", said)
    test.check(box.quiet(), "and its success is that MX's to tell")


def check_several(test, relay, box):
    """Several failures of one message come in one notification; what is refused at the dot too."""
    relay.send(SENDER, [f"n{i}@refuse.test" for i in range(3)] + ["x@dot.test", "good@plain.test"], CONTENT)
    found = set()
    while len(found) < 4:
        _, notice = box.take()
        status = part(notice, "message/delivery-status")
        found |= {group["Final-Recipient"] for group in status.get_payload()[1:]}
    test.equal(found, {f"rfc822; n{i}@refuse.test" for i in range(3)} | {"rfc822; x@dot.test"},
               "each failed recipient is told about, the delivered one is not")
    relay.wait_empty()
    test.check(box.quiet(1), "and once only")


def check_double(test, relay, box):
    with Client(relay) as client:
        client.message("", ["bob@refuse.test"], CONTENT)
    relay.wait_empty()
    test.check(box.quiet(1), "a refused message of <> is told to nobody")
    test.check("bob@refuse.test" in relay.log("send"), "but to the log")
    relay.control("doublebounceto", "postmaster@back.test")
    relay.sandbox("restart")
    relay.wait_ready()
    relay.send("", ["bob@refuse.test"], CONTENT)
    message, notice = box.take()
    test.equal(message.rcpt_tos, ["postmaster@back.test"], "with control/doublebounceto it goes there")
    test.equal(fields(notice, 1)["Final-Recipient"], "rfc822; bob@refuse.test", "and names the recipient")
    relay.send("nobody@refuse.test", ["bob@refuse.test"], CONTENT)
    message, notice = box.take()
    test.equal(message.rcpt_tos, ["postmaster@back.test"], "a notification that bounces goes there too")
    relay.wait_empty()


def check_delay_and_expiry(test, relay, box):
    relay.control("delaywarn", 2)
    relay.control("lifetime", 7)
    relay.control("retry", 1)
    relay.sandbox("restart")
    relay.wait_ready()
    relay.send(SENDER, ["slow@later.test"], CONTENT, rcpt=["NOTIFY=DELAY,FAILURE"])
    began = time.monotonic()
    _, notice = box.take()
    test.equal((fields(notice, 1)["Action"], fields(notice, 1)["Status"][0]), ("delayed", "4"),
               "a delay is told, status of class 4")
    test.check(fields(notice, 1)["Will-Retry-Until"], "with Will-Retry-Until", str(fields(notice, 1)))
    _, notice = box.take()
    test.equal(fields(notice, 1)["Action"], "failed", "then, after control/lifetime, the failure")
    test.check(time.monotonic() - began > 5, "not before")
    test.check("greylisted for ever" in str(fields(notice, 1)["Diagnostic-Code"]),
               "with the last thing the MX said", str(fields(notice, 1)))
    relay.wait_empty()
    test.check(box.quiet(1), "the delay was told once")


def check_utf8(test, relay, box):
    relay.send("ann@back.test", ["b\xf6b@refuse.test"], CONTENT, mail=["SMTPUTF8"])
    message, notice = box.take()
    status = part(notice, "message/global-delivery-status")
    test.check(status is not None, "UTF-8 addresses: message/global-delivery-status (RFC 6533)",
               message.content.decode(errors="replace"))
    test.check("b\xf6b@refuse.test".encode() in message.content, "with the address as it was")
    relay.send("ann@back.test", ["b\xf6b@plain.test"], CONTENT, mail=["SMTPUTF8"])
    message, notice = box.take()
    test.check(b"5.6.7" in message.content, "an MX without SMTPUTF8: 5.6.7", message.content.decode(errors="replace"))


def main(test):
    box = Mailbox(test)
    refuse = test.ends(Receiver("127.0.0.1", test.port(), rcpt=lambda a: f"{WORDS} {a}"))
    dot = test.ends(Receiver("127.0.0.1", test.port(), dot="554 5.7.1 it looks like spam"))
    plain = test.ends(Receiver("127.0.0.1", test.port(), smtputf8=False))
    later = test.ends(Receiver("127.0.0.1", test.port(), rcpt="450 4.2.0 greylisted for ever"))
    dsn_mx = BadMX({})
    names = {"back": box.receiver, "refuse": refuse, "dot": dot, "plain": plain, "later": later, "dsn": dsn_mx}
    relay = test.relay(routes=[f"{name}.test:127.0.0.1:{r.port}" for name, r in names.items()])
    check_failure(test, relay, box)
    check_ret_and_notify(test, relay, box)
    check_passed_on(test, relay, box, dsn_mx)
    check_several(test, relay, box)
    check_utf8(test, relay, box)
    check_double(test, relay, box)
    check_delay_and_expiry(test, relay, box)


run(main)
