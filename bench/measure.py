"""Counters and load: bytes on the disk, memory of processes, times from logs, smtp-source."""
import concurrent.futures
import contextlib
import os
import re
import subprocess
import threading
import time
from pathlib import Path

from common import say
from servers import ADDRESS, Status

STALLED = 60  # seconds without a single message: the experiment has failed
OWN_DISK = 2 << 30  # bytes: above the floor of free space that relay-queue keeps
KERNEL_STACK = 16384  # bytes a thread, Linux on 64-bit machines


def disk_bytes(path):
    """Bytes written so far to the device that holds path, its cache flushed first."""
    os.sync()
    device = os.stat(path).st_dev
    stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    return int(stat[6]) * 512


def settled_disk_bytes(path, seconds=30):
    """The same once what was begun before has reached the disk; on a device that others use, too,
    it may go on, and is waited for no longer than that."""
    written, before = disk_bytes(path), -1
    end = time.monotonic() + seconds
    while written != before and time.monotonic() < end:
        time.sleep(1)
        written, before = disk_bytes(path), written
    return written


@contextlib.contextmanager
def own_disk(directory):
    """A filesystem on a device of its own, so that disk_bytes() counts nobody else's writes."""
    image, path = directory / "image", directory / "own-disk"
    with image.open("wb") as out:
        out.truncate(OWN_DISK)
    path.mkdir()
    # Everything is written now, and not by the kernel in the background while others count.
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image],
                   check=True)
    subprocess.run(["mount", "-o", "loop", image, path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
        path.rmdir()
        image.unlink()


def memory(pid):
    """Bytes of a process: Rss, Pss, Private_Dirty, its page tables, and its peak Rss."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    text += Path(f"/proc/{pid}/status").read_text()
    return {key: int(re.search(rf"^{key}:\s*(\d+)", text, re.M).group(1)) * 1024
            for key in ("Rss", "Pss", "Private_Dirty", "VmPTE", "VmHWM")}


def footprint(processes):
    """Per name: how many, their Pss, and what the kernel keeps for them to run."""
    found = {}
    for name, pids in processes.items():
        each = [memory(pid) for pid in pids]
        found[name] = {"count": len(each), "pss": sum(m["Pss"] for m in each),
                       "kernel": sum(m["VmPTE"] + KERNEL_STACK for m in each)}
    return found


def cpu(server):
    """Seconds that the server's processes have used, their ended children included."""
    pids = [pid for found in server.processes().values() for pid in found]
    pids += [server.master] if server.name == "postfix" else []
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, stat[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def started(pid):
    """Wall clock seconds of a process's start, to 10 ms."""
    ticks = Status(Path(f"/proc/{pid}/stat").read_text()).start_ticks
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def tai64n(stamp):
    """Wall clock seconds of multilog's stamp, which counts ten leap seconds."""
    return int(stamp[1:17], 16) - (1 << 62) - 10 + int(stamp[17:25], 16) / 1e9


def smtp_source(port, messages, sessions, size, keep, recipient="rcpt@sink.example", number=False):
    """One run of Postfix's load generator."""
    command = ["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(size),
               "-f", "sender@source.example", "-t", recipient]
    if keep:
        command.append("-d")
    if number:
        command.append("-N")  # a number before each recipient
    subprocess.run([*command, f"{ADDRESS}:{port}"], check=True, stdout=subprocess.DEVNULL)


GENERATORS = 4  # runs of smtp-source side by side, so that the end of one is no pause


def submit(port, messages, sessions, size, keep, distinct=False):
    """Sends all; with keep, 50 messages a connection. Returns the bytes of the recipients."""
    sessions = max(1, sessions // GENERATORS)
    batch = 50 * sessions if keep else -(-messages // GENERATORS)
    sent, progress = 0, threading.Lock()

    def run(start):
        nonlocal sent
        count = min(batch, messages - start)
        recipient = f"r{start}@sink.example" if distinct else "rcpt@sink.example"
        smtp_source(port, count, sessions, size, keep, recipient, distinct)
        with progress:
            if sent // 20000 != (sent + count) // 20000:
                say(f"{sent + count} of {messages} messages sent")
            sent += count
        numbers = sum(len(str(n)) for n in range(count)) if distinct else 0
        return count * len(recipient) + numbers

    with concurrent.futures.ThreadPoolExecutor(GENERATORS) as pool:
        return sum(pool.map(run, range(0, messages, batch)))


def wait_until_taken(sink, goal):
    """Until the sink has them all; an experiment whose messages do not move ends here."""
    while sink.messages < goal:
        before = sink.messages
        if sink.wait_for(goal, STALLED) == before:
            raise SystemExit(f"only {before} of {goal} messages arrived, none for {STALLED} s")


def end_to_end(port, sink, messages, sessions, size, keep):
    """Messages a second, from the first connection until the sink has the last message."""
    goal = sink.messages + messages
    began = time.monotonic()
    submit(port, messages, sessions, size, keep)
    wait_until_taken(sink, goal)
    return messages / (time.monotonic() - began)
