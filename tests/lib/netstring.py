"""Netstring fields, as lib/netstring.h has them: what the programs' datagrams are made of."""


def ns(*fields_):
    """The fields one behind the other; what is not bytes is written as text."""
    out = b""
    for f in fields_:
        f = f if isinstance(f, bytes) else str(f).encode()
        out += b"%d:%s," % (len(f), f)
    return out


def fields(data):
    """A list of bytes; the whole of data must be fields."""
    out = []
    while data:
        n, data = data.split(b":", 1)
        n = int(n)
        assert data[n:n + 1] == b",", data[:40]
        out.append(data[:n])
        data = data[n + 1:]
    return out
