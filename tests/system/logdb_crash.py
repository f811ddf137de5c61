#!/usr/bin/python3
"""relay-logdb killed at random moments of a load, again and again: the rows are those of one load.

With SQLite and with MariaDB; the logs are made, in several files, with sessions across rotations.
"""
# limit: 300
# asan: no
import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import logmaker
from mariadb import NEEDS, Mariadb
from relaytest import BUILD, Failed, run, run_program

TABLES = {"connections": "id", "communications": "connection_id, id", "messages": "id",
          "recipients": "message_id, rcpt", "deliveries": "id", "log_files": "directory, file", "log_state": "item"}
SESSIONS = 4800  # some 170,000 lines, nine transactions
KILLS = 6


def command(options, directory):
    return [str(w) for w in (BUILD / "bin/relay-logdb", *options, "-n", "test", "--once", directory)]


def sqlite_rows(path):
    with sqlite3.connect(path) as db:
        return {table: [tuple(None if c is None else str(c) for c in row)
                        for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}")]
                for table, order in TABLES.items()}


def mariadb_rows(server):
    return {table: server.rows(f"SELECT * FROM {table} ORDER BY {order}") for table, order in TABLES.items()}


def load_whole(options, directory):
    """Once more where the server still had the transaction of one that was killed, as supervise would."""
    done = run_program(*command(options, directory), check=False)
    while done.returncode == 111 and "try restarting transaction" in done.stderr:
        time.sleep(0.5)
        done = run_program(*command(options, directory), check=False)
    if done.returncode:
        raise Failed(f"relay-logdb: status {done.returncode}: {done.stderr}")
    return done.stderr


def load_killing(options, directory, seconds, loaded):
    """Loads, killed KILLS times within so many seconds, then to the end.

    The first is killed only when a transaction of it is in the database (loaded()), however slow
    the machine. Returns how often it was in the middle, and how many lines the last one still had
    to load.
    """
    killed = 0
    for n in range(KILLS):
        process = subprocess.Popen(command(options, directory), stderr=subprocess.DEVNULL)
        while n == 0 and process.poll() is None and not loaded():
            time.sleep(0.02)
        time.sleep(random.uniform(0, seconds))
        killed += process.poll() is None
        process.kill()
        process.wait()
    return killed, int(load_whole(options, directory).split()[2])


def sqlite_loaded(path):
    with contextlib.suppress(sqlite3.Error), sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT count(*) FROM messages").fetchone()[0] > 0
    return False


def mariadb_loaded(server):
    with contextlib.suppress(Failed):
        return server.rows("SELECT count(*) FROM messages")[0][0] not in (0, "0")
    return False


def check_same(test, wanted, got, what):
    for table, rows in wanted.items():
        if not test.check(rows == got[table] and (rows or table == "log_state"), f"{what}: {table}, {len(rows)} rows"):
            print("missing:", [r for r in rows if r not in set(got[table])][:3],
                  "extra:", [r for r in got[table] if r not in set(rows)][:3])


def main(test):
    seed = random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}")
    logs = test.path("log")
    _, lines = logmaker.make(logs, SESSIONS, files=4)
    began = time.monotonic()
    run_program(*command(["-s", test.directory / "whole.sqlite"], logs))
    seconds = time.monotonic() - began
    wanted = sqlite_rows(test.directory / "whole.sqlite")
    test.equal((len(wanted["messages"]), len(wanted["deliveries"])), (SESSIONS, SESSIONS), "every message is there")
    test.check(all(d[4] and d[6] and d[13] for d in wanted["deliveries"]), "each delivery with recipient, site, time")
    killed, rest = load_killing(["-s", test.directory / "crash.sqlite"], logs, seconds / 4,
                                lambda: sqlite_loaded(test.directory / "crash.sqlite"))
    test.check(killed > 0 and rest < lines, f"SQLite: killed {killed} times in the middle, {rest} of {lines} lines left")
    check_same(test, wanted, sqlite_rows(test.directory / "crash.sqlite"), "SQLite, killed and resumed")
    test.equal(run_program("sqlite3", test.directory / "crash.sqlite", "PRAGMA integrity_check").stdout, "ok\n",
               "the database is whole")
    check_growing(test, wanted)
    server = test.ends(Mariadb(test.path("mariadb")))
    killed, rest = load_killing(["-m", server.options], logs, seconds / 4, lambda: mariadb_loaded(server))
    test.check(killed > 0 and rest < lines, f"MariaDB: killed {killed} times in the middle, {rest} of {lines} lines left")
    check_same(test, wanted, mariadb_rows(server), "MariaDB, killed and resumed, as SQLite")
    check_limits(test, logs)


def check_growing(test, wanted):
    """The log arrives in pieces that end anywhere, as a write of multilog may."""
    whole, growing = test.directory / "log", test.directory / "growing"
    for name in ("smtpd", "send"):
        (growing / name).mkdir(parents=True)
    database = test.directory / "growing.sqlite"
    for part in range(1, 6):
        for name in ("smtpd", "send"):
            data = b"".join(f.read_bytes() for f in sorted((whole / name).iterdir()))
            cut = len(data) if part == 5 else random.randrange(len(data) * (part - 1) // 5, len(data) * part // 5 + 1)
            (growing / name / "current").write_bytes(data[:cut])
        run_program(*command(["-s", database], growing))
    got = sqlite_rows(database)
    # Ids name the place in the files, which are others here.
    for table, columns in (("messages", slice(2, 12)), ("recipients", slice(0, 3)), ("deliveries", slice(1, 14))):
        test.equal(sorted(r[columns] for r in got[table]), sorted(r[columns] for r in wanted[table]),
                   f"a log that grew in pieces: {table}")
    test.equal(sorted(r[2:] for r in got["communications"]), sorted(r[2:] for r in wanted["communications"]),
               "a log that grew in pieces: communications")


def check_limits(test, logs):
    """What it refuses, and retention."""
    database = test.directory / "whole.sqlite"
    done = run_program(*command(["-s", database, "-k", "1"], logs))
    test.check("0 lines loaded" in done.stderr, "nothing is loaded twice", done.stderr)
    left = {table: len(rows) for table, rows in sqlite_rows(database).items() if not table.startswith("log_")}
    test.equal(left, {"connections": 0, "communications": 0, "messages": 0, "recipients": 0, "deliveries": 0},
               "-k deletes what is older")
    with sqlite3.connect(database) as db:
        db.execute("INSERT INTO schema_version VALUES (99)")
    done = run_program(*command(["-s", database], logs), check=False)
    test.equal((done.returncode, "of version 99" in done.stderr), (100, True), "a newer database is refused")
    other = test.path("other")
    (other / "current").write_text("no stamp in this line, which is long enough\n")
    done = run_program(*command(["-s", test.directory / "x.sqlite"], other), check=False)
    test.equal((done.returncode, "needs t" in done.stderr), (100, True), "a log without stamps is refused")
    options = test.directory / "open.cnf"
    options.write_text("[client]\n")
    options.chmod(0o644)
    done = run_program(*command(["-m", options], logs), check=False)
    test.equal((done.returncode, "read by everybody" in done.stderr), (100, True), "a password for all is refused")
    done = run_program(*command(["-s", "/nowhere/x.sqlite"], logs), check=False)
    test.equal(done.returncode, 111, "no database: temporary")
    second_loader(test, logs)


def second_loader(test, logs):
    """Two of them on one database: the second one notices, and nothing is there twice."""
    database, copy = test.directory / "two.sqlite", test.path("copy")
    for name in ("smtpd", "send"):
        (copy / name).mkdir()
        shutil.copy(logs / name / "current", copy / name / "current")
    both = [subprocess.Popen(command(["-s", database], copy), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [(p.communicate()[1], p.returncode) for p in both]
    if not all(code in (0, 111) for _, code in said):
        raise Failed(f"two at once: {said}")
    test.equal([code for _, code in said].count(0) > 0, True, f"of two at once one has loaded it: {said}")
    run_program(*command(["-s", database], copy))
    alone = test.directory / "alone.sqlite"
    run_program(*command(["-s", alone], copy))
    check_same(test, sqlite_rows(alone), sqlite_rows(database), "two at once")


run(main, tools=["sqlite3", *NEEDS])
