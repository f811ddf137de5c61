#!/usr/bin/python3 -B
# limit: 300
"""Through, and kill -9 of each process while an attempt is at each of its stages.

What must hold: a client that was told 250 finds its message delivered (twice at most, when the
MX had its final dot); one that was told anything else, or lost its connection, has left no copy in
the queue; under only nothing is ever written to queue/.
"""
import os
import re
import signal
import smtplib
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import relaytest
from badmx import POLITE, BadMX
from relaytest import Client, wait_for

SLOW = 2.5  # seconds that the MX takes at the stage in question, the first time
STAGES = ("banner", "rcpt", "dot")
PROCESSES = ("relay-smtpd", "relay-queue", "relay-send", "master", "worker", "relay-bounce")
POLICIES = ("20", "only:20")


def slowly(reply):
    def answer(conn):
        time.sleep(SLOW)
        conn.sendall(reply)
    return answer


class Case:
    """One client's message, and what became of it."""

    def __init__(self, relay, mx, name, domain):
        self.relay, self.mx, self.name, self.domain = relay, mx, name, domain
        self.code = None  # of the reply to the final dot, 0: the connection was lost
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()

    def talk(self):
        try:
            with Client(self.relay) as client:
                client.docmd("MAIL", "FROM:<>")
                client.wanted(client.docmd("RCPT", f"TO:<u@{self.domain}>"), 250)
                try:
                    self.code = client.data(f"Subject: {self.name}\r\n\r\nbody\r\n")[0]
                except smtplib.SMTPDataError as refused:
                    self.code = refused.smtp_code
        except (OSError, smtplib.SMTPException, relaytest.Failed):
            self.code = self.code or 0

    def arrived(self):
        wanted = f"Subject: {self.name}\r\n".encode()
        return sum(wanted in message for message in self.mx.messages)


def victim(relay, process):
    if process in ("master", "worker"):
        pids = relay.pids("relay-remote")  # the master, its resolver, then workers
        return pids[0] if process == "master" else pids[-1]
    return relay.pids(process)[-1]


def reached(mx, stage):
    if stage == "banner":
        return mx.sessions > 0
    if stage == "dot":
        return bool(mx.messages)
    return any(command.upper().startswith(b"RCPT") for command in mx.commands)


def one(test, relay, process, stage, domain, policy):
    script = {stage: [slowly(POLITE[stage]), POLITE[stage]]}
    mx = BadMX(script, host=domain["host"], port=domain["port"])
    name = f"{policy} {process} {stage}"
    case = Case(relay, mx, name, domain["name"])
    wait_for(lambda: reached(mx, stage), f"{name}: the MX is at that stage")
    os.kill(victim(relay, process), signal.SIGKILL)
    case.thread.join(60)
    relay.wait_ready()
    relay.wait_empty(30)
    arrived = case.arrived()
    most = 2 if stage == "dot" else 1
    if case.code == 250:
        test.check(1 <= arrived <= most, f"{name}: 250, and it arrived", f"{arrived} times")
    else:
        test.check(case.code == 0 or case.code // 100 == 4, f"{name}: no 5xx", case.code)
        time.sleep(0.3)
        test.check(case.arrived() <= most - 1, f"{name}: {case.code or 'lost'}, and it did not arrive", case.arrived())
    mx.close()
    return case.code


def run_policy(test, policy, number):
    domains, routes = [], []
    for p in PROCESSES:
        for stage in STAGES:
            domain = {"name": f"{p}-{stage}.test", "host": test.address(100 + len(domains) + 50 * number),
                      "port": test.port(), "process": p, "stage": stage}
            domains.append(domain)
            routes.append(f"{domain['name']}:[{domain['host']}]:{domain['port']}")
    relay = test.relay(name=f"p{number}", routes=routes,
                       rules=f'127.:allow,RELAYCLIENT="",RELAYTHROUGH="{policy}"\n:deny\n',
                       control={"retry": "1", "probefirst": 1, "probemax": 1})
    codes = {}
    for domain in domains:
        code = one(test, relay, domain["process"], domain["stage"], domain, policy)
        codes.setdefault(domain["process"], []).append(code or "lost")
    if policy.startswith("only"):
        log = relay.directory / "queue/log"
        test.check(not any(re.match(r"\d", f.name) for f in log.iterdir()), "only: nothing was written to queue/")
    print(f"{policy}: " + "; ".join(f"{p} {c}" for p, c in codes.items()))


def main(test):
    threads = []
    for number, policy in enumerate(POLICIES):
        thread = threading.Thread(target=lambda p=policy, n=number: guarded(test, p, n))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


def guarded(test, policy, number):
    try:
        run_policy(test, policy, number)
    except Exception as problem:  # a thread's end must be the test's
        test.check(False, f"{policy}: {problem!r}")


relaytest.run(main, root=True)
