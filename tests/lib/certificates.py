"""Certificates for tests, made by openssl when they are needed, never kept."""
from relaytest import run_program

NEW_KEY = {"rsa": ["rsa:2048"], "rsa1024": ["rsa:1024"], "p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
           "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "p521": ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"]}


def make(directory, name, kind, *names):
    """directory/NAME.pem, signed by itself, and NAME.key (mode 600) for these server names."""
    directory.mkdir(parents=True, exist_ok=True)
    pem, key = directory / f"{name}.pem", directory / f"{name}.key"
    alternative = ",".join(f"DNS:{n}" for n in names or ("relay.test",))
    run_program("openssl", "req", "-x509", "-newkey", *NEW_KEY[kind], "-nodes", "-keyout", key, "-out", pem,
                "-days", "30", "-subj", f"/CN={(names or ('relay.test',))[0]}", "-addext",
                f"subjectAltName={alternative}")
    key.chmod(0o600)
    return pem, key


def private_bytes(key):
    """The secret numbers of a private key, as they lie in a process's memory: big-endian."""
    text = run_program("openssl", "pkey", "-in", key, "-noout", "-text").stdout
    found, name = {}, None
    for line in text.splitlines():
        if not line.startswith(" "):
            name = line.split(":")[0]
            found[name] = ""
        elif name:
            found[name] += line.strip()
    secrets = ("priv", "prime1", "prime2", "exponent1", "exponent2", "coefficient", "privateExponent")
    numbers = [bytes.fromhex(found[n].replace(":", "")).lstrip(b"\0") for n in secrets if n in found]
    assert numbers
    return numbers
