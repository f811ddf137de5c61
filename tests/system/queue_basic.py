#!/usr/bin/python3
"""relay-queue alone: commit and answer, results, restart, labels, notes, big files, injection, DSNs."""
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from queue_process import (Checks, Client, Queue, body, envelope, memfd, mint, ns, receive, send)

check = Checks()


def restart(q):
    check(q.end() == 0, "ends with 0 when relay-send ends")
    q.start()


def commit_and_restart(q):
    c = Client(q, tenant="t1")
    content = body(5000, "first")
    mid, verdict = c.submit(content=content, rcpts=("x@example.org", "y@example.net"))
    check(verdict == (250, f"2.0.0 {mid} queued"), f"250 with the id: {verdict}")
    q.until(lambda: q.by_id(mid))
    m = q.by_id(mid)
    check([r["address"] for r in m.rcpts.values()] == ["x@example.org", "y@example.net"], "recipients")
    check(q.fetch(m.serial)[m.elen:] == content, "hand-out is what was submitted")
    check(q.extract(mid) == content, "-x with a running relay")
    check(mid in q.listing(), "-l with a running relay")
    _, second = c.submit(mid=mid)
    check(second[0] == 451, f"a live label is refused: {second}")
    q.result(m.serial, (0, "d", "250 ok", 1, 0, False),
             (1, "t", "450 come back", 3, 1900000000500, False))
    restart(q)
    check(list(q.messages) == [m.serial], "one message is left")
    r = q.messages[m.serial].rcpts
    check(list(r) == [1] and r[1]["state"] == "p" and r[1]["attempts"] == 3 and
          r[1]["next"] == 1900000001000, f"its state is kept: {r}")
    check(q.words(m.serial, 1) == "mx.example[192.0.2.9] said: 450 come back", "last words")
    q.result(m.serial, (1, "f", "550 no", 4, 0, True))
    restart(q)
    check(q.messages[m.serial].rcpts[1]["state"] == "f", "DSN-due is kept")
    q.result(m.serial, (1, "x", "dropped", 4, 0, False))
    restart(q)
    check(not q.messages, "nothing is left")
    mid2, verdict = Client(q, tenant="t1").submit(mid=mid)
    check(verdict[0] == 250, "an old label may come again")
    q.until(lambda: q.by_id(mid2))
    check(q.by_id(mid2).serial > m.serial, "serials are never used again")
    q.delivered(q.by_id(mid2).serial)


def serials_survive_emptiness(q):
    _, v = Client(q, tenant="t1").submit()
    q.until(lambda: q.messages)
    serial = max(q.messages)
    q.delivered(serial)
    restart(q)
    restart(q)
    mid, _ = Client(q, tenant="t1").submit()
    q.until(lambda: q.by_id(mid))
    check(q.by_id(mid).serial > serial, "no serial twice after restarts with an empty queue")
    q.delivered(q.by_id(mid).serial)


def bad_submissions(q):
    c = Client(q, tenant="t1")
    for name, request, fd in (
            ("garbage", b"zzz", -1),
            ("no fd", ns("S", 10, 10, "", 0), -1),
            ("name of nobody", ns("S", 10, 10, "abc", 0), -1),
            ("path", ns("S", 10, 10, "../x", 0), -1),
            ("size wrong", ns("S", 10, 11, "", 0), memfd(b"x" * 20)),
            ("not sealed", ns("S", 10, 10, "", 0), memfd(b"x" * 20, seal=False)),
            ("no envelope", ns("S", 10, 10, "", 0), memfd(b"x" * 20)),
            ("empty tenant", ns("H", "", ""), -1),
            ("huge envelope", ns("S", 1 << 31, 10, "", 0), memfd(b"x" * 20))):
        c = Client(q, tenant="t1")
        send(c.sock, request, fd)
        check(receive(c.sock) is None, f"{name}: the connection ends")
        if fd != -1:
            os.close(fd)
    _, verdict = Client(q, tenant="t1").submit()
    check(verdict[0] == 250, "and others go on")
    q.drain()
    for serial in list(q.messages):
        q.delivered(serial)


def notes(q):
    send(q.send_sock, ns("N", "hold tenant a", "since noon"))
    send(q.send_sock, ns("N", "hold site b", "x"))
    send(q.send_sock, ns("N", "hold site b", ""))
    restart(q)
    check(q.notes == {"hold tenant a": "since noon"}, f"notes are kept: {q.notes}")


def big(q):
    c = Client(q, tenant="t1")
    content = body(3 << 20, "big")
    mid = mint()
    verdict = c.submit_big(mid, content)
    check(verdict and verdict[0] == 250, f"a big file: {verdict}")
    mid2 = mint()
    c.post(envelope(mid2), content)
    check(c.verdict()[0] == 250, "a memfd too large for a segment")
    restart(q)
    for one in (mid, mid2):
        m = q.by_id(one)
        check(m and q.fetch(m.serial)[m.elen:] == content, "big content after a restart")
    check(len(os.listdir(q.dir / "queue/big")) == 2, "two files")
    c = Client(q, tenant="t1")
    send(c.sock, ns("B"))
    f, fd = receive(c.sock)
    os.write(fd, envelope(mint()) + content[:100])
    send(c.sock, ns("S", len(envelope(mint())), 100, f[2], 0))
    check(receive(c.sock) is None, "a file that is still open for writing is not taken")
    os.close(fd)
    for m in list(q.messages.values()):
        q.delivered(m.serial)
    restart(q)
    time.sleep(0.2)
    check(os.listdir(q.dir / "queue/big") == [], "no file is left")


def inject(q):
    c = Client(q, "run/inject")
    content = body(300, "local")
    mid, verdict = c.submit(content=content, tenant="cheat", through=30)
    check(verdict[0] == 250, f"injected: {verdict}")
    q.until(lambda: q.by_id(mid))
    m = q.by_id(mid)
    check(m.tenant == f"local:{os.getuid()}", f"tenant is the uid: {m.tenant}")
    data = q.fetch(m.serial)
    check(data[m.elen:].startswith(b"Received: by relay.example (relay, from uid ") and
          data.endswith(content), "Received names the uid")
    check(b"5:cheat" not in data[:m.elen] and b"uid " in data[:m.elen], "envelope is cleansed")
    q.delivered(m.serial)
    more = [Client(q, "run/inject") for _ in range(25)]
    try:
        send(more[-1].sock, ns("B"))
        bounded = receive(more[-1].sock) is None
    except BrokenPipeError:
        bounded = True
    check(bounded, "connections of a uid are bounded")


def bounce(q):
    c = Client(q, tenant="t1")
    mid, _ = c.submit(rcpts=[f"r{i}@example.org" for i in range(60)])
    q.until(lambda: q.by_id(mid))
    m = q.by_id(mid)
    q.result(m.serial, *[(i, "f", f"550 no {i}", 1, 0, True) for i in range(60)])
    indexes = list(range(55))
    send(q.send_sock, ns("B", m.serial, "f", len(indexes), *indexes))
    f, fd = receive(q.bounce_sock)
    check(f[0] == b"f" and int(f[1]) == m.serial and int(f[5]) == 55 and fd != -1, "a job")
    check(f[6 + 8 * 3 + 5] == b"550 no 3", f"with what was said: {f[6 + 24:6 + 32]}")
    os.close(fd)
    f, _ = receive(q.bounce_sock)
    check(f[0] == b"+" and len(f) == 1 + 15 * 8, "in parts")
    dsn = mint()
    env = envelope(dsn, sender="", rcpts=("a@example.com",), flags=4)
    content = body(400, "dsn")
    fd = memfd(env + content)
    send(q.bounce_sock, ns(m.serial, 1, len(env), len(content), ""), fd)
    os.close(fd)
    f, _ = q.answer(b"D")
    check(f[1:] == [str(m.serial).encode(), b"1"], "D 1")
    q.until(lambda: q.by_id(dsn))
    check(True, "the DSN is announced")
    restart(q)
    check(sorted(q.by_id(mid).rcpts) == list(range(55, 60)), "its recipients have ended")
    d = q.by_id(dsn)
    check(d and q.fetch(d.serial)[d.elen:] == content, "the DSN is in the queue")
    send(q.send_sock, ns("B", m.serial, "f", 2, 55, 56))
    receive(q.bounce_sock)
    send(q.bounce_sock, ns(m.serial, 0, 0, 0, "cannot"))
    check(q.answer(b"D")[0][2] == b"0", "D 0 when none can be made")
    send(q.send_sock, ns("B", m.serial, "f", 2, 55, 56))
    receive(q.bounce_sock)
    send(q.bounce_sock, ns(m.serial, 2, 0, 0, "none due"))
    check(q.answer(b"D")[0][2] == b"1", "D 1 when none is due")
    send(q.send_sock, ns("B", m.serial, "d", 1, 57))
    receive(q.bounce_sock)
    send(q.bounce_sock, ns(m.serial, 2, 0, 0, "none due"))
    check(q.answer(b"D")[0][2] == b"1", "D 1 for a delay")
    restart(q)
    r = q.by_id(mid).rcpts
    check(sorted(r) == [57, 58, 59] and r[57]["told"] and not r[58]["told"], f"all is kept: {r}")
    for one in q.messages.values():
        q.result(one.serial, *[(i, "x", "x", 1, 0, False) for i in one.rcpts])


def tenants(q):
    q.end()
    q.control("concurrencyincoming", 10)
    q.start()
    a = [Client(q, tenant="a") for _ in range(6)]
    check([c.refused is None for c in a] == [True] * 5 + [False], "a tenant never takes the last half")
    check("421 4.7.0" in (a[5].refused or ""), "421 4.7.0")
    b = [Client(q, tenant="b") for _ in range(3)]
    check([c.refused is None for c in b] == [True, True, True], "another has its share of the rest")
    a[0].close()
    time.sleep(0.1)
    b[0].hello("a")
    check(b[0].refused, "after AUTH it counts with the new tenant")


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_DIR")) as directory:
        q = Queue(directory)
        for test in (commit_and_restart, serials_survive_emptiness, bad_submissions, notes, big,
                     inject, bounce, tenants):
            test(q)
        q.kill()
    check.done()


main()
