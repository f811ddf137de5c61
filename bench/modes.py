"""What the experiments about "through" compare: Postfix, and the relay with each policy.

A mode is the environment that the clients' rules give relay-smtpd. Tenants are names with a
client address each; routes say which MX takes a domain.
"""
import servers

MODES = {"postfix": None,
         "committed": {},
         "through": {"RELAYTHROUGH": "30"},
         "only": {"RELAYTHROUGH": "only"}}
LABELS = {"postfix": "Postfix", "committed": "relay, committed", "through": "relay, through 30 s",
          "only": "relay, through only"}
COLOURS = {"postfix": "#c17d11", "committed": "#3465a4", "through": "#4e9a06", "only": "#75507b"}


def chosen(text):
    """The modes that an option names, in the order of MODES."""
    names = text.split(",")
    unknown = [name for name in names if name not in MODES]
    if unknown:
        raise SystemExit(f"no such mode: {unknown[0]}; there are {', '.join(MODES)}")
    return [mode for mode in MODES if mode in names]


def place(logs, name):
    """A directory for the logs of one server."""
    path = logs / name
    path.mkdir()
    path.chmod(0o1777)
    return path


def rules(mode, tenants):
    lines = []
    for tenant, address in tenants.items():
        environment = {"RELAYCLIENT": "", "RELAYTENANT": tenant, **MODES[mode]}
        words = ",".join(f'{name}="{value}"' for name, value in environment.items())
        lines.append(f"{address}:allow,{words}")
    return "\n".join([*lines, '127.0.0.1:allow,RELAYCLIENT=""', ":deny"])


def start(mode, directory, logs, routes, tenants):
    """The server of a mode; routes is {domain: "address:port"}, "" for all others."""
    if MODES[mode] is None:
        table = " ".join(f"{{ {domain or '*'} = smtp:[{mx.replace(':', ']:')} }}" for domain, mx in routes.items())
        return servers.Postfix(directory, logs, 9, (f"transport_maps=inline:{{ {table} }}",))
    control = {"smtproutes": "\n".join(f"{domain}:{mx}" for domain, mx in routes.items())}
    return servers.Relay(directory, logs, None, control, rules(mode, tenants))
