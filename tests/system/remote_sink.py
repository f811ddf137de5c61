#!/usr/bin/python3
"""Many messages over kept connections to a real smtp-sink (package postfix), with
and without PIPELINING; the connection is used for all of them."""
# limit: 120
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from remote_peer import Message, Remote  # noqa: E402

PROGRAM = os.environ["BUILD"] + "/bin/relay-remote"
PORT = int(os.environ.get("TEST_PORT", "21300")) + 50
COUNT = 300


def wait_for(port):
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("smtp-sink does not listen")


def run(remote, port, flags, offered):
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = subprocess.Popen(["/usr/sbin/smtp-sink", *user, *flags, f"127.0.0.1:{port}", "100"])
    try:
        wait_for(port)
        message = Message(["a@b.example", "c@d.example"], b"Subject: t\r\n\r\n" + b".x" * 30 + b"\r\n" * 50)
        worker = remote.worker().open([("sink.example", "127.0.0.1", port)])
        opened = worker.opened()
        if opened[0] != "O" or ("PIPELINING" in opened[2]) != offered:
            sys.exit(f"{flags}: {opened}")
        for i in range(COUNT):
            found, end = worker.deliver(message)
            if [o["verdict"] for o in found.values()] != ["d", "d"] or not end["keep"]:
                sys.exit(f"{flags}: message {i}: {found} {end}")
        worker.quit()
    finally:
        sink.terminate()
        sink.wait()


def main():
    remote = Remote(PROGRAM)
    run(remote, PORT, [], True)
    run(remote, PORT + 1, ["-p"], False)
    run(remote, PORT + 2, ["-e"], False)  # no ESMTP: HELO
    connects = remote.log().count("= connect ")
    if connects != 3:
        sys.exit(f"{connects} connections for 3 runs")
    if remote.stop() != 0:
        sys.exit("the master failed")
    print(f"{3 * COUNT} messages, {connects} connections")


main()
