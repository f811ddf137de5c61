"""For the tests and experiments of relay-log: a Dovecot of one's own, and servers under recordio."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from certificates import self_signed

LIB = Path(__file__).resolve().parent
DOVECOT = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = pop3
auth_mechanisms = plain login cram-md5 apop
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/cert.key
mail_location = maildir:{dir}/mail
first_valid_uid = 1
default_vsz_limit = 256M
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {dir}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={dir}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = {address}
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service auth {{
  unix_listener {dir}/auth {{
    mode = 0666
  }}
}}
"""


def wait_listening(address, port, seconds=15):
    end = time.monotonic() + seconds
    while subprocess.run([LIB / "banner", address, str(port)], stdout=subprocess.DEVNULL).returncode:
        if time.monotonic() > end:
            raise RuntimeError(f"nothing answers on {address} {port}")
        time.sleep(0.05)


class Dovecot:
    """Debian's Dovecot as a POP3 server, and for Postfix's AUTH (directory/auth). Needs root."""

    def __init__(self, directory, address, port, users, messages):
        self.directory = directory
        for name in ("mail/new", "mail/cur", "mail/tmp"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "users").write_text("".join(f"{name}:{{PLAIN}}{word}\n" for name, word in users.items()))
        for number, message in enumerate(messages):
            (directory / "mail/new" / f"{1000000000 + number}.{number}.test").write_bytes(message)
        subprocess.run(["chown", "-R", "nobody:nogroup", directory / "mail"], check=True)
        self_signed(directory, "cert", "pop3.test")
        self.port = port
        self.config = directory / "dovecot.conf"
        self.config.write_text(DOVECOT.format(dir=directory, address=address, port=port))
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.config])
        wait_pop3(address, port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def wait_pop3(address, port, seconds=15):
    import socket
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((address, port), 5) as peer:
                if peer.recv(3) == b"+OK":
                    peer.sendall(b"QUIT\r\n")
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise RuntimeError(f"no POP3 server on {address} {port}")
        time.sleep(0.05)


class Recorded:
    """tcpserver -v ADDRESS PORT recordio PROGRAM, what it logs in a file."""

    def __init__(self, log, address, port, *program, options=(), env=None, quiet=False):
        self.log = Path(log)
        with open(self.log, "ab") as file:
            self.process = subprocess.Popen(
                ["tcpserver", "-Q" if quiet else "-v", "-RHl0", "-b", "50", *options, address, str(port), "recordio",
                 *map(str, program)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
                env={**os.environ, **(env or {})})
        self.address, self.port = address, port
        end = time.monotonic() + 10
        wanted = b"tcpserver: status: 0/"
        while not quiet and wanted not in self.log.read_bytes():
            if time.monotonic() > end:
                raise RuntimeError(f"tcpserver does not start: {self.log.read_bytes()}")
            time.sleep(0.02)

    def idle(self, seconds=20):
        """Waits until every session's last line is there; returns the log."""
        end = time.monotonic() + seconds
        while True:
            data = self.log.read_bytes()
            begun = set(re.findall(rb"^tcpserver: pid (\d+)", data, re.M))
            ended = set(re.findall(rb"^tcpserver: end (\d+)", data, re.M))
            closed = set(re.findall(rb"^(\d+) > \[EOF\]$", data, re.M))
            if begun and begun <= ended and begun <= closed:
                return data
            if time.monotonic() > end:
                raise RuntimeError(f"sessions do not end: {begun - ended} {begun - closed}")
            time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


def recut(log, size):
    """The same log as if recordio's reads had been of that size at most."""
    out = []
    for line in log.splitlines(keepends=True):
        found = re.fullmatch(rb"(\d+ [<>] )(.*)([ +])\n", line, re.S)
        if not found:
            out.append(line)
            continue
        head, text, mark = found.groups()
        pieces = [text[i:i + size] for i in range(0, len(text), size)] or [b""]
        out += [head + piece + b"+\n" for piece in pieces[:-1]]
        out.append(head + pieces[-1] + mark + b"\n")
    return b"".join(out)
