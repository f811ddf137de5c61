#!/usr/bin/python3
"""The service of relay-logdb: relay-logdb-conf, supervise, kills, an SQLite that others read meanwhile."""
# limit: 120
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Sink
from relaytest import BUILD, Failed, run, run_program, wait_for


def main(test):
    port = test.port()
    test.ends(Sink("127.0.0.1", port))
    relay = test.relay(routes=[f":127.0.0.1:{port}"])
    services = test.path("services")
    words = [BUILD / "bin/relay-logdb-conf", "-d", relay.directory, "-s", services, "-b", relay.directory / "bin",
             relay.directory / "log/smtpd", relay.directory / "log/send"]
    test.equal(run_program(*words[:-1], "/nowhere", check=False).returncode, 100, "it takes only what is there")
    test.equal(run_program(BUILD / "bin/relay-logdb-conf", "-k", "0", check=False).returncode, 100, "not 0 days")
    run_program(*words)
    test.equal(run_program(*words, check=False).returncode, 100, "it does not overwrite a service")
    supervise = subprocess.Popen(["supervise", str(services / "logdb")])

    def stop():
        run_program("svc", "-dx", services / "logdb", check=False)
        supervise.wait(20)
    test.stack.callback(stop)
    database = relay.directory / "logdb/log.sqlite"

    def count(wanted):
        if not database.exists():
            return False
        try:
            with sqlite3.connect(database, timeout=5) as db:
                found = db.execute("SELECT COUNT(*) FROM deliveries WHERE verdict = 'delivered'").fetchone()[0]
        except sqlite3.OperationalError:  # its tables are being made
            return False
        if found > wanted:
            raise Failed(f"{found} deliveries of {wanted} messages")
        return found == wanted

    for number in range(1, 4):
        run_program("smtp-source", "-s", 5, "-m", 50, "-f", "s@source.test", "-t", "r@sink.test",
                    f"{relay.host}:{relay.port}")
        wait_for(lambda n=number: count(50 * n), f"{50 * number} deliveries are in the database", 30)
        status = run_program("svstat", services / "logdb").stdout
        pid = int(status.split("(pid ")[1].split(")")[0])
        if os.geteuid() == 0:
            uid = Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[0]
            test.check(uid != "0", f"it runs as uid {uid}, not as root")
        run_program("svc", "-k", services / "logdb")
    test.check(True, "150 deliveries, over two kills")
    test.equal(database.parent.stat().st_mode & 0o007, 0, "others cannot enter the database's directory")


run(main, tools=["smtp-source", "smtp-sink", "supervise", "svstat"])
