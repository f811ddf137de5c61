#!/usr/bin/python3
"""relay-logdb and relay-trace on a real relay's logs, while it runs and multilog rotates."""
# limit: 300
import json
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from mariadb import NEEDS, Mariadb
from peers import Receiver, swaks
from relaytest import BUILD, TOP, Client, run, run_program, wait_for

TABLES = {"connections": "id", "communications": "connection_id, id", "messages": "id", "recipients": "message_id, rcpt",
          "deliveries": "id", "log_files": "directory, file", "log_state": "item"}
BODY = "Subject: {0}\r\nX-Test: yes\r\n\r\nthe body of {0}, which is in no log\r\n"


def rcpt(address):
    if address.startswith("no"):
        return '550 5.1.1 no such "user" here'
    if address.startswith("later"):
        return "451 4.7.1 greylisted, try later"
    return None


def traffic(relay, number):
    """Mail of every kind; the ids of what a client sent."""
    with Client(relay) as client:
        ids = [client.message("ann@x.test", [f"bob{number}@y.test", f"no{number}@y.test"], BODY.format("one")),
               client.message("ann@x.test", [f"later{number}@y.test"], BODY.format("two")),
               client.message("", [f"no{number}@z.test"], BODY.format("three")),
               client.message("ann@x.test", [f"a{number}@down.test"], BODY.format("four"))]
    swaks(relay, "--from", "swaks@x.test", "--to", "cem@y.test", "--body", "nobody sees this")
    run_program(BUILD / "bin/relay-inject", "-d", relay.directory, "-f", "cron@x.test", "dee@y.test", "no@y.test",
                input=f"Subject: cron {number}\n\nfrom cron\n")
    run_program("smtp-source", "-s", 4, "-m", 40, "-l", 2000, "-f", "source@x.test", "-t", "sink@y.test",
                f"{relay.host}:{relay.port}")
    return ids


class Database:
    """A SQLite file or a MariaDB, as relay-logdb and the checks want it."""

    def __init__(self, path=None, mariadb=None):
        self.path, self.mariadb = path, mariadb
        self.options = ["-s", path] if path else ["-m", mariadb.options]

    def rows(self, text):
        if self.mariadb:
            return self.mariadb.rows(text)
        with sqlite3.connect(self.path) as db:
            return [tuple(None if c is None else str(c) for c in row) for row in db.execute(text)]

    def dump(self):
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY {order}") for table, order in TABLES.items()}


def load(relay, database):
    return run_program(BUILD / "bin/relay-logdb", *database.options, "-n", "test", "--once", relay.directory / "log")


def same(test, one, other, what):
    for table, rows in one.items():
        missing = [r for r in rows if r not in set(other[table])]
        extra = [r for r in other[table] if r not in set(rows)]
        test.check(rows == other[table] and rows or table == "log_state", f"{what}: {table}, {len(rows)} rows",
                   f"missing {missing[:3]}, extra {extra[:3]}")


def check_rows(test, database, ids):
    rows = database.rows
    test.equal(rows(f"SELECT m.tenant, m.sender, m.rcpts, c.kind FROM messages m JOIN connections c "
                    f"ON c.id = m.connection_id WHERE m.id = '{ids[0]}'"),
               [("127.0.0.1", "ann@x.test", "2", "client")], "a message and its session")
    test.equal(rows(f"SELECT rcpt, recipient, domain, verdict, status, tenant FROM deliveries "
                    f"WHERE message_id = '{ids[0]}' ORDER BY rcpt"),
               [("0", "bob0@y.test", "y.test", "delivered", "2.0.0", "127.0.0.1"),
                ("1", "no0@y.test", "y.test", "failed", "5.1.1", "127.0.0.1")], "its deliveries")
    test.equal(rows("SELECT DISTINCT recipient FROM deliveries d JOIN messages m ON m.id = d.message_id "
                    "WHERE m.sender = 'cron@x.test' ORDER BY 1"), [("dee@y.test",), ("no@y.test",)],
               "injected mail has its recipients, from the MX's session")
    test.equal(rows("SELECT COUNT(*) FROM deliveries WHERE recipient IS NULL OR domain IS NULL OR site IS NULL "
                    "OR ms IS NULL OR connection_id IS NULL")[0][0], "0", "every delivery has its session")
    test.equal(rows("SELECT o.sender FROM messages d JOIN messages o ON o.id = d.dsn_of "
                    "WHERE d.sender = '' ORDER BY 1 LIMIT 1"), [("ann@x.test",)], "a notice names its message")
    test.equal(rows("SELECT COUNT(*) FROM deliveries d WHERE recipient = 'sink@y.test' AND verdict = 'delivered'"),
               [("120",)], "smtp-source's messages are there")
    test.equal(rows("SELECT direction, data FROM communications WHERE data LIKE '%bob0@y.test%' ORDER BY id"),
               [("->", "RCPT TO:<bob0@y.test>"), ("|>", "RCPT TO:<bob0@y.test>")], "Warp's directions")
    test.equal(rows("SELECT COUNT(*) FROM communications WHERE data LIKE '%body of%' OR data LIKE '%nobody sees%'"),
               [("0",)], "no body is in it")
    test.equal(rows("SELECT COUNT(*) FROM communications c LEFT JOIN connections n ON n.id = c.connection_id "
                    "WHERE n.id IS NULL"), [("0",)], "every line has its session")


def check_queries(test, database, ident):
    """Every query of doc/queries.md, as an operator would paste it."""
    text = (TOP / "doc/queries.md").read_text()
    queries = re.findall(r"^## \d+\. (.*?)$.*?```sql\n(.*?)```", text, re.M | re.S)
    test.equal(len(queries), 10, "doc/queries.md has ten queries")
    values = {"since": "2020-01-01", "until": "2100-01-01", "id": ident, "address": "bob0@y.test"}
    for title, query in queries:
        if database.mariadb:
            sets = "".join(f"SET @{name} = '{value}'; " for name, value in values.items())
            done = database.mariadb.sql(sets + query, check=False)
            count, error = len(done.stdout.splitlines()), done.stderr
        else:
            sets = [w for name, value in values.items() for w in ("-cmd", f".parameter set @{name} \"'{value}'\"")]
            done = run_program("sqlite3", "-cmd", ".parameter init", *sets, database.path, query, check=False)
            count, error = len(done.stdout.splitlines()), done.stderr
        test.check(done.returncode == 0 and count > 0, f"query: {title}", error or "no rows")


def check_trace(test, relay, ids):
    def trace(*words, check=True):
        return run_program(BUILD / "bin/relay-trace", *words, relay.directory / "log", check=check)
    lines = json.loads(trace("--json", ids[0]).stdout)
    own = [line for line in lines if line["id"] == ids[0]]
    texts = [line["text"] for line in own]
    first, last = texts[0], [line for line in own if line["text"].startswith("result ")][-1]
    test.check(first.startswith("tcpserver: pid ") and "no0@y.test" not in first, "the story begins at the connection", first)
    for part in ("< MAIL FROM:<ann@x.test>", "< RCPT TO:<no0@y.test>", "< Subject: one", "= accept id=", "= queued id=",
                 "> RCPT TO:<bob0@y.test>", '< 550 5.1.1 no such "user" here', "= deliver id=", "= result id="):
        found = [line for line in own if f"{line.get('direction')} {line['text']}".startswith(part)]
        test.check(found, f"the story has {part}")
    test.check("later0@y.test" not in " ".join(texts), "it has no other message's lines")
    test.equal([t for t in texts if t.startswith("Subject")], ["Subject: one"], "it has its own header only")
    order = [texts.index(next(t for t in texts if t.startswith(w))) for w in
             ("connect client=", "accept id=", "deliver id=", "result id=")]
    test.equal(order, sorted(order), "client, queue, MX, result: in order")
    test.check(last["time"] and last["facts"]["id"] == ids[0], "facts are there")
    notice = [line for line in lines if line["id"] != ids[0]]
    test.check(any(line.get("facts", {}).get("dsn-of") == ids[0] for line in notice), "the notice about it follows")
    people = trace(ids[0]).stdout
    test.check(f"message {ids[0]}; notices about it: " in people and "client" in people, "for people, too", people[:300])
    several = trace("--limit", 2, "SOURCE@x.test")
    test.equal(several.stdout.count("message "), 2, "an address: the newest two")
    test.check("120 messages from or to" in several.stderr, "and how many there are", several.stderr)
    test.equal(trace("0" * 16, check=False).returncode, 1, "status 1 for what is in no log")
    test.equal(trace("nonsense", check=False).returncode, 100, "status 100 for what is neither id nor address")


def check_rate(test, relay):
    done = run_program(BUILD / "bin/relay-rate", "--once", "--json", "--top", 3, relay.directory / "log")
    found = json.loads(done.stdout)
    logs = relay.log("smtpd") + relay.log("send")
    taken = len(re.findall(r" = accept ", logs)) + len(re.findall(r" = queued .*(?:tenant=local:|dsn-of=)", logs))
    test.equal(found["recv"]["total"], taken, "relay-rate counts what was taken")
    test.equal(found["sent"]["total"], logs.count(" verdict=delivered "), "and what was delivered")
    test.equal(found["tenants"][0]["tenant"], "127.0.0.1", "the busiest tenant")
    text = run_program(BUILD / "bin/relay-rate", "--once", relay.directory / "log").stdout.splitlines()
    test.check(re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \d+ recv \[\d+ inbound, \d+ relay\] "
                            r"\(\d+/h avg, \d+ total\)", text[0]), "as MailEngine prints it", text[0])


def main(test):
    port = test.port()
    receiver = test.ends(Receiver("127.0.0.1", port, rcpt=rcpt))
    relay = test.relay(routes=["down.test:127.0.0.1:1", f":127.0.0.1:{port}"])
    live = Database(test.directory / "live.sqlite")
    follower = subprocess.Popen([str(w) for w in (BUILD / "bin/relay-logdb", *live.options, "-n", "test",
                                                  relay.directory / "log")])
    rate = subprocess.Popen([str(BUILD / "bin/relay-rate"), "--every", "1", "--json", str(relay.directory / "log")],
                            stdout=subprocess.PIPE, text=True)
    test.stack.callback(follower.kill)
    test.stack.callback(rate.kill)
    time.sleep(0.5)
    ids = []
    for number in range(3):
        ids += traffic(relay, number)
        relay.svc("-a", "send/log")  # multilog begins another current
        relay.svc("-a", "smtpd/log")
    wait_for(lambda: len(receiver.messages) >= 120 + 3 * 5, "everything has been tried")
    wait_for(lambda: relay.stat()["messages"] == 6, "two of each round wait")
    relay.ctl("retry", "all")
    wait_for(lambda: relay.log().count("attempts=2 ") >= 3, "a second attempt")
    relay.down()
    rotated = list((relay.directory / "log/send").glob("@*.s"))
    test.check(len(rotated) >= 3, "multilog has rotated", str(rotated))
    logs = [f for name in ("smtpd", "send") for f in (relay.directory / "log" / name).iterdir()
            if f.name == "current" or f.suffix in (".s", ".u")]
    wait_for(lambda: live.rows("SELECT SUM(position) FROM log_files") == [(str(sum(f.stat().st_size for f in logs)),)],
             "the follower has seen the end")
    follower.terminate()
    test.equal(follower.wait(20), 0, "TERM ends relay-logdb")
    time.sleep(1.2)
    rate.terminate()
    counted = [json.loads(line) for line in rate.communicate()[0].splitlines()]
    test.equal(counted[-1]["sent"]["total"], relay.log().count(" verdict=delivered "),
               "relay-rate has followed over rotations")
    later = Database(test.directory / "later.sqlite")
    load(relay, later)
    test.equal(load(relay, later).stderr, "relay-logdb: info: 0 lines loaded\n", "a second load has nothing new")
    same(test, later.dump(), live.dump(), "followed live as loaded later")
    check_rows(test, later, ids)
    check_queries(test, later, ids[0])
    check_trace(test, relay, ids)
    check_rate(test, relay)
    mariadb = Database(mariadb=test.ends(Mariadb(test.path("mariadb"))))
    load(relay, mariadb)
    same(test, later.dump(), mariadb.dump(), "MariaDB as SQLite")
    check_rows(test, mariadb, ids)
    check_queries(test, mariadb, ids[0])


run(main, tools=["sqlite3", "swaks", "smtp-source", *NEEDS])
