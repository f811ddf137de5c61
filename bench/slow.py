"""bench/tarpit and bench/load: an MX that is slow, or many, and tenants on a schedule.

Both write down CLOCK_MONOTONIC microseconds and the message's token, so that what a client began
and what an MX accepted can be put together.
"""
import re
import subprocess
import time

from common import BUILD
from servers import Server

READY = 5  # seconds that a tarpit may take to listen
COUNTS = re.compile(r"(\S+) (\S+) connections=(\d+) peak=(\d+) refused=(\d+) messages=(\d+) limited=(\d+) tls=")


def tool(name):
    path = BUILD / "tools" / name
    if not path.exists():
        raise SystemExit(f"{path} is not there: make tools")
    return path


class Tarpit(Server):
    """A tarpit at these addresses ("127.66.1.1:2525"); poll() reads what it has accepted."""

    def __init__(self, logs, addresses, *options):
        path = logs / "tarpit"
        self.accepted = {}  # {token: (seconds, listener)}
        self.taken = 0      # messages
        self.connections, self.open = 0, 0
        self.full, self.resumed, self.version = 0, 0, None  # handshakes; the last one's
        self.refused = []   # seconds
        self.counts = {}    # {listener: {...}}, after the end
        self.process = subprocess.Popen([tool("tarpit"), *map(str, options), "-l", path, *addresses],
                                        stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + READY
        while not (path.exists() and path.stat().st_size):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise SystemExit(f"the tarpit does not listen on {addresses[0]} ...")
            time.sleep(0.02)
        self.log, self.rest = path.open(), ""

    def poll(self):
        """Reads on in its log; returns how many messages it has accepted."""
        lines = (self.rest + self.log.read()).split("\n")
        self.rest = lines.pop()
        for line in lines:
            when, what, listener, _, *more = line.split()
            if what == "message":
                self.taken += 1
                self.accepted.setdefault(more[0], (int(when) / 1e6, listener))
            elif what == "accept":
                self.connections += 1
                self.open += 1
            elif what == "close":
                self.open -= 1
            elif what == "tls":
                self.version = more[0]
                self.full += more[1] == "full"
                self.resumed += more[1] == "resumed"
            elif what == "refuse":
                self.refused.append(int(when) / 1e6)
        return len(self.accepted)

    def wait_for(self, done, until, stalled=None):
        """Polls until done(), the time until, or stalled seconds without a message."""
        count, moved = self.poll(), time.monotonic()
        while not done() and time.monotonic() < until:
            time.sleep(0.1)
            if self.process.poll() is not None:  # ctrl-C is for it, too
                raise SystemExit(f"the tarpit has ended: status {self.process.returncode}")
            before, count = count, self.poll()
            if count != before:
                moved = time.monotonic()
            elif stalled and time.monotonic() - moved > stalled:
                break

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        text, _ = self.process.communicate(timeout=30)
        for listener, client, *numbers in COUNTS.findall(text):
            if client == "*":
                names = ("connections", "peak", "refused", "messages", "limited")
                self.counts[listener] = dict(zip(names, map(int, numbers)))
        self.poll()


def tenant(name, address, to, **more):
    """A TENANT word for load."""
    return ",".join(f"{key}={value}" for key, value in
                    {"name": name, "from": address, "to": to, **more}.items())


class Attempt:
    """A line of load's log: times in seconds, 0 what was not reached."""

    def __init__(self, line):
        words = line.rstrip("\n").split(" ", 7)
        self.token = words[0]
        self.due, self.start, self.connected, self.dot, self.replied = (int(w) / 1e6 for w in words[1:6])
        self.code, self.text = int(words[6]), words[7]


class Load(Server):
    """load in the background; attempts() when it has ended."""

    def __init__(self, logs, server, size, tenants):
        self.path = logs / "load"
        self.began = time.monotonic()
        self.process = subprocess.Popen([tool("load"), "-s", str(size), "-l", self.path, server, *tenants])

    def wait(self, seconds):
        self.process.wait(seconds)
        if self.process.returncode:
            raise SystemExit(f"load failed: status {self.process.returncode}")

    def attempts(self):
        """The last attempt of each message, {token: Attempt}."""
        with self.path.open(errors="replace") as lines:
            return {attempt.token: attempt for attempt in map(Attempt, lines)}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


def percentile(values, share):
    """Nearest rank: a value that that share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]
