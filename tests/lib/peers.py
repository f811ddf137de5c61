"""The other servers of a system test: receivers, smtp-sink, tinydns, Postfix."""
import asyncio
import os
import pwd
import re
import subprocess
import threading
import time

from relaytest import TOP, Failed, run_program, wait_for


class Loop:
    """One asyncio loop in a thread, for all receivers of the test."""
    running = None

    @classmethod
    def get(cls):
        if cls.running is None:
            cls.running = asyncio.new_event_loop()
            threading.Thread(target=cls.running.run_forever, daemon=True).start()
        return cls.running

    @classmethod
    def call(cls, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, cls.get()).result(30)


class Message:
    """One transaction as a receiver saw it."""

    def __init__(self, session, envelope):
        self.mail_from = "" if envelope.mail_from == "<>" else envelope.mail_from
        self.rcpt_tos = list(envelope.rcpt_tos)
        self.mail_options, self.content = list(envelope.mail_options), envelope.original_content
        self.peer, self.helo, self.at = session.peer, session.host_name, time.monotonic()

    def header_body(self):
        header, _, body = self.content.partition(b"\r\n\r\n")
        return header + b"\r\n", body

    def after_received(self):
        """The content without the Received fields at its head, which are the relays' own."""
        lines, at = self.content.split(b"\r\n"), 0
        while at < len(lines) and (lines[at].startswith(b"Received:")
                                   or at and lines[at][:1] in b" \t" and lines[at]):
            at += 1
        return b"\r\n".join(lines[at:])


class Receiver:
    """aiosmtpd on an address; keeps full copies. What it says to RCPT and the final dot can be set.

    rcpt and dot are None, a reply, or a function (of the address, of the Message) to one of these.
    """

    def __init__(self, address, port, rcpt=None, dot=None, smtputf8=True, keep=True):
        self.address, self.port, self.rcpt, self.dot = address, port, rcpt, dot
        self.smtputf8, self.keep, self.messages, self.sessions = smtputf8, keep, [], 0
        self.server, self.seen_rcpts, self.transports = None, [], set()
        self.start()

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        self.seen_rcpts.append(address)
        reply = self.rcpt(address) if callable(self.rcpt) else self.rcpt
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 taken"

    async def handle_DATA(self, _server, session, envelope):
        message = Message(session, envelope)
        reply = self.dot(message) if callable(self.dot) else self.dot
        if asyncio.iscoroutine(reply):
            reply = await reply
        if self.keep and (not reply or reply.startswith("2")):
            self.messages.append(message)
        return reply or "250 2.0.0 kept"

    def _session(self):
        from aiosmtpd.smtp import SMTP  # here, so that tests without a receiver need no aiosmtpd

        class Session(SMTP):
            line_length_limit = 1 << 20

            def connection_lost(session, error):
                self.transports.discard(session.transport)
                super().connection_lost(error)

            def connection_made(session, transport):
                self.transports.add(transport)
                super().connection_made(transport)

        self.sessions += 1
        return Session(self, hostname="receiver.test", enable_SMTPUTF8=self.smtputf8,
                       loop=Loop.get(), timeout=120)

    def start(self):
        async def listen():
            return await Loop.get().create_server(self._session, self.address, self.port)
        self.server = Loop.call(listen())
        return self

    def stop(self):
        """Listens no more, and ends its sessions."""
        async def close():
            if self.server:
                self.server.close()
            for transport in list(self.transports):
                transport.abort()
        Loop.call(close())
        self.server = None

    def wait(self, count, seconds=20):
        """Until so many messages are here; returns them."""
        wait_for(lambda: len(self.messages) >= count,
                 f"{count} messages at {self.address}:{self.port} ({len(self.messages)} now)", seconds)
        return self.messages


class Sink:
    """smtp-sink, which counts."""

    def __init__(self, address, port, *options):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            ["smtp-sink", *user, "-c", *options, f"{address}:{port}", "1000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.messages = self.sessions = 0
        threading.Thread(target=self._count, daemon=True).start()
        time.sleep(0.3)

    def _count(self):
        held = b""
        while data := os.read(self.process.stdout.fileno(), 65536):
            held = (held + data)[-400:]
            found = re.findall(rb"sess= *(\d+) quit= *\d+ mesg= *(\d+)", held)
            if found:
                self.sessions, self.messages = map(int, found[-1])

    def stop(self):
        self.process.kill()
        self.process.wait()


class Tinydns:
    """tinydns on port 53 of an address, with a zone that can be changed."""

    def __init__(self, directory, address):
        self.directory, self.address, self.lines = directory, address, []
        self.process = None

    def zone(self, domain):
        """SOA and NS: what is not in the zone does not exist."""
        return self.add(f".{domain}:{self.address}:a.ns.{domain}:60")

    def add(self, line):
        self.lines.append(line)
        return self

    def host(self, name, address):
        return self.add(f"+{name}:{address}:60")

    def host6(self, name, sixteen):
        """AAAA, as a generic record of 16 bytes."""
        return self.add(f":{name}:28:" + "".join(f"\\{b:03o}" for b in sixteen) + ":60")

    def mx(self, domain, host, preference, address=""):
        return self.add(f"@{domain}:{address}:{host}:{preference}:60")

    def null_mx(self, domain):
        """RFC 7505: preference 0, the root."""
        return self.add(f"@{domain}::.:0:60")

    def write(self):
        (self.directory / "data").write_text("\n".join(self.lines) + "\n")
        run_program("tinydns-data", cwd=self.directory)
        (self.directory / "data.cdb").chmod(0o644)
        return self

    def start(self):
        nobody = pwd.getpwnam("nobody")
        self.write()
        self.process = subprocess.Popen(
            ["tinydns"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"] + ":/usr/sbin", "ROOT": str(self.directory), "IP": self.address,
                 "UID": str(nobody.pw_uid), "GID": str(nobody.pw_gid)})
        time.sleep(0.2)
        if self.process.poll() is not None:
            raise Failed(f"tinydns does not run on {self.address}")
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Postfix:
    """A real Postfix of its own (tests/lib/postfix-instance)."""

    def __init__(self, directory, address, port, *settings, resolver=None):
        """resolver: a DNS server that it asks instead of the system's, its own /etc/resolv.conf."""
        self.directory, self.host, self.port = directory, address, port
        self._instance("up", directory, address, port, *settings, resolver=resolver)
        wait_for(lambda: run_program(TOP / "tests/lib/banner", address, port, check=False).returncode == 0,
                 f"Postfix greets on {address}:{port}: {self.log()[-2000:]}")

    def _instance(self, *words, resolver=None):
        command = [TOP / "tests/lib/postfix-instance", *map(str, words)]
        if resolver:
            path = self.directory / "resolv.conf"
            path.write_text(f"nameserver {resolver}\n")
            command = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', path, *command]
        # Its daemons keep stdout and stderr, so these must not be pipes that somebody waits for.
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        if done.returncode:
            raise Failed(f"postfix-instance {' '.join(map(str, words))}: status {done.returncode}")

    def log(self):
        path = self.directory / "maillog"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        self._instance("down", self.directory)


class PostfixMX(Postfix):
    """A Postfix with TLS that takes mail for all domains into one maildir."""

    def __init__(self, directory, address, port, name, certificate, *settings):
        """certificate: what is in the files of key and chain."""
        chain = directory / "tls.pem"
        chain.write_text(certificate)
        super().__init__(
            directory, address, port, f"myhostname={name}", f"smtpd_tls_chain_files={chain}",
            "smtpd_tls_security_level=may", "smtpd_tls_loglevel=1", "smtpd_tls_received_header=yes",
            "smtpd_tls_session_cache_database=btree:${data_directory}/smtpd_scache",
            "virtual_mailbox_domains=static:all", f"virtual_mailbox_base={directory}/mail",
            "virtual_mailbox_maps=static:all/", "virtual_uid_maps=static:65534", "virtual_gid_maps=static:65534",
            *settings)

    def delivered(self):
        """What it has delivered, oldest first."""
        return [p.read_text() for p in sorted((self.directory / "mail/all/new").glob("*"))]


def swaks(server, *words):
    """swaks to a relay, a Postfix or a receiver: the finished process."""
    return run_program("swaks", "--server", f"{server.host}:{server.port}", "--helo", "client.test",
                       *words, check=False, stdin=subprocess.DEVNULL)
