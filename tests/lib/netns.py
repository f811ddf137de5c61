"""Network namespaces of a test's own: MSAs, a relay that is their router, MXs.

    MSAs 192.0.2.7, .8 --- lan0 192.0.2.1 [relay] wan0 198.51.100.1 --- MXs 198.51.100.9 to .12
    2001:db8:1::7          2001:db8:1::1               2001:db8:2::1        2001:db8:2::9
"""
import concurrent.futures
import ctypes
import os
import socket
import types

from peers import Loop, Receiver
from relaytest import Client, Skip, run_program

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace, function):
    """function() in that namespace; what it opens stays there. The thread alone enters it."""
    def enter():
        with open(f"/run/netns/{namespace}", "rb") as f:
            if libc.setns(f.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        return function()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(enter).result()


class Net:
    """The three namespaces: msa, relay and mx are their names."""

    def __init__(self, test):
        self.msa, self.relay, self.mx = (f"rt{os.getpid()}{letter}" for letter in "crm")
        test.ends(self)
        for name in (self.msa, self.relay, self.mx):
            done = run_program("ip", "netns", "add", name, check=False)
            if done.returncode:
                raise Skip(f"no network namespace can be made: {done.stderr.strip()}")
            self.ip(name, "link set lo up")
        self.cable(self.msa, "eth0", "lan0", "192.0.2", "2001:db8:1:", (7, 8))
        self.cable(self.mx, "eth0", "wan0", "198.51.100", "2001:db8:2:", (9, 10, 11, 12))

    def cable(self, far, far_name, name, net4, net6, hosts):
        self.ip(self.relay, f"link add {name} type veth peer name {far_name} netns {far}")
        for namespace, device, numbers in ((self.relay, name, (1,)), (far, far_name, hosts)):
            for n in numbers:
                self.ip(namespace, f"addr add {net4}.{n}/24 dev {device}")
            self.ip(namespace, f"addr add {net6}:{numbers[0]}/64 dev {device} nodad")
            self.ip(namespace, f"link set {device} up")
        self.ip(far, f"route add default via {net4}.1")
        self.ip(far, f"route add default via {net6}:1")

    @staticmethod
    def ip(namespace, words):
        run_program("ip", "-n", namespace, *words.split())

    @staticmethod
    def run(namespace, *words, **options):
        return run_program("ip", "netns", "exec", namespace, *words, **options)

    def stop(self):
        for name in (self.msa, self.relay, self.mx):
            run_program("ip", "netns", "del", name, check=False)


class NsReceiver(Receiver):
    """A receiver that listens in a namespace."""

    def __init__(self, namespace, address, port, **options):
        self.namespace = namespace
        super().__init__(address, port, **options)

    def start(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        sock = inside(self.namespace, lambda: socket.create_server((self.address, self.port), family=family))

        async def listen():
            return await Loop.get().create_server(self._session, sock=sock)
        self.server = Loop.call(listen())
        return self


def connect(namespace, address, port=25, source=None):
    return inside(namespace, lambda: socket.create_connection((address, port), 20, source and (source, 0)))


class NsClient(Client):
    """A session of an MSA there with the server at that address, or so it believes."""

    def __init__(self, namespace, address, port=25, source=None):
        self.namespace, self.from_address = namespace, source
        super().__init__(types.SimpleNamespace(host=address, port=port))

    def _get_socket(self, host, port, _timeout):
        return connect(self.namespace, host, port, self.from_address)
