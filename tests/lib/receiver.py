#!/usr/bin/python3
"""receiver.py ADDRESS PORT DIRECTORY: a real SMTP server (aiosmtpd) that keeps each message.

A message becomes DIRECTORY/N.eml, its envelope first as X-Mail-From and X-Rcpt-To lines.
"""
import asyncio
import itertools
import os
import signal
import sys

from aiosmtpd.smtp import SMTP


class Keeper:
    """Writes what arrives; a message is there under its name only when it is whole."""

    def __init__(self, directory):
        self.directory, self.numbers = directory, itertools.count(1)

    async def handle_DATA(self, server, session, envelope):
        path = os.path.join(self.directory, f"{next(self.numbers)}.eml")
        with open(path + ".new", "wb") as out:
            out.write(f"X-Mail-From: <{envelope.mail_from}>\r\n".encode())
            for rcpt in envelope.rcpt_tos:
                out.write(f"X-Rcpt-To: <{rcpt}>\r\n".encode())
            out.write(envelope.original_content)
        os.rename(path + ".new", path)
        return "250 2.0.0 kept"


async def main():
    address, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    os.makedirs(directory, exist_ok=True)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Keeper(directory), hostname="receiver.test", enable_SMTPUTF8=True, loop=loop),
        address, port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()

asyncio.run(main())
