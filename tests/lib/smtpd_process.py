"""Runs relay-smtpd on a socketpair, as tcpserver would, in a directory of its own."""
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from intake_stub import Intake


def unprivileged():
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("relayd")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Home:
    """control/, run/ with a stand-in intake, and a copy of the program that its user can reach."""

    def __init__(self, directory):
        self.path = Path(directory)
        for name in ("control", "run"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
            (self.path / name).chmod(0o755)
        self.path.chmod(0o755)
        self.program = self.path / "relay-smtpd"
        shutil.copy(Path(os.environ.get("BUILD", "build")) / "bin/relay-smtpd", self.program)
        self.intake = Intake(directory)

    def control(self, files):
        shutil.rmtree(self.path / "control")
        (self.path / "control").mkdir()
        (self.path / "control").chmod(0o755)
        for name, text in {"me": "relay.test\n", **files}.items():
            (self.path / "control" / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def environment(self, env):
        base = {"PATH": os.environ["PATH"], "TCPREMOTEIP": "192.0.2.7", "TCPREMOTEPORT": "40000",
                "RELAYCLIENT": ""}
        base.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        base.update(env)
        return {k: v for k, v in base.items() if v is not None}


class Session:
    """One process; sock is the client's end, log() its fd 2."""

    def __init__(self, home, env=None, pipes=False):
        self.log_path = home.path / "stderr"
        with open(self.log_path, "wb") as log:
            if pipes:
                self.start_on_pipes(home, env, log)
            else:
                self.sock, theirs = socket.socketpair()
                self.process = subprocess.Popen([home.program], stdin=theirs, stdout=theirs, stderr=log,
                                                cwd=home.path, env=home.environment(env or {}),
                                                **unprivileged())
                theirs.close()
                self.sock.settimeout(20)
        self.buffer = b""

    def start_on_pipes(self, home, env, log):
        self.process = subprocess.Popen([home.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=log, cwd=home.path, env=home.environment(env or {}),
                                        **unprivileged())

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def line(self):
        """The next line with its CRLF; b"" at the end."""
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                rest, self.buffer = self.buffer, b""
                return rest
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def reply(self):
        """The code and the lines of the next reply."""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if len(line) < 4 or line[3:4] != b"-":
                return line[:3].decode(), lines

    def close(self):
        self.sock.close()
        return self.process.wait(timeout=30)

    def log(self):
        return self.log_path.read_text(errors="surrogateescape").splitlines()
