"""What the experiments share: a relay, a Postfix, a sink, counters, tables and plots.

Everything runs on loopback, in directories under /var/tmp that are removed at the end. Both
relays write their logs to /dev/shm, so that what the disk counters see is the queue.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", TOP / "build"))
RESULTS = TOP / "build" / "bench"


def say(text):
    """Progress, on stderr, so that stdout holds the result alone."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def free_port(address="127.0.0.1"):
    return int(subprocess.run([TOP / "tests/lib/freeport", address], check=True,
                              capture_output=True, text=True).stdout)


@contextlib.contextmanager
def workspace():
    path = Path(tempfile.mkdtemp(prefix="relay-bench.", dir="/var/tmp"))
    logs = Path(tempfile.mkdtemp(prefix="relay-bench.", dir="/dev/shm"))
    path.chmod(0o755)
    logs.chmod(0o755)
    try:
        yield path, logs
    finally:
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(logs, ignore_errors=True)


class Sink:
    """smtp-sink as the MX; counts what it takes by its own -c counter."""

    def __init__(self, port, *options, backlog=1000):
        self.port, self.messages, self.sessions = port, 0, 0
        self.process = subprocess.Popen(
            ["smtp-sink", "-u", "nobody", "-c", *options, f"127.0.0.1:{port}", str(backlog)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._count, daemon=True).start()
        self.changed = threading.Condition()
        time.sleep(0.3)

    def _count(self):
        held = b""
        while data := os.read(self.process.stdout.fileno(), 65536):
            held = (held + data)[-400:]
            found = re.findall(rb"sess= *(\d+) quit= *\d+ mesg= *(\d+)", held)
            if found:
                with self.changed:
                    self.sessions, self.messages = map(int, found[-1])
                    self.changed.notify_all()

    def wait_for(self, count, seconds):
        """Waits until that many messages are there; returns how many are."""
        with self.changed:
            self.changed.wait_for(lambda: self.messages >= count, seconds)
            return self.messages

    def stop(self):
        self.process.kill()
        self.process.wait()


class Relay:
    """A relay in a sandbox that sends everything to one port."""
    name = "relay"

    def __init__(self, directory, logs, port, sink_port, control=None, rules=None):
        self.directory, self.port = directory, port
        (directory / "control").mkdir(parents=True)
        (directory / "listen").write_text(f"127.0.0.1 {port}\n")
        (directory / "control/smtproutes").write_text(f":127.0.0.1:{sink_port}\n")
        for name, value in (control or {}).items():
            (directory / "control" / name).write_text(f"{value}\n")
        if rules:
            (directory / "rules").write_text(rules)
        (directory / "log").symlink_to(logs)
        self.up()

    def up(self):
        subprocess.run([TOP / "tests/sandbox", "up", self.directory], check=True,
                       env={**os.environ, "BUILD": str(BUILD)})

    def stop(self):
        subprocess.run([TOP / "tests/sandbox", "down", self.directory], check=True)

    def ctl(self, *words):
        out = subprocess.run([BUILD / "bin/relay-ctl", "-d", self.directory, "--json", *words],
                             check=True, capture_output=True, text=True).stdout
        return json.loads(out)

    def pids(self, name):
        return pids_in_session(int((self.directory / "session").read_text().split()[0]), name)


class Postfix:
    """Debian's Postfix that sends everything to one port."""
    name = "postfix"

    def __init__(self, directory, logs, port, sink_port, settings=()):
        self.directory, self.port = directory, port
        directory.mkdir(parents=True)
        self._instance("up", directory, "127.0.0.1", str(port), f"relayhost=[127.0.0.1]:{sink_port}",
                       f"maillog_file={logs}/maillog", *settings)
        time.sleep(1)

    @staticmethod
    def _instance(*words):
        subprocess.run([TOP / "tests/lib/postfix-instance", *map(str, words)], check=True)

    def stop(self):
        self._instance("down", self.directory)


def pids_in_session(session, name):
    """The processes of that session whose command is name (first 15 characters)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, tail = stat.read_text().rsplit(")", 1)
            if head.split("(", 1)[1] == name[:15] and int(tail.split()[3]) == session:
                found.append(int(stat.parent.name))
    return found


def disk_bytes(path):
    """Bytes written so far to the device that holds path, its cache flushed first."""
    os.sync()
    device = os.stat(path).st_dev
    stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    return int(stat[6]) * 512


def process_memory(pid):
    """Private and proportional bytes of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key: int(re.search(rf"^{key}: *(\d+)", text, re.M).group(1)) * 1024
            for key in ("Rss", "Pss", "Private_Dirty")}


def smtp_source(port, messages, sessions, size=5120, keep=False, extra=()):
    """One run of Postfix's load generator; returns its seconds."""
    command = ["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(size),
               "-f", "sender@source.example", "-t", "rcpt@sink.example", *extra]
    if keep:
        command.append("-d")
    began = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def table(rows, head):
    """Aligned columns: texts to the left, numbers to the right."""
    cells = [[str(c) if not isinstance(c, float) else f"{c:,.2f}" if c < 100 else f"{c:,.0f}"
              for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * w for w in widths))
    sys.stdout.flush()


def verdict(what, figure, wanted, good):
    """One line that holds a figure against its aim."""
    print(f"{'reached' if good else 'MISSED ':8}{what}: {figure} (aim: {wanted})", flush=True)
    return good


def save(name, data):
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


def plot(name, script):
    """Draws build/bench/NAME.svg with gnuplot; script gets its data inline."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    svg = RESULTS / f"{name}.svg"
    head = f'set terminal svg size 800,420 font "sans,12" background "white"\nset output "{svg}"\n'
    subprocess.run(["gnuplot"], input=head + script, text=True, check=True)
    print(f"picture: {svg}")


def arguments(description, **defaults):
    parser = argparse.ArgumentParser(description=description)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value,
                            help=f"default {value}")
    return parser.parse_args()
