"""What the system tests share: the frame of a test, checks, waiting, a relay in a sandbox.

A test is a function of one Test, given to run(). Everything that it starts through Test is
ended with it. By hand: BUILD=build tests/system/NAME.py
"""
import contextlib
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = (TOP / os.environ.get("BUILD", "build")).resolve()
SKIPPED = 77
# Sanitized programs are slower, and other tests run beside this one.
PATIENCE = 3 if "asan" in BUILD.name else 1


class Failed(Exception):
    """A check without which the rest of the test means nothing."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


def wait_for(condition, what, seconds=20.0):
    """Polls until condition() is true, and returns that; Failed after the deadline."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"within {seconds * PATIENCE:.0f} s: {what}")
        time.sleep(0.05)


def run_program(*words, check=True, **options):
    """The finished process, its output as text; Failed with that output if check and it failed."""
    done = subprocess.run([str(w) for w in words], text=True, errors="replace",
                          capture_output=True, check=False, **options)
    if check and done.returncode:
        raise Failed(f"{' '.join(map(str, words))}: status {done.returncode}: {done.stdout}{done.stderr}")
    return done


def process_stat(pid):
    """(command, parent, session, state, start time in ticks) or None."""
    try:
        head, tail = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)
    except OSError:
        return None
    words = tail.split()
    return head.split("(", 1)[1], int(words[1]), int(words[3]), words[0], int(words[19])


def memory(pid):
    """Everything that the process could write to, as bytes; needs root."""
    found = []
    with open(f"/proc/{pid}/mem", "rb") as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if mode.startswith("rw"):
                mem.seek(int(start, 16))
                found.append(mem.read(int(end, 16) - int(start, 16)))
    return b"".join(found)


class Test:
    """What a running test has: its directory, ports and addresses, checks, things to end."""

    def __init__(self, stack):
        self.stack, self.failures, self.checks = stack, 0, 0
        slot = os.getpid() % 100
        self.port_next = int(os.environ.get("TEST_PORT", 23000 + 80 * slot))
        self.net = os.environ.get("TEST_NET", f"127.0.{110 + slot}")
        self.directory = self._directory()
        self.relays = []

    def _directory(self):
        if "TEST_DIR" in os.environ:
            return Path(os.environ["TEST_DIR"])
        path = Path(tempfile.mkdtemp(prefix="relay-test.", dir="/var/tmp"))
        path.chmod(0o755)
        self.stack.callback(self._remove, path)
        return path

    def _remove(self, path):
        if self.failures:
            print(f"kept: {path}")
        else:
            shutil.rmtree(path, ignore_errors=True)

    def port(self):
        """The next port that is this test's own."""
        self.port_next += 1
        return self.port_next - 1

    def address(self, host):
        return f"{self.net}.{host}"

    def path(self, name):
        path = self.directory / name
        path.mkdir(mode=0o755, exist_ok=True)
        return path

    def check(self, good, what, detail=""):
        """Says what was checked; a failed check does not end the test."""
        self.checks += 1
        if not good:
            self.failures += 1
        print(f"{'ok    ' if good else 'FAILED'} {what}" + (f": {detail}" if detail and not good else ""),
              flush=True)
        return bool(good)

    def equal(self, got, wanted, what):
        return self.check(got == wanted, what, f"got {got!r:.2000}, wanted {wanted!r:.2000}")

    def ends(self, thing):
        """thing.stop() will be called at the end of the test."""
        self.stack.callback(thing.stop)
        return thing

    def relay(self, **options):
        relay = Relay(self, **options)
        self.relays.append(relay)
        self.stack.callback(relay.down)
        relay.up()
        return relay


def fail(test, text):
    test.failures += 1
    print(f"FAILED {text}", flush=True)
    for relay in test.relays:
        relay.show_logs()


def end_on_signal(*_):
    sys.exit(1)


def run(function, root=False, tools=()):
    """Runs function(test); exits 0 when every check was good, 77 when it cannot run here."""
    signal.signal(signal.SIGTERM, end_on_signal)
    with contextlib.ExitStack() as stack:
        test = Test(stack)
        try:
            if root and os.geteuid() != 0:
                raise Skip("needs root")
            for tool in tools:
                if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                    raise Skip(f"needs {tool} (tests/setup tests)")
            function(test)
            for relay in test.relays:
                relay.check_deaths()
        except Skip as reason:
            print(f"skipped: {reason}")
            stack.close()
            sys.exit(SKIPPED)
        except Failed as reason:
            fail(test, str(reason))
        except Exception:  # whatever it is, the logs belong to it
            fail(test, traceback.format_exc())
        else:
            if test.failures:
                test.failures -= 1  # it counts that line as one
                fail(test, f"{test.failures + 1} of {test.checks} checks")
    print(f"{test.checks} checks, {test.failures} failures")
    sys.exit(1 if test.failures else 0)


def ordinary_end(status):
    """Of a wait status or a signal: not a fault, seccomp's SIGSYS, or a sanitizer's 99."""
    return status & 127 in (0, signal.SIGKILL, signal.SIGTERM) and status >> 8 != 99


class Relay:
    """A relay in a sandbox (tests/sandbox)."""

    def __init__(self, test, name="relay", control=None, rules=None, routes=None, user=None, listen=None,
                 netns=None, path=None):
        """listen: (address, port); netns: the network namespace that it runs in; path: before PATH."""
        self.test, self.user, self.netns, self.path = test, user, netns, path
        self.directory = test.path(name)
        self.host, self.port = listen or ("127.0.0.1", test.port())
        (self.directory / "control").mkdir(exist_ok=True)
        (self.directory / "listen").write_text(f"{self.host} {self.port}\n")
        # Tests are not to wait for a sibling's connection to be closed.
        for key, value in {"me": "relay.test", "queuefree": 1, "queuefreeinodes": 1, **(control or {})}.items():
            self.control(key, value)
        if routes is not None:
            self.control("smtproutes", routes)
        if rules is not None:
            (self.directory / "rules").write_text(rules)
        if user:
            run_program("chown", "-R", user, self.directory)

    def control(self, name, value):
        """Writes control/NAME; a list is one line each, None removes the file."""
        path = self.directory / "control" / name
        if value is None:
            path.unlink(missing_ok=True)
            return
        if isinstance(value, (list, tuple)):
            value = "\n".join(map(str, value))
        path.write_text(f"{value}\n")

    def sandbox(self, verb):
        command = [TOP / "tests/sandbox", verb, self.directory]
        if self.user:
            command = ["setpriv", "--reuid", self.user, "--clear-groups", *command]
        if self.netns:
            command = ["ip", "netns", "exec", self.netns, *command]
        path = f"{self.path}:{os.environ['PATH']}" if self.path else os.environ["PATH"]
        return run_program(*command, env={**os.environ, "BUILD": str(BUILD), "PATH": path})

    def up(self):
        self.sandbox("up")

    def down(self):
        if (self.directory / "session").exists():
            self.sandbox("down")

    def svc(self, options, service="send"):
        run_program("svc", options, self.directory / "service" / service)

    def command(self, *words):
        return [str(BUILD / "bin" / "relay-ctl"), "-d", str(self.directory), *map(str, words)]

    def ctl(self, *words, check=True):
        """relay-ctl for people: the finished process."""
        return run_program(*self.command(*words), check=check)

    def ctl_json(self, *words):
        """relay-ctl --json: its rows."""
        return json.loads(self.ctl("--json", *words).stdout)

    def stat(self):
        """The row about the relay as a whole."""
        return next(row for row in rows(self.ctl_json("stat")) if "messages" in row)

    def listed(self, *words):
        return [row for row in rows(self.ctl_json("list", *words)) if "recipient" in row]

    def why(self, ident):
        """What holds each recipient of that message; nothing when it has ended."""
        done = self.ctl("--json", "why", ident, check=False)
        if done.returncode == 0:
            return [row for row in rows(json.loads(done.stdout)) if "reason" in row]
        if done.returncode != 1:
            raise Failed(f"relay-ctl why {ident}: status {done.returncode}: {done.stderr}")
        return []

    def wait_tried(self, ident):
        """Until each recipient of that message waits for a next try (its own, its site's or its domain's);
        its why rows."""
        def tried():
            found = self.why(ident)
            return found and all(row["state"] == "waiting" for row in found) and found
        return wait_for(tried, f"{ident} has been tried in vain")

    def wait_empty(self, seconds=20):
        """Until nothing is queued."""
        def empty():
            with contextlib.suppress(Failed, ValueError, StopIteration):
                return self.stat()["messages"] == 0
            return False
        wait_for(empty, "the queue is empty", seconds)

    def wait_drained(self, stalled=60, most=400):
        """Until nothing is queued, however slow the machine: as long as there are fewer from time to time."""
        least, moved, began = None, time.monotonic(), time.monotonic()
        while time.monotonic() < moved + stalled * PATIENCE and time.monotonic() < began + most:
            with contextlib.suppress(Failed, ValueError, StopIteration):
                queued = self.stat()["messages"]
                if queued == 0:
                    return
                if least is None or queued < least:
                    least, moved = queued, time.monotonic()
            time.sleep(0.2)
        raise Failed(f"{least} messages stay in the queue, no fewer for {stalled * PATIENCE} s")

    def wait_ready(self, seconds=20):
        """Until the relay greets and relay-send answers, as after a restart."""
        def ready():
            greeting = run_program(TOP / "tests/lib/banner", self.host, self.port, check=False)
            return greeting.returncode == 0 and self.ctl("stat", check=False).returncode == 0
        wait_for(ready, "the relay is ready", seconds)

    def session(self):
        return int((self.directory / "session").read_text().split()[0])

    def pids(self, name):
        """The relay's processes of that name, oldest first."""
        session, found = self.session(), []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                stat = process_stat(entry)
                if stat and stat[0] == name[:15] and stat[2] == session and stat[3] != "Z":
                    found.append((stat[4], stat[1], int(entry)))
        # Numbers wrap; of two that were started in the same tick a parent is the older one.
        found.sort(key=lambda p: (p[0], p[1] in [q[2] for q in found], p[2]))
        return [pid for _, _, pid in found]

    def log(self, service="send"):
        """The whole log of that service, rotated files too, times readable."""
        files = sorted((self.directory / "log" / service).glob("@*.s"))
        files.append(self.directory / "log" / service / "current")
        data = b"".join(f.read_bytes() for f in files if f.exists())
        return subprocess.run(["tai64nlocal"], input=data, capture_output=True,
                              check=True).stdout.decode(errors="replace")

    def check_deaths(self):
        """No program of it has ended by a sanitizer, or by a signal that no test sends."""
        logs = self.log("smtpd") + self.log("send")
        found = re.findall(r".*(?:AddressSanitizer|runtime error:).*", logs)
        found += [line for line in re.findall(r".*(?:was killed by signal|tcpserver: end \d+ status) \d+", logs)
                  if not ordinary_end(int(line.split()[-1]))]
        if found:
            self.test.check(False, "no program died", "\n".join(found[:20]))

    def show_logs(self, lines=25):
        for service in ("smtpd", "send"):
            if (self.directory / "log" / service / "current").exists():
                print(f"--- {self.directory.name} log/{service}")
                print("\n".join(line[:400] for line in self.log(service).splitlines()[-lines:]))
        sys.stdout.flush()

    def queue_list(self):
        return run_program(BUILD / "bin/relay-queue", "-l", self.directory / "queue").stdout

    def send(self, sender, rcpts, content, **options):
        """One message in one session; returns its id, which is in the 250."""
        with Client(self) as client:
            return client.message(sender, rcpts, content, **options)


def rows(value):
    """Every object of relay-ctl's JSON, however it is nested."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)):
                yield from rows(item)


class Client(smtplib.SMTP):
    """An SMTP session with a relay; replies that are not wanted are Failed."""

    def __init__(self, relay, source="127.0.0.1", timeout=60):
        super().__init__(relay.host, relay.port, local_hostname="client.test", timeout=timeout,
                         source_address=(source, 0))
        self.command_encoding = "utf-8"
        self.wanted(self.ehlo(), 250)

    @staticmethod
    def wanted(reply, code):
        if reply[0] != code:
            raise Failed(f"wanted {code}, got {reply}")
        return reply[1].decode(errors="replace")

    def message(self, sender, rcpts, content, mail=(), rcpt=()):
        """One transaction; mail and rcpt are ESMTP parameters. Returns the id."""
        self.wanted(self.docmd("MAIL", f"FROM:<{sender}> {' '.join(mail)}".strip()), 250)
        for address in [rcpts] if isinstance(rcpts, str) else rcpts:
            self.wanted(self.docmd("RCPT", f"TO:<{address}> {' '.join(rcpt)}".strip()), 250)
        text = self.wanted(self.data(content), 250)
        return text.split()[1]
