#!/usr/bin/python3
"""A real Postfix as the sending server, the relay, a real Postfix as the MX that tinydns names."""
# limit: 200
import email
import email.policy
import smtplib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Postfix, Tinydns
from relaytest import run, wait_for

SENDER, RCPT = "ann@msa.test", "bob@dest.test"
HEADER = (b"From: Ann <ann@msa.test>\r\nTo: bob@dest.test\r\nSubject: %s\r\n"
          b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@msa.test>\r\n")
BODIES = {
    "lines": b"one\r\n\r\n\r\nthree empty above\r\n \r\ntrailing blank \r\n\ttab\r\n",
    "dots": b".\r\n..\r\n...\r\n.leading\r\n..two\r\nmiddle . dot\r\nend.\r\n.\r\n",
    "eightbit": b"caf\xc3\xa9 na\xc3\xafve \xe2\x82\xac\r\nlatin1: \xe9\xe8\xff\xfe\x80\r\n",
    "longlines": b"x" * 5000 + b"\r\n" + b"." + b"y" * 2047 + b"\r\n" + b"z " * 9000 + b"\r\n",
    "empty": b"",
    "fromline": b"From here\r\n>From there\r\nFrom ann@msa.test Sun Nov 22 12:00:00 2026\r\n",
    "big": b"".join(b"%07d %s\r\n" % (n, b"abcdefghij" * 6) for n in range(30000)),
}


def mailbox(postfix, domain, users):
    maps = ", ".join(f"{{ {u}@{domain} = {u}/ }}" for u in users)
    return [f"virtual_mailbox_domains={domain}", f"virtual_mailbox_base={postfix}/mail",
            f"virtual_mailbox_maps=inline:{{ {maps} }}", "virtual_uid_maps=static:65534",
            "virtual_gid_maps=static:65534", "line_length_limit=200000", "smtp_line_length_limit=0",
            "message_size_limit=50000000", "virtual_mailbox_limit=0"]


def delivered(postfix, user):
    new = postfix.directory / "mail" / user / "new"
    return sorted(new.iterdir()) if new.is_dir() else []


def message_id(data):
    return email.message_from_bytes(data)["Message-ID"]


def content_of(data):
    """From the first field that the sender wrote on, as SMTP lines."""
    at = data.index(b"From: ")
    return data[:at], data[at:].replace(b"\n", b"\r\n")


def send(msa, content, rcpt=RCPT):
    with smtplib.SMTP(msa.host, msa.port, local_hostname="client.test", timeout=60) as client:
        client.ehlo()
        client.sendmail(SENDER, [rcpt], content, ["BODY=8BITMIME"])


def check_content(test, msa, mx):
    sent = {}
    for name, body in BODIES.items():
        subject = "caf\xe9 \u20ac \u65e5\u672c".encode() if name == "eightbit" else name.encode()
        sent[f"<{name}@msa.test>"] = HEADER % (subject, name.encode()) + b"\r\n" + body
        send(msa, sent[f"<{name}@msa.test>"])
    wait_for(lambda: len(delivered(mx, "bob")) >= len(sent),
             f"{len(sent)} messages in bob's maildir ({len(delivered(mx, 'bob'))} now)", 60)
    got = {message_id(p.read_bytes()): p.read_bytes() for p in delivered(mx, "bob")}
    test.equal(sorted(got), sorted(sent), "each message arrived once")
    for ident, content in sent.items():
        head, body = content_of(got[ident])
        test.check(body == content, f"{ident} arrived byte for byte",
                   f"{len(body)} bytes for {len(content)}; {body[:300]!r}")
        fields = email.message_from_bytes(head).get_all("Received")
        test.equal(len(fields), 3, f"{ident} has three Received lines")
        test.check("by relay.test" in fields[1] and "client.test" not in fields[1],
                   "the middle one is the relay's", fields[1])
    return head


def check_refusal(test, msa, mx):
    send(msa, HEADER % (b"to nobody", b"unknown") + b"\r\nhello\r\n", "nosuch@dest.test")
    wait_for(lambda: delivered(msa, "ann"), "a notification for ann", 40)
    notice = email.message_from_bytes(delivered(msa, "ann")[0].read_bytes(), policy=email.policy.default)
    test.equal(notice.get_content_type(), "multipart/report", "ann has a delivery report")
    status = [p for p in notice.walk() if p.get_content_type() == "message/delivery-status"][0]
    rcpt = status.get_payload()[1]
    test.check("nosuch@dest.test" in rcpt["Final-Recipient"], "it names the recipient", str(rcpt))
    test.equal(rcpt["Action"], "failed", "its action is failed")
    test.equal(rcpt["Status"], "5.1.1", "its status is the MX's")
    test.check("User unknown in virtual mailbox table" in str(rcpt["Diagnostic-Code"]),
               "it has the MX's own words", str(rcpt))
    test.check("mx.dest.test" in str(rcpt["Remote-MTA"]), "it names the MX", str(rcpt))
    test.equal(notice["Return-Path"], "<>", "its sender is <>")
    test.check("<unknown@msa.test>" in notice.as_string(), "it returns the original's header")
    test.check("NOQUEUE: reject" in mx.log(), "the MX refused it")


def main(test):
    msa_address, mx_address = test.address(10), test.address(20)
    dns = test.ends(Tinydns(test.path("dns"), test.address(53)).zone("test"))
    dns.mx("msa.test", "mx.msa.test", 10, msa_address).mx("dest.test", "mx.dest.test", 10, mx_address)
    dns.start()
    relay = test.relay(control={"resolver": f"{test.address(53)}:53", "mxlocal": "127.0.0.0/8"})
    mx_directory, msa_directory = test.path("mx"), test.path("msa")
    mx = test.ends(Postfix(mx_directory, mx_address, 25, "myhostname=mx.dest.test",
                           *mailbox(mx_directory, "dest.test", ["bob"])))
    msa = test.ends(Postfix(msa_directory, msa_address, 25, "myhostname=msa.test",
                            f"relayhost=[127.0.0.1]:{relay.port}", *mailbox(msa_directory, "msa.test", ["ann"])))
    head = check_content(test, msa, mx)
    test.check(b"Return-Path: <ann@msa.test>" in head, "the sender is the original one", head)
    check_refusal(test, msa, mx)
    relay.wait_empty()


run(main, root=True, tools=["postfix", "tinydns"])
