#!/usr/bin/python3
"""make install: into DESTDIR, every file with its mode; and for real from a copy of the tree whose
conf-prefix and conf-relay name directories of the test's: relay-conf's services under svscan, mail
through relay-smtpd and sendmail."""
# limit: 300
# asan: no
# alone: yes
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from badmx import BadMX
from relaytest import BUILD, TOP, process_stat, run, run_program, wait_for

PROGRAMS = {"relay-smtpd", "relay-start", "relay-queue", "relay-send", "relay-bounce", "relay-inject", "relay-ctl",
            "relay-remote", "relay-conf", "relay-keyd", "relay-authd",
            "relay-log", "relay-trace", "relay-rate", "relay-logdb", "relay-logdb-conf"}


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def check_tree(test, prefix, home):
    found = {p.name for p in (prefix / "bin").iterdir()}
    test.check(PROGRAMS <= found, "every program is there", PROGRAMS - found)
    for name in sorted(found - {"sendmail"}):
        test.equal(mode(prefix / "bin" / name), 0o755, f"bin/{name} has mode 755")
    test.equal(os.readlink(prefix / "bin/sendmail"), "relay-inject", "bin/sendmail is relay-inject")
    for page in sorted((TOP / "man").glob("*.[0-9]")):
        there = prefix / "share/man" / f"man{page.suffix[1:]}" / page.name
        test.check(there.exists() and mode(there) == 0o644, f"{page.name} is in man{page.suffix[1:]}, mode 644")
    for name, wanted in (("", 0o755), ("control", 0o755), ("run", 0o755), ("queue", 0o700)):
        test.equal(mode(home / name), wanted, f"the relay's directory: {name or '.'} has mode {wanted:o}")
    owner = (TOP / "conf-users").read_text().split()[1]
    test.equal((home / "queue").owner(), owner, f"queue/ is {owner}'s")


def check_destdir(test):
    dest = test.path("dest")
    run_program("make", "-C", TOP, f"O={BUILD}", "install", f"DESTDIR={dest}")
    prefix = dest / (TOP / "conf-prefix").read_text().split()[0].lstrip("/")
    home = dest / (TOP / "conf-relay").read_text().split()[0].lstrip("/")
    check_tree(test, prefix, home)
    (home / "control/me").write_text("kept.test\n")
    run_program("make", "-C", TOP, f"O={BUILD}", "install", f"DESTDIR={dest}")
    test.equal((home / "control/me").read_text(), "kept.test\n", "a second install leaves control/ alone")
    return prefix, home


def check_run_script(test, prefix, home):
    services = test.path("made")
    conf = run_program(prefix / "bin/relay-conf", "-d", home, "-s", services, "-b", prefix / "bin", "127.0.0.1", "1")
    test.equal(conf.stderr, "", "relay-conf makes the service directories")
    for name in [f"{s}/{run}" for s in ("smtpd", "send", "keyd", "authd") for run in ("run", "log/run")]:
        test.equal(mode(services / name), 0o755, f"{name} has mode 755")
        run_program("sh", "-n", services / name)
    test.check((services / "smtpd/rules.cdb").exists(), "and rules.cdb")
    again = run_program(prefix / "bin/relay-conf", "-d", home, "-s", services, "-b", prefix / "bin", check=False)
    test.equal(again.returncode, 100, "a second time it changes nothing: status 100")
    for value in ("many", "", "0", "-1", "12 x", "1000001", "99999999", "5\r"):
        (home / "control/concurrencyincoming").write_text(value)
        done = run_program("./run", check=False, cwd=services / "smtpd")
        test.check(done.returncode == 100 and "smtpd/run: fatal: control/concurrencyincoming:1: not a number" in done.stdout,
                   f"control/concurrencyincoming {value!r}: named, status 100", (done.returncode, done.stdout, done.stderr))


class Installed:
    """The copy's relay, under svscan in a session of its own."""

    def __init__(self, services):
        self.services = services
        self.svscan = subprocess.Popen(["svscan", str(services)], start_new_session=True, stdin=subprocess.DEVNULL)

    def alive(self):
        pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
        stats = [process_stat(p) for p in pids if p != self.svscan.pid]
        return [s for s in stats if s and s[2] == self.svscan.pid and s[3] != "Z"]

    def stop(self):
        self.svscan.send_signal(signal.SIGTERM)
        self.svscan.wait()
        for name in ("smtpd", "send", "keyd", "authd"):
            run_program("svc", "-dx", self.services / name, self.services / name / "log", check=False)
        wait_for(lambda: not self.alive(), "all of it has ended", 30)


def check_real(test):
    tree, prefix, home = test.path("tree") / "relay", test.path("prefix"), test.path("home")
    shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git"), symlinks=True)
    test.stack.callback(shutil.rmtree, tree, True)
    (tree / "conf-prefix").write_text(f"{prefix}\n")
    (tree / "conf-relay").write_text(f"{home}\n")
    run_program("make", "-j2", "-C", tree, "install")
    check_tree(test, prefix, home)
    mx = BadMX({}, host=test.address(9))
    (home / "control/smtproutes").write_text(f":[{mx.host}]:{mx.port}\n")
    (home / "control/me").write_text("installed.test\n")
    services, port = test.path("services"), test.port()
    run_program(prefix / "bin/relay-conf", "-s", services, "127.0.0.1", port)
    test.ends(Installed(services))
    wait_for(lambda: greets(port), "the installed relay greets")
    run_program("swaks", "--server", f"127.0.0.1:{port}", "--from", "a@b.test", "--to", "smtp@c.test")
    run_program(prefix / "bin/sendmail", "-f", "a@b.test", "local@c.test", input="Subject: local\n\nx\n")
    wait_for(lambda: len(mx.messages) == 2, "what came by SMTP and by sendmail is delivered")
    test.check(any(b"Subject: local" in m for m in mx.messages), "sendmail's message")
    done = run_program(prefix / "bin/relay-ctl", "stat", cwd="/")
    test.check("delivered" in done.stdout, "relay-ctl finds it without -d", done.stdout)
    log = (services / "send/log/main/current").read_text()
    test.check("queued id=" in log, "the log is in log/main")
    test.check("fatal" not in log, "nothing fatal in it", log)
    check_recipes(test, tree, prefix, home, services, port)


def greets(port):
    return run_program(TOP / "tests/lib/banner", "127.0.0.1", port, check=False).returncode == 0


def recipes():
    """The blocks of commands of README's "Recipes"."""
    text = (TOP / "README").read_text().split("\nRecipes\n", 1)[1].split("\nRead on\n", 1)[0]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.M)
    return [textwrap.dedent(b) for b in blocks if b.strip()]


def check_recipes(test, tree, prefix, home, services, port):
    """As written, but for the directories, the id, and tests/run."""
    found = recipes()
    test.check(len(found) >= 6, "README has recipes", len(found))
    (home / "control/smtproutes").open("a").write("example.com:127.0.0.1:1\n")
    log = services / "send/log/main/current"
    run_program("svc", "-h", services / "send")
    wait_for(lambda: "settings read=1" in log.read_text(), "the route is taken")
    run_program("swaks", "--server", f"127.0.0.1:{port}", "--from", "a@b.test", "--to", "waits@example.com")
    rows = wait_for(lambda: json.loads(run_program(prefix / "bin/relay-ctl", "--json", "list", cwd="/").stdout), "it waits")
    # The recipe's own route for that domain: one line each.
    (home / "control/smtproutes").write_text("\n".join(
        line for line in (home / "control/smtproutes").read_text().split("\n") if "example.com" not in line))
    logs = f"{services}/smtpd/log/main {services}/send/log/main"
    for text in found:
        for old, new in (("/etc/relay/smtpd/log/main/current", logs.split()[0] + "/current"),
                         ("ln -s /etc/relay/logdb /etc/service/", ":"), ("/etc/service", services), ("/etc/relay", services), ("/var/relay", home),
                         # What runs on, asks the DNS, or has its defaults in /etc.
                         ("relay-trace 0123456789ABCDEF", f"relay-trace {rows[0]['id']} {logs}"),
                         ("relay-rate --top 5", f"relay-rate --once --top 5 {logs}"), ("tail -F", "tail -n 5"),
                         ("relay-logdb-conf -k 180", f"relay-logdb-conf -d {home} -s {services} -b {prefix}/bin -k 180"),
                         ("sqlite3 ", ": "), ("--check bank.example", "--check bank.example || :"),
                         ("0123456789ABCDEF", rows[0]["id"]), ("grep ID", "grep " + rows[0]["id"]),
                         ("git pull && make && make install", f"make -C {tree} install")):
            text = text.replace(old, str(new))
        done = run_program("sh", "-ec", text, check=False, cwd="/",
                           env={**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}"})
        test.check(done.returncode == 0 and "fatal" not in done.stdout + done.stderr, text.strip().split("\n")[0],
                   (done.returncode, done.stdout[-500:], done.stderr))
        print(textwrap.indent(done.stdout[-2000:], "       "))
    wait_for(lambda: greets(port), "after the upgrade it greets again")
    done = run_program("swaks", "--server", f"127.0.0.1:{port}", "--tls", "--quit-after", "EHLO", check=False)
    test.check(done.returncode == 0 and "250-AUTH PLAIN LOGIN" in done.stdout, "and speaks TLS, and offers AUTH",
               done.stdout + done.stderr)
    test.check(log.read_text().count("settings read=1") >= 2 and "old settings stay" not in log.read_text(),
               "routes and sources were taken", log.read_text())


def main(test):
    check_run_script(test, *check_destdir(test))
    check_real(test)


run(main, root=True, tools=["swaks", "svscan", "tcprules"])
