"""What lies in a process' memory. Needs root."""


def regions(pid):
    """The bytes of each mapping that can be read."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            if "r" not in line.split()[1] or "[v" in line:
                continue
            mem.seek(begin)
            try:
                yield mem.read(end - begin)
            except OSError:
                continue


def copies(pid, secret):
    """How often these bytes are in it."""
    return sum(data.count(secret) for data in regions(pid))
