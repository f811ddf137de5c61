"""A stand-in for relay-queue's intake socket (lib/intake.h): checks what comes, keeps it."""
import array
import fcntl
import os
import socket
import threading

F_GET_SEALS = 1034
SEALS = 0xF  # SEAL, SHRINK, GROW, WRITE
NAMES = ("version id sender tenant source client helo auth flags ret envid priority through"
         " arrival destination nrcpts").split()


def netstrings(data):
    out, at = [], 0
    while at < len(data):
        colon = data.index(b":", at)
        n = int(data[at:colon])
        assert data[colon + 1 + n : colon + 2 + n] == b",", "bad netstring"
        out.append(data[colon + 1 : colon + 1 + n])
        at = colon + 2 + n
    return out


def pack(*fields):
    out = b""
    for f in fields:
        f = f if isinstance(f, bytes) else str(f).encode()
        out += b"%d:%s," % (len(f), f)
    return out


def parse_message(data, envelope_len, content_len):
    assert len(data) == envelope_len + content_len, "size"
    fields = [f.decode() for f in netstrings(data[:envelope_len])]
    message = dict(zip(NAMES, fields))
    rest = fields[len(NAMES) :]
    assert len(rest) == 3 * int(message["nrcpts"]), "recipients"
    message["rcpts"] = " ".join(rest[0::3])
    message["notify"] = " ".join(rest[1::3])
    message["orcpt"] = " ".join(rest[2::3])
    content = data[envelope_len:]
    assert content.startswith(b"Received: from "), "no Received line"
    end = content.index(b"\r\n")
    while content[end + 2 : end + 3] in (b" ", b"\t"):
        end = content.index(b"\r\n", end + 2)
    message["received"] = content[: end + 2].decode()
    message["body"] = content[end + 2 :]
    return message


class Intake:
    """answers: list of (code, text) for the next verdicts, then 250; None leaves it unanswered."""

    def __init__(self, directory):
        self.directory = directory
        self.path = os.path.join(directory, "run/intake")
        self.messages, self.hellos, self.verdicts, self.big = [], [], [], 0
        self.hello_answer = None
        self.big_answer = None
        self.disk_full = False
        self.connections = []
        self.errors = []
        self.listen()

    def listen(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        self.drop()

    def drop(self):
        for c in self.connections:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections = []

    def accept(self, listener):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            while self.one(connection):
                pass
        except OSError:
            pass
        except (AssertionError, ValueError) as e:
            self.errors.append(str(e))
        connection.close()

    def one(self, connection):
        data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_LEN(4))
        if not data:
            return False
        fds = array.array("i")
        for _, _, payload in ancillary:
            fds.frombytes(payload[:4])
        fields = netstrings(data)
        verb = fields[0]
        if verb == b"H":
            self.hellos.append(tuple(f.decode() for f in fields[1:]))
            connection.send(pack("-", *self.hello_answer) if self.hello_answer else pack("+", 0, ""))
        elif verb == b"B":
            if self.big_answer:
                connection.send(pack("-", *self.big_answer))
            else:
                self.give_big(connection)
        else:
            assert verb == b"S", "verb"
            self.submission(connection, fields, fds)
        for fd in fds:
            os.close(fd)
        return True

    def give_big(self, connection):
        self.big += 1
        name = f"big{self.big}"
        path = "/dev/full" if self.disk_full else os.path.join(self.directory, name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        connection.sendmsg([pack("+", 0, name)],
                           [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)

    def submission(self, connection, fields, fds):
        envelope_len, content_len, name = int(fields[1]), int(fields[2]), fields[3].decode()
        if name:
            assert len(fds) == 0, "an fd with a name"
            path = os.path.join(self.directory, name)
            fd = os.open(path, os.O_RDONLY)
            fcntl.fcntl(fd, 1024, fcntl.F_RDLCK)  # F_SETLEASE: fails while a writer has it open
        else:
            assert len(fds) == 1, "no fd"
            fd = fds[0]
            assert fcntl.fcntl(fd, F_GET_SEALS) == SEALS, "seals"
        data = os.pread(fd, envelope_len + content_len + 1, 0)
        if name:
            os.close(fd)
        message = parse_message(data, envelope_len, content_len)
        self.messages.append(message)
        verdict = self.verdicts.pop(0) if self.verdicts else (250, f"2.0.0 {message['id']} queued")
        if verdict == "drop":
            connection.shutdown(socket.SHUT_RDWR)
        elif verdict is not None:
            connection.send(pack("V", *verdict))
