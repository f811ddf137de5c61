#!/usr/bin/python3
"""relay-remote against hostile and broken MXs: the verdict of each case, and that
an acceptance is never believed that answers nothing."""
# limit: 240
import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from badmx import CLOSE, HANG, BadMX, trickle  # noqa: E402
from remote_peer import Message, Remote, receive  # noqa: E402

PROGRAM = os.environ["BUILD"] + "/bin/relay-remote"
CONTENT = b"Subject: test\r\n\r\n.dot\r\nline\r\n"
RCPTS = ["a@b.example", "c@d.example"]
PIPE = b"250-bad.example\r\n250-PIPELINING\r\n"
LINES = b"".join(b"250-line %d\r\n" % i for i in range(10000)) + b"250 end\r\n"
GARBAGE = bytes(range(128, 256)) + b"\x00\x01\x1b[31m\r\n"
SHORT = dict(connect=2, banner=2, helo=2, mail=2, rcpt=2, data=2, block=2, dot=2, quit=1)

# name, script, verdicts of the two recipients with stage, words that the reply has, options
# An "N" instead of verdicts: no session at all.
CASES = [
  ("polite", {}, "d. d.", "250 2.0.0 taken"),
  ("multi-line banner", {"banner": b"220-a\r\n220-b\r\n220 c\r\n"}, "d. d.", "taken"),
  ("bare LF replies", {"mail": b"250 ok\n", "rcpt": b"250 ok\n"}, "d. d.", "taken"),
  ("banner garbage", {"banner": GARBAGE}, "Ntb", "garbled"),
  ("banner http", {"banner": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "Ntb", "garbled"),
  ("banner 554", {"banner": b"554 5.7.1 blocked\r\n"}, "Ntb", "554 5.7.1 blocked"),
  ("banner 421", {"banner": b"421 4.7.0 too many\r\n"}, "Ntb", "421 4.7.0"),
  ("banner 521", {"banner": b"521 no mail here\r\n"}, "Ntb", "521 no mail"),
  ("banner hangs", {"banner": HANG}, "Ntb", "timed out"),
  ("banner closes", {"banner": CLOSE}, "Ntb", "connection was lost"),
  ("banner trickles", {"banner": trickle(b"220 slow slow slow\r\n")}, "Ntb", "timed out"),
  ("banner 10000 lines", {"banner": LINES.replace(b"250", b"220")}, "Ntb", "garbled"),
  ("banner one endless line", {"banner": b"220 " + b"x" * 100000 + b"\r\n"}, "Ntb", "garbled"),
  ("banner and more", {"banner": b"220 hi\r\n250 ok\r\n"}, "Nth", "nothing had asked"),
  ("EHLO 502, HELO ok", {"ehlo": b"502 what\r\n"}, "d. d.", "taken"),
  ("EHLO and HELO 550", {"ehlo": b"550 no\r\n", "helo": b"550 5.7.1 no\r\n"}, "Nth", "550 5.7.1 no"),
  ("EHLO 421", {"ehlo": b"421 later\r\n"}, "Nth", "421 later"),
  ("EHLO closes", {"ehlo": CLOSE}, "Nth", "lost"),
  ("EHLO 10000 lines", {"ehlo": LINES}, "Nth", "garbled"),
  ("EHLO codes differ", {"ehlo": b"250-a\r\n550 b\r\n"}, "Nth", "garbled"),
  ("MAIL 550", {"mail": b"550 5.7.1 no\r\n", "rcpt": b"503 no\r\n", "data": b"503 no\r\n"},
   "fm fm", "550 5.7.1 no"),
  ("MAIL 550, then 354 to nobody",
   {"mail": b"550 no\r\n", "rcpt": b"503 no\r\n", "dot": b"250 to nothing\r\n"}, "fm fm", "550 no"),
  ("MAIL 451", {"mail": b"451 later\r\n", "rcpt": b"503 no\r\n", "data": b"503 no\r\n"},
   "tm tm", "451 later"),
  ("MAIL 421", {"mail": b"421 later\r\n"}, "tm tm", "421 later"),
  ("MAIL 354", {"mail": b"354 what\r\n", "rcpt": b"503 no\r\n", "data": b"503 no\r\n"}, "tm tm", "354"),
  ("MAIL closes", {"mail": CLOSE}, "tm tm", "lost"),
  ("MAIL hangs", {"mail": HANG}, "tm tm", "timed out"),
  ("MAIL garbage", {"mail": GARBAGE}, "tm tm", "garbled"),
  ("MAIL half a reply", {"mail": b"550-no\r\n", "rcpt": CLOSE}, "tm tm", "lost"),
  ("MAIL 5xx garbled", {"mail": b"550no\r\n"}, "tm tm", "garbled"),
  ("RCPT 550 and 250", {"rcpt": [b"550 5.1.1 no\r\n", b"250 ok\r\n"]}, "fr d.", "550 5.1.1 no"),
  ("RCPT 250 and 450", {"rcpt": [b"250 ok\r\n", b"450 4.2.1 grey\r\n"]}, "d. tr", "taken"),
  ("RCPT 250 and 552 too many", {"rcpt": [b"250 ok\r\n", b"552 too many\r\n"]}, "d. tr", "taken"),
  ("RCPT 552 mailbox full", {"rcpt": [b"552 5.2.2 full\r\n", b"250 ok\r\n"]}, "fr d.", "552 5.2.2"),
  ("RCPT all 550, 354 to nobody", {"rcpt": b"550 no\r\n", "dot": b"250 to nothing\r\n"},
   "fr fr", "550 no"),
  ("RCPT all 550, 554 to DATA", {"rcpt": b"550 no\r\n", "data": b"554 no valid\r\n"}, "fr fr", "550 no"),
  ("RCPT 421", {"rcpt": [b"250 ok\r\n", b"421 bye\r\n"]}, "tr tr", "421 bye"),
  ("RCPT closes", {"rcpt": [b"550 no\r\n", CLOSE]}, "fr tr", "550 no"),
  ("RCPT hangs", {"rcpt": HANG}, "tr tr", "timed out"),
  ("RCPT 8-bit and NUL", {"rcpt": b"550 \xff\x00\x1b no\r\n"}, "fr fr", r"550 \xff\x00\x1b no"),
  ("RCPT 199", {"rcpt": b"199 what\r\n"}, "tr tr", "garbled"),
  ("DATA 554", {"data": b"554 5.6.0 no\r\n"}, "fd fd", "554 5.6.0 no"),
  ("DATA 451", {"data": b"451 no\r\n"}, "td td", "451 no"),
  ("DATA 250", {"data": b"250 taken already\r\n"}, "td td", "250 taken"),
  ("DATA 354 and 250 to nothing", {"data": b"354 go\r\n250 taken\r\n"}, "td td", "nothing had asked"),
  ("DATA 354 and 554 at once", {"data": b"354 go\r\n554 5.7.1 no\r\n"}, "fd fd", "554 5.7.1 no"),
  ("DATA closes", {"data": CLOSE}, "td td", "lost"),
  ("DATA hangs", {"data": HANG}, "td td", "timed out"),
  ("dot 550", {"dot": b"550 5.7.1 spam\r\n"}, "f. f.", "550 5.7.1 spam"),
  ("dot 452", {"dot": b"452 4.3.1 full\r\n"}, "t. t.", "452 4.3.1"),
  ("dot 421", {"dot": b"421 4.3.2 down\r\n"}, "t. t.", "421"),
  ("dot 354", {"dot": b"354 more\r\n"}, "t. t.", "354 more"),
  ("dot closes", {"dot": CLOSE}, "t. t.", "delivered twice"),
  ("dot hangs", {"dot": HANG}, "t. t.", "timed out"),
  ("dot trickles", {"dot": trickle(b"250 slow slow slow\r\n")}, "t. t.", "timed out"),
  ("dot garbage", {"dot": GARBAGE}, "t. t.", "garbled"),
  ("dot 10000 lines", {"dot": LINES}, "t. t.", "garbled"),
  ("dot 250 and more", {"dot": b"250 ok\r\n250 ok\r\n"}, "d. d.", "250 ok"),
]
# What is answered differently when every command waits for its reply.
STEPWISE = {"MAIL half a reply": "timed out"}

failures = []


def wrong(name, text):
    failures.append(name)
    print(f"{name}: {text}")


def run_case(remote_workers, case, pipelining):
    name, script, wanted, words = case
    name += "" if pipelining else " (step by step)"
    words = words if pipelining else STEPWISE.get(case[0], words)
    mx = BadMX(script, pipelining=pipelining)
    worker = remote_workers.pop()
    worker.open([("mx.example", "127.0.0.1", mx.port)], **SHORT)
    opened = worker.opened()
    if wanted[0] == "N":
        if opened is None or opened[0] != "N":
            wrong(name, f"a session: {opened}")
        else:
            o = opened[1]
            if o["verdict"] + o["stage"] != wanted[1:] or words not in o["reply"]:
                wrong(name, f"{o}")
        mx.close()
        return
    if opened is None or opened[0] != "O":
        return wrong(name, f"no session: {opened}")
    message = Message(RCPTS, CONTENT)
    result = worker.deliver(message)
    if result is None:
        return wrong(name, "the worker ended")
    found, end = result
    got = " ".join(found[i]["verdict"] + found[i]["stage"] for i in sorted(found))
    if got != wanted:
        wrong(name, f"{got}, not {wanted}: {found}")
    elif words not in found[0]["reply"]:
        wrong(name, f"reply {found[0]['reply']!r} has no {words!r}")
    for o in found.values():
        classes = {"d": "2", "t": "4", "f": "5"}
        if o["status"][0] != classes[o["verdict"]]:
            wrong(name, f"status {o['status']} of verdict {o['verdict']}")
        if any(ord(c) < 32 for c in o["reply"]):
            wrong(name, "a control byte in the reply")
    delivered = any(o["verdict"] == "d" for o in found.values())
    if delivered != (mx.messages == [b"Subject: test\r\n\r\n..dot\r\nline\r\n"]) and "dot" not in case[0]:
        wrong(name, f"the MX has {mx.messages}")
    # A connection that is kept works; whatever had to be reset is.
    if end["keep"]:
        mx.script.update(mail=b"250 ok\r\n", rcpt=b"250 ok\r\n", data=b"354 ok\r\n", dot=b"250 second\r\n")
        again = worker.deliver(message)
        if again is None or [o["reply"] for o in again[0].values()] != ["250 second"] * 2:
            wrong(name, f"the kept connection: {again}")
    elif receive(worker.sock) is not None:
        wrong(name, "a worker without a connection goes on")
    message.close()
    mx.close()


def hosts_in_order(remote):
    """Five addresses, the last one works; then none does, and the text names them all."""
    refused, five, good = BadMX({"banner": b"421 busy\r\n"}), BadMX({"banner": b"554 no\r\n"}), BadMX({})
    source, closed = BadMX({}), BadMX({})
    closed.close()
    bad = [("r.example", "127.0.0.1", closed.port), ("b.example", "127.0.0.1", refused.port),
           ("f.example", "127.0.0.1", five.port)]
    w = remote.worker().open(bad + [("g.example", "127.0.0.1", good.port)])
    opened = w.opened()
    if opened[:2] != ("O", f"g.example[127.0.0.1]:{good.port}"):
        wrong("hosts in order", opened)
    w.quit()
    w = remote.worker().open(bad)
    kind, o = w.opened()[:2]
    if kind != "N" or not all(x in o["reply"] for x in ("r.example[127.0.0.1]", "Connection refused", "554 no")):
        wrong("all hosts fail", o)
    w = remote.worker().open([("s.example", "127.0.0.1", source.port)], source4="127.0.0.77")
    if w.opened()[0] != "O":
        wrong("source address", "no session")
    w.quit()


def stale(remote):
    """A kept connection that the MX has closed, or that answers 421: nobody is deferred for it."""
    for name, second in (("421", b"421 idle too long\r\n"), ("close", CLOSE)):
        mx = BadMX({"mail": [b"250 ok\r\n", second]})
        w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
        w.opened()
        m = Message(RCPTS, CONTENT)
        w.deliver(m)
        found, end = w.deliver(m)
        if found or not end["stale"] or end["keep"]:
            wrong(f"stale by {name}", f"{found} {end}")
    mx = BadMX({"dot": lambda c: (c.sendall(b"250 ok\r\n"), time.sleep(0.3), c.sendall(b"421 bye\r\n"))})
    w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
    w.opened()
    w.deliver(m)
    if receive(w.sock, 5) is not None:
        wrong("421 while idle", "the worker goes on")


def cancel(remote):
    """X before the dot stops it; after the dot it is too late. A lost relay-send: no dot."""
    m = Message(RCPTS, CONTENT)
    mx = BadMX({"data": lambda c: (time.sleep(1), c.sendall(b"354 go\r\n"))})
    w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
    w.opened()
    w.start(m)
    time.sleep(0.3)
    w.cancel()
    found, end = w.result()
    if "cancelled" not in found[0]["reply"] or w.dot_told or end["keep"]:
        wrong("cancel", f"{found} {end}")
    w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
    w.opened()
    w.start(m)
    time.sleep(0.3)
    w.close()
    time.sleep(1.5)
    if mx.messages:
        wrong("a worker without relay-send", "sent a final dot")
    # Only of a message of more than one piece is it told that the dot is about to be sent.
    for content, told in ((CONTENT, False), (b"long\r\n" * 30000, True)):
        mx = BadMX({"dot": lambda c: (time.sleep(1), c.sendall(b"250 late\r\n"))})
        w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
        w.opened()
        w.start(Message(RCPTS, content))
        time.sleep(0.3)
        w.cancel()
        found, end = w.result()
        if found[0]["reply"] != "250 late" or w.dot_told != told:
            wrong("cancel after the dot", f"{found} {end}")


def extensions(remote):
    """What is offered is used, what is not is not; local proofs."""
    def one(ehlo, message, **script):
        mx = BadMX(dict(ehlo=ehlo, **script))
        w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
        w.opened()
        found, end = w.deliver(message)
        w.quit()
        return mx, [found[i]["verdict"] + found[i]["status"] for i in sorted(found)], end

    dsn = Message([("a@b.example", 2 | 4, "rfc822;a@b.example"), ("c@d.example", 1, "")], CONTENT,
                  flags=1, ret=2, envid="QQ314159")
    mx, got, end = one(PIPE + b"250-8bitmime\r\n250-dsn\r\n250 SIZE\r\n", dsn)
    lines = [x.decode().rstrip() for x in mx.commands[1:4]]
    if lines != [f"MAIL FROM:<s@a.example> SIZE={len(CONTENT)} BODY=8BITMIME RET=HDRS ENVID=QQ314159",
                 "RCPT TO:<a@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b.example",
                 "RCPT TO:<c@d.example> NOTIFY=NEVER"] or not end["dsn"]:
        wrong("DSN parameters", lines)
    mx, got, end = one(b"250 plain\r\n", dsn)
    if mx.commands[1:3] != [b"MAIL FROM:<s@a.example>\r\n", b"RCPT TO:<a@b.example>\r\n"] or end["dsn"]:
        wrong("no extensions", mx.commands)
    mx, got, _ = one(PIPE + b"250 SIZE 10\r\n", dsn)
    if got != ["f5.3.4"] * 2 or any(c.startswith(b"MAIL") for c in mx.commands):
        wrong("SIZE", f"{got} {mx.commands}")
    utf8 = Message(["ä@b.example".encode(), "c@d.example"], CONTENT, flags=2)
    mx, got, _ = one(PIPE + b"250 SMTPUTF8\r\n", utf8)
    if got != ["d2.0.0"] * 2 or b" SMTPUTF8" not in mx.commands[1]:
        wrong("SMTPUTF8 offered", f"{got} {mx.commands}")
    mx, got, _ = one(PIPE + b"250 x\r\n", utf8)
    if got != ["f5.6.7", "d2.0.0"]:
        wrong("SMTPUTF8 not offered, one needs it", got)
    header = Message(RCPTS, "Subject: ä\r\n\r\nx\r\n".encode(), flags=2)
    mx, got, _ = one(PIPE + b"250 x\r\n", header)
    if got != ["f5.6.7"] * 2:
        wrong("SMTPUTF8 in a header", got)
    late = Message(RCPTS, b"X: y\r\n" * 40000 + "X: ä\r\n\r\nx\r\n".encode(), flags=2)
    mx, got, _ = one(PIPE + b"250 x\r\n", late)
    if got != ["f5.6.7"] * 2:
        wrong("SMTPUTF8 late in a long header", got)


def content(remote):
    """Long and odd contents arrive as lines, dots restored, nothing lost at a chunk's edge."""
    big = b"".join(b".%d %s\r\n" % (i, b"x" * (i % 90)) for i in range(30000))
    edge = b"y" * ((128 << 10) - 1) + b"\r\n.\r\nz\r\n"
    for name, data, wanted in (
        ("big", big, big), ("edge", edge, edge), ("empty", b"", b""), ("no end", b"a\r\nb", b"a\r\nb\r\n"),
        ("bare LF", b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"), ("bare CR", b"a\r.\r\nb\r\n", b"a .\r\nb\r\n"),
        ("smuggled", b"a\n.\r\nMAIL FROM:<x@y>\r\n", b"a\r\n.\r\nMAIL FROM:<x@y>\r\n")):
        mx = BadMX({})
        mx.script["ehlo"] = PIPE + b"250 8BITMIME\r\n"
        w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
        w.opened()
        m = Message(RCPTS, data)
        found, _ = w.deliver(m)
        got = b"".join(x[1:] if x[:1] == b"." else x for x in mx.messages[0].splitlines(True))
        if found[0]["verdict"] != "d" or got != wanted or len(mx.messages) != 1:
            wrong(f"content {name}", f"{got[:80]!r}")
        w.quit()
    many = Message([f"r{i}@b.example" for i in range(100)], CONTENT)
    mx = BadMX({"rcpt": b"550 5.1.1 " + b"no " * 330 + b"\r\n"})
    w = remote.worker().open([("mx.example", "127.0.0.1", mx.port)])
    w.opened()
    found, _ = w.deliver(many)
    if len(found) != 100:
        wrong("100 recipients", len(found))
    early = BadMX({"ehlo": b"250 x\r\n", "data": lambda c: (c.sendall(b"354 go\r\n"), c.recv(1000),
                                      c.sendall(b"552 5.3.4 too big\r\n"), c.close())})
    w = remote.worker().open([("mx.example", "127.0.0.1", early.port)])
    w.opened()
    found, end = w.deliver(Message(RCPTS, big * 4))
    if found[0]["verdict"] not in "ft" or end["keep"]:
        wrong("an MX that refuses in the middle", f"{found} {end}")


def main():
    remote = Remote(PROGRAM)
    for f in (hosts_in_order, stale, cancel, extensions, content):
        f(remote)
    jobs = [(c, p) for p in (True, False) for c in CASES]
    workers = [remote.worker() for _ in jobs]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for f in [pool.submit(run_case, workers, c, p) for c, p in jobs]:
            f.result()
    log = remote.log()
    if any(ord(c) < 32 and c != "\n" for c in log):
        wrong("log", "has a control byte")
    if "Subject" in log or any(len(x) > 4096 for x in log.splitlines()):
        wrong("log", "has content or a long line")
    for warning in (x for x in log.splitlines() if x.startswith("relay-remote:")):
        wrong("log", warning)
    if remote.process.poll() is not None or remote.stop() != 0:
        wrong("master", "did not live to the end")
    print(f"{len(jobs)} cases, {len(failures)} wrong")
    sys.exit(1 if failures else 0)


main()
