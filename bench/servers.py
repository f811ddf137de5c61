"""The servers of the experiments: a relay, a Postfix, and what they send to, all on loopback.

Each is a context manager: made by its constructor, gone at the end of its with block.
"""
import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from common import BUILD, TOP

ADDRESS = "127.0.0.1"
SINK_READY = 5  # seconds that smtp-sink may take to listen


class Server:
    port = None

    @property
    def address(self):
        return f"{ADDRESS}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port():
    return int(subprocess.run([TOP / "tests/lib/freeport", ADDRESS], check=True,
                              capture_output=True, text=True).stdout)


class ClosedPort(Server):
    """A port that refuses connections, and that nobody else can take meanwhile."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((ADDRESS, 0))
        self.port = self.socket.getsockname()[1]

    def stop(self):
        self.socket.close()


class Sink(Server):
    """smtp-sink as the MX. Its own counter (-c) tells what it has taken."""

    def __init__(self, port=None, *options):
        self.port = port or free_port()
        self.messages, self.sessions = 0, 0
        self.samples = []  # (monotonic seconds, messages), about ten a second
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            ["smtp-sink", "-u", "nobody", "-c", *options, f"{ADDRESS}:{self.port}", "1000"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self._count, daemon=True).start()
        self._wait_until_listening()

    def _wait_until_listening(self):
        # Looks into /proc: a connection would count as a session.
        wanted = re.compile(rf"^ *\d+: 0100007F:{self.port:04X} 00000000:0000 0A ", re.M)
        end = time.monotonic() + SINK_READY
        while not wanted.search(Path("/proc/net/tcp").read_text()):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise SystemExit(f"smtp-sink does not listen: {self.process.stderr.read().decode()}")
            time.sleep(0.02)

    def _count(self):
        held = b""
        while data := os.read(self.process.stdout.fileno(), 65536):
            held = (held + data)[-200:]
            found = re.findall(rb"sess=(\d+) quit=\d+ mesg=(\d+)\r", held)
            if not found:
                continue
            with self.changed:
                self.sessions, self.messages = map(int, found[-1])
                now = time.monotonic()
                if not self.samples or now - self.samples[-1][0] >= 0.1:
                    self.samples.append((now, self.messages))
                self.changed.notify_all()
            time.sleep(0.005)  # some hundred messages' counts in one read

    def wait_for(self, count, seconds):
        """Waits until that many messages are there; returns how many are."""
        with self.changed:
            self.changed.wait_for(lambda: self.messages >= count, seconds)
            return self.messages

    def stop(self):
        self.process.kill()
        self.process.wait()


class Relay(Server):
    """A relay in a sandbox, its log in another directory.

    It sends everything to one port, unless control has smtproutes of its own.
    """
    name = "relay"

    def __init__(self, directory, logs, sink_port, control=None, rules=None):
        self.directory, self.port = directory, free_port()
        (directory / "control").mkdir(parents=True)
        (directory / "listen").write_text(f"{ADDRESS} {self.port}\n")
        (directory / "control/smtproutes").write_text(f":{ADDRESS}:{sink_port}\n")
        for name, value in (control or {}).items():
            (directory / "control" / name).write_text(f"{value}\n")
        if rules:
            (directory / "rules").write_text(f"{rules}\n")
        self.log = logs / "send/current"
        (directory / "log").symlink_to(logs)
        self._sandbox("up")

    def _sandbox(self, command):
        subprocess.run([TOP / "tests/sandbox", command, self.directory], check=True,
                       env={**os.environ, "BUILD": str(BUILD)})

    def svc(self, option):
        """A signal to relay-send, by its supervise."""
        subprocess.run(["svc", option, self.directory / "service/send"], check=True)

    def flush(self):
        self.svc("-a")  # SIGALRM: everything now

    def processes(self):
        """{name: [pid, ...]} of the whole relay, without supervise."""
        session = int((self.directory / "session").read_text().split()[0])
        return processes(lambda s: s.session == session and
                         (s.name.startswith("relay-") or s.name in ("tcpserver", "multilog")))

    def stop(self):
        self._sandbox("down")


class Postfix(Server):
    """Debian's Postfix that sends everything to one port."""
    name = "postfix"

    def __init__(self, directory, logs, sink_port, settings=()):
        self.directory, self.port = directory, free_port()
        directory.mkdir(parents=True)
        self._instance("up", directory, ADDRESS, self.port, f"relayhost=[{ADDRESS}]:{sink_port}",
                       f"maillog_file={logs}/maillog", *settings)
        self.master = int((directory / "queue/pid/master.pid").read_text())
        for _ in range(50):
            if subprocess.run([TOP / "tests/lib/banner", ADDRESS, str(self.port)]).returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise SystemExit("Postfix does not accept connections")

    @staticmethod
    def _instance(*words):
        subprocess.run([TOP / "tests/lib/postfix-instance", *map(str, words)], check=True)

    def flush(self):
        # It warns of maillog_file, which main.cf has twice: the later one counts.
        subprocess.run(["postqueue", "-c", self.directory / "config", "-f"], check=True,
                       stderr=subprocess.DEVNULL)

    def deferred(self):
        return sum(len(files) for _, _, files in os.walk(self.directory / "queue/deferred"))

    def processes(self):
        return processes(lambda s: s.parent == self.master)

    def stop(self):
        self._instance("down", self.directory)


class Status:
    """The head of /proc/PID/stat."""

    def __init__(self, text):
        # pid (name) state parent group session ...; a name may hold blanks and parentheses.
        head, tail = text.rsplit(")", 1)
        self.pid, self.name = int(head.split()[0]), head.split("(", 1)[1]
        fields = tail.split()
        self.parent, self.session = int(fields[1]), int(fields[3])
        self.start_ticks = int(fields[19])  # since boot


def processes(wanted):
    """{name: [pid, ...]} of the processes that wanted(Status) chooses."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            status = Status(path.read_text())
            if wanted(status):
                found.setdefault(status.name, []).append(status.pid)
    return found
