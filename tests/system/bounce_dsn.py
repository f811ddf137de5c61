#!/usr/bin/python3
# limit: 120
"""relay-bounce over its channel: the notifications are what RFC 3464 and RFC 6533 say, whatever is in them."""
import email
import email.policy
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from bounce_channel import (Bounce, DELAY, DOUBLE, DSN, EIGHT_BIT, FAILURE, NEVER, RET_FULL,
                            RET_HDRS, SMTPUTF8, SUCCESS, envelope, ns, outcome, sealed)

PROGRAM = os.path.join(os.environ.get("BUILD", "build"), "bin", "relay-bounce")
if len(sys.argv) > 1:
    PROGRAM = sys.argv[1]
HEADER = (b"Received: by relay.example id 1\r\nFrom: Bob <bob@example.com>\r\nSubject: hello\r\n"
          b"Message-ID: <m1@example.com>\r\n")
ORIGINAL = HEADER + b"\r\nbody line\r\n.\r\nlast\r\n"
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("wrong: " + what)


def same(actual, expected, what):
    check(actual == expected, f"{what}: {actual!r}, not {expected!r}")


def parse(content, types=("text/plain", "message/delivery-status", "text/rfc822-headers")):
    """The three parts' raw bodies. Nothing has broken out of a line or a part."""
    body = content.replace(b"\r\n", b"")
    check(b"\r" not in body and b"\n" not in body and b"\0" not in body, "lone CR, LF or a NUL")
    check(max(map(len, content.split(b"\r\n"))) <= 998, "a line over 998 bytes")
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    same(message.get_content_type(), "multipart/report", "content type")
    same(message.get_param("report-type"), "delivery-status", "report-type")
    same(message["Auto-Submitted"], "auto-replied", "Auto-Submitted")
    for name in ("Date", "From", "To", "Subject", "Message-ID", "MIME-Version"):
        same(len(message.get_all(name)), 1, name)
    check(content.startswith(b"Received: by relay.example (relay-bounce)"), "Received first")
    boundary = b"\r\n--" + message.get_boundary().encode()
    parts = content.split(boundary)
    same(len(parts), 5, "boundaries")
    same(parts[4], b"--\r\n", "end")
    bodies = []
    for part, expected in zip(parts[1:4], types):
        head, body = part[2:].split(b"\r\n\r\n", 1)
        head = email.message_from_bytes(head + b"\r\n\r\n")
        same(head.get_content_type(), expected, "part type")
        same(head["Content-Transfer-Encoding"], "8bit" if any(c > 127 for c in body) else "7bit",
             expected + " encoding")
        bodies.append(body)
    return message, bodies


def status_blocks(body):
    """message/delivery-status as one dict of unfolded fields per block."""
    blocks = []
    for block in body.decode().replace("\r\n ", " ").strip().split("\r\n\r\n"):
        pairs = [line.split(": ", 1) for line in block.split("\r\n")]
        same(len({k for k, _ in pairs}), len(pairs), "a field twice")
        blocks.append(dict(pairs))
    return blocks


def plain(b):
    rcpts = [("a@example.org", 0, "rfc822;A+2Bb@example.org"), ("c@example.org", FAILURE, ""),
             ("n@example.org", NEVER, ""), ("s@example.org", SUCCESS, "")]
    env = envelope(rcpts=rcpts, envid="QQ+2B314", ret=RET_HDRS)
    ok, text, e, content = b.job(env, ORIGINAL, [
        outcome(0), outcome(1, stage=".", code=554, status="5.7.1", reply="554 5.7.1 spam"),
        outcome(2), outcome(3)])
    same((ok, b.serial), (1, 7), text)
    same([e[2], e[3], e[8], e[15:]], [b"", b"msa1", str(DSN).encode(),
                                      [b"1", b"bob@example.com", b"0", b""]], "envelope")
    message, (human, status, header) = parse(content)
    same(message["In-Reply-To"], "<m1@example.com>", "In-Reply-To")
    same(message["To"], "bob@example.com", "To")
    same(message["From"], "Mail Delivery System <MAILER-DAEMON@relay.example>", "From")
    whole, first, second = status_blocks(status)
    same(whole["Original-Envelope-Id"], "QQ+314", "envelope id")
    same(whole["Reporting-MTA"], "dns; relay.example", "Reporting-MTA")
    same(whole["Arrival-Date"], "Sat, 22 Nov 2025 15:45:09 +0000", "Arrival-Date")
    same(first, {"Original-Recipient": "rfc822; A+b@example.org",
                 "Final-Recipient": "rfc822; a@example.org", "Action": "failed", "Status": "5.1.1",
                 "Remote-MTA": "dns; mx.example.org ([192.0.2.1])",
                 "Diagnostic-Code": "smtp; 550 5.1.1 no such user here",
                 "Last-Attempt-Date": "Sat, 22 Nov 2025 15:46:39 +0000"}, "first recipient")
    same(second["Diagnostic-Code"], "smtp; 554 5.7.1 spam", "second recipient")
    same(header, HEADER, "returned header")
    for line in (b"... while talking to mx.example.org[192.0.2.1]:", b">>> RCPT TO:<a@example.org>",
                 b"<<< 550 5.1.1 no such user here", b"<<< 554 5.7.1 spam"):
        check(line + b"\r\n" in human, line.decode() + " in the transcript")
    same(human.count(b"while talking to"), 1, "one host, said once")
    check(b"n@example.org" not in content and b"s@example.org" not in content, "NOTIFY respected")


def who_is_told(b):
    one = lambda notify, **more: envelope(rcpts=[("a@example.org", notify, "")], **more)
    table = [  # envelope, kind, expected answer
        (one(NEVER), "f", 2), (one(SUCCESS), "f", 2), (one(SUCCESS | FAILURE), "f", 1),
        (one(0), "d", 1), (one(FAILURE), "d", 2), (one(DELAY), "d", 1), (one(0), "s", 2),
        (one(SUCCESS), "s", 1), (one(0, sender=""), "f", 2), (one(0, sender=""), "d", 2),
        (one(0, flags=DSN | DOUBLE), "f", 2)]
    for env, kind, expected in table:
        ok, text, _, content = b.job(env, ORIGINAL, [outcome(status="4.4.1", code=0, stage="c",
                                                             reply="connection timed out")], kind)
        same(ok, expected, f"{env!r} {kind} {text}")
        if ok == 1:
            block = status_blocks(parse(content)[1][1])[1]
            same(block["Action"], {"f": "failed", "d": "delayed", "s": "relayed"}[kind], "Action")
            same(block["Status"], {"f": "4.4.1", "d": "4.4.1", "s": "2.0.0"}[kind], "Status")
            same(block["Diagnostic-Code"], "x-relay; connection timed out", "our own words")
            same(block.get("Will-Retry-Until"),
                 "Thu, 27 Nov 2025 15:45:09 +0000" if kind == "d" else None, "Will-Retry-Until")


def double_bounce():
    b = Bounce(PROGRAM, {"doublebounceto": "postmaster@relay.example", "bouncefrom": "bounces",
                         "bouncehost": "b.example", "bouncetext": "Fragen? +49 30 12345 für alle"})
    ok, text, e, content = b.job(envelope(sender=""), ORIGINAL, [outcome()])
    same(ok, 1, text)
    same(int(e[8]), DSN | DOUBLE | EIGHT_BIT, "flags")
    same(e[16], b"postmaster@relay.example", "recipient")
    message, (human, _, _) = parse(content)
    same(message["From"], "Mail Delivery System <bounces@b.example>", "From")
    check("Fragen? +49 30 12345 für alle\r\n".encode() in human, "bouncetext")
    same(b.job(envelope(sender=""), ORIGINAL, [outcome()], "d")[0], 2, "delay of <>")
    same(b.end(), (0, ""), "end")


def returned(b):
    full = ("text/plain", "message/delivery-status", "message/rfc822")
    env = envelope(ret=RET_FULL)
    same(parse(b.job(env, ORIGINAL, [outcome()])[3], full)[1][2], ORIGINAL, "RET=FULL")
    same(parse(b.job(env, ORIGINAL, [outcome()], "d")[3])[1][2], HEADER, "RET=FULL of a delay")
    same(parse(b.job(envelope(), ORIGINAL, [outcome()])[3])[1][2], HEADER, "RET unset")
    big = HEADER + b"\r\n" + b"x" * 70 + b"\r\n" + b"0123456789\r\n" * 900000
    start = time.monotonic()
    same(parse(b.job(env, big, [outcome()])[3])[1][2], HEADER, "10 MB with RET=FULL")
    print(f"10 MB original: {time.monotonic() - start:.3f} s")
    eight = HEADER + b"\r\nl\xe4ute\r\n"
    _, _, e, content = b.job(env, eight, [outcome()])
    same(int(e[8]), DSN | EIGHT_BIT, "8-bit original")
    same(parse(content, full)[1][2], eight, "8-bit original")
    for bad in (b"a\nb\r\n", b"a\rb\r\n", b"a\0\r\n", b"no end", b"x" * 999 + b"\r\n"):
        same(parse(b.job(env, HEADER + b"\r\n" + bad, [outcome()])[3])[1][2], HEADER, repr(bad[:9]))
    # Headers that are none, or hostile, or without end.
    same(parse(b.job(env, b"\r\n\0", [outcome()])[3])[1][2], b"", "no header")
    same(parse(b.job(env, b"", [outcome()])[3], full)[1][2], b"", "no content")
    got = parse(b.job(env, b"Subject: a\0b\rc\x1b\r\n\r\n", [outcome()])[3])[1][2]
    same(got, b"Subject: a?b?c?\r\n", "control bytes")
    got = parse(b.job(envelope(), b"X: " + b"y" * 200000, [outcome()])[3])[1][2]
    same(got, b"", "a header line without end")
    got = parse(b.job(envelope(), b"X: " + b"y" * 20000 + b"\r\n\r\n", [outcome()])[3])[1][2]
    same(got.replace(b"\r\n ", b""), b"X: " + b"y" * 20000 + b"\r\n", "a long header line, folded")
    got = parse(b.job(envelope(), b"X: y\r\n" * 40000, [outcome()])[3])[1][2]
    check(len(got) <= 65536 and set(got.split(b"\r\n")) == {b"X: y", b""}, "a header cut at a line")


def hostile(b):
    bad = "550 x\r\nFinal-Recipient: rfc822; evil@example\r\n\r\n--x\nBcc: \x1b[2J \x7f\u0085é\ufeff"
    env = envelope(envid="a+0D+0ABcc:+20x+00", rcpts=[
        ("a@example.org", 0, "rfc822;a+0D+0AX-Evil:+20yes+00@example.org"),
        ('"x y"@example.org', 0, "rfc822;" + "+0A" * 160), ("c@example.org", 0, "nonsense")])
    ok, text, _, content = b.job(env, ORIGINAL, [
        outcome(0, reply=bad, host="mx\r\nX: [1]", status="5.1.1\r\nX: y"[:11]),
        outcome(1, reply="550 " + "w" * 1000), outcome(2, reply="")])
    same(ok, 1, text)
    message, (human, status, _) = parse(content)
    blocks = status_blocks(status)
    same(len(blocks), 4, "recipients")
    same(blocks[1]["Status"], "5.0.0", "a status that is none")
    same({k for x in blocks for k in x},
         {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "Original-Recipient",
          "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
          "Last-Attempt-Date"}, "field names")
    same(set(message.keys()) & {"Bcc", "X-Evil", "X"}, set(), "header")
    check(content.isascii() and b"\x1b" not in content, "control bytes escaped")
    quoting = HEADER + b"\r\n--=_0000\r\n\r\n--=_\r\n" * 500
    parse(b.job(envelope(ret=RET_FULL), quoting, [outcome()])[3],
          ("text/plain", "message/delivery-status", "message/rfc822"))


def many(b):
    rcpts = [("u%d@example.org" % i, 0, "rfc822;" + "o" * 480) for i in range(1000)]
    start = time.monotonic()
    ok, text, _, content = b.job(envelope(rcpts=rcpts), ORIGINAL,
                                 [outcome(i, reply="550 " + "z " * 500) for i in range(1000)])
    print(f"1,000 recipients: {len(content)} bytes, {time.monotonic() - start:.3f} s")
    same(ok, 1, text)
    _, (human, status, _) = parse(content)
    same(len(status_blocks(status)), 1001, "recipients in the report")
    check(len(human) < 300000 and b"... and 950 more" in human, "the text is bounded")
    check(len(content) < 3000000, "size bounded")


def international(b):
    utf8 = ("text/plain", "message/global-delivery-status", "message/global-headers")
    header = "From: bob@example.com\r\nSubject: grüße\r\n".encode()
    env = envelope(sender="björn@example.com", flags=SMTPUTF8 | EIGHT_BIT, rcpts=[
        ("用户@例子.example", 0, "utf-8;\\x{7528}\\x{6237}@x.example"), ("a@example.org", 0, "")])
    ok, text, e, content = b.job(env, header + b"\r\nx\r\n",
                                 [outcome(0, reply="550 5.1.1 nicht für uns"), outcome(1)])
    same((ok, int(e[8])), (1, DSN | SMTPUTF8 | EIGHT_BIT), text)
    same(e[16].decode(), "björn@example.com", "recipient")
    _, (human, status, got) = parse(content, utf8)
    same(got, header, "header")
    _, first, second = status_blocks(status)
    same(first["Original-Recipient"], "utf-8; 用户@x.example", "Original-Recipient")
    same(first["Final-Recipient"], "utf-8; 用户@例子.example", "Final-Recipient")
    same(first["Diagnostic-Code"], "smtp; 550 5.1.1 nicht für uns", "Diagnostic-Code")
    same(second["Final-Recipient"], "rfc822; a@example.org", "an ASCII one")
    check("RCPT TO:<用户@例子.example>".encode() in human, "transcript")
    # The flag alone changes nothing; without it no UTF-8 is written.
    ok, _, e, content = b.job(envelope(flags=SMTPUTF8), ORIGINAL, [outcome()])
    parse(content)
    same(int(e[8]), DSN, "flags of an ASCII message")
    ok, _, e, content = b.job(envelope(rcpts=[("a@example.org", 0, "utf-8;\\x{7528}@x")]), ORIGINAL,
                              [outcome(reply="550 für")])
    block = status_blocks(parse(content)[1][1])[1]
    same(block["Original-Recipient"], "utf-8; \\x{7528}@x", "the ASCII form stays")
    same(block["Diagnostic-Code"], "smtp; 550 f\\xC3\\xBCr", "escaped")


def bad_jobs(b):
    env = envelope()
    same(b.job(env, ORIGINAL, [outcome(5)])[0], 0, "a recipient that is not there")
    same(b.job(b"garbage", ORIGINAL, [outcome()])[0], 0, "no envelope")
    for job in (b"", b"x", ns("f", 9, 1, 1, 1, 1), ns("z", 9, 1, 1, 1, 1) + outcome(),
                ns("f", 9, 10, 10, 1, 1) + outcome() + ns("more"), ns("f", 9, 10, 10, 1, 5000)):
        if job:
            b.send(job, sealed(b"x" * 20))
            same(b.answer()[0], 0, repr(job))
    b.send(ns("f", 9, 10, 10, 1, 1) + outcome())
    same(b.answer()[0], 0, "no fd")
    with open("/etc/passwd", "rb") as f:
        b.send(ns("f", 9, 10, 10, 1, 1) + outcome(), f.fileno())
        same(b.answer()[0], 0, "an fd that is no memfd")
    same(b.job(env, ORIGINAL, [outcome()])[0], 1, "and it still works")


def malformed_control():
    for name, text in (("bouncehost", "a b"), ("doublebounceto", "nobody"), ("bouncemaxbytes", "x"),
                       ("bouncefrom", "a@b@c"), ("bouncetext", "x" * 400)):
        status, err = Bounce(PROGRAM, {name: text}).end()
        check(status == 100 and f"control/{name}:1: " in err, f"{name}: {status} {err}")


def main():
    b = Bounce(PROGRAM)
    for test in (plain, who_is_told, returned, hostile, many, international, bad_jobs):
        test(b)
    start = time.monotonic()
    for _ in range(200):
        b.job(envelope(), ORIGINAL, [outcome()])
    print(f"200 notifications: {time.monotonic() - start:.3f} s")
    same(b.end()[0], 0, "end")
    double_bounce()
    malformed_control()
    print(f"{checks} checks")


main()
