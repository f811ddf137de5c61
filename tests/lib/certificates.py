"""Certificates for tests, made by openssl when they are needed, in a directory of the test: authorities
and what they sign (for MXs), certificates signed by themselves (for relay-smtpd)."""
import base64
import hashlib
import ssl
import subprocess
from pathlib import Path

KEYS = {"p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "p521": ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "rsa": ["rsa:2048"], "rsa1024": ["rsa:1024"],
        "rsapss": ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"]}


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, words))}: {done.stderr.decode()}")
    return done.stdout


class Certificate:
    """A key (NAME.key, mode 600), its certificate (NAME.pem), and whose signature it has (None: its own)."""

    def __init__(self, directory, name, issuer=None, key="p256", names=(), digest="sha256", ca=False,
                 expired=False, extra=(), cn=None):
        self.issuer, base = issuer, Path(directory) / name
        base.parent.mkdir(parents=True, exist_ok=True)
        self.key, self.path, self.chain = (base.with_suffix(s) for s in (".key", ".pem", ".chain"))
        lines = [f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}"]
        if names:
            lines.append("subjectAltName=" + ",".join("DNS:" + n for n in names))
        lines += extra
        extensions = base.with_suffix(".ext")
        extensions.write_text("[x]\n" + "\n".join(lines) + "\n")
        request = base.with_suffix(".csr")
        openssl("req", "-new", "-newkey", *KEYS[key], "-nodes", "-keyout", self.key, "-subj",
                f"/O=relay test/CN={cn or name}", "-out", request)
        signer = issuer or self
        if expired:
            self._expired(base, signer, request, extensions, digest)
        else:
            by = ["-CA", issuer.path, "-CAkey", issuer.key, "-CAcreateserial"] if issuer else \
                ["-signkey", self.key]
            openssl("x509", "-req", "-in", request, *by, "-" + digest, "-days", 30, "-extfile", extensions,
                    "-extensions", "x", "-out", self.path)
        extensions.unlink()
        request.unlink()
        self.key.chmod(0o600)
        above, chain = issuer, [self]
        while above and above.issuer:  # the root itself is not sent
            chain.append(above)
            above = above.issuer
        self.chain.write_text("".join(c.path.read_text() for c in chain))
        # With the root at its end, as DANE-TA needs it (RFC 7671 5.2.2).
        self.full = base.with_suffix(".full")
        self.full.write_text(self.chain.read_text() + (above.path.read_text() if above else ""))
        self.der = ssl.PEM_cert_to_DER_cert(self.path.read_text())
        pem = openssl("x509", "-in", self.path, "-pubkey", "-noout").decode().splitlines()
        self.public_key = base64.b64decode("".join(line for line in pem if not line.startswith("-----")))

    def _expired(self, base, signer, request, extensions, digest):
        """openssl x509 knows no past; openssl ca does, and wants a directory for it."""
        home = base.with_suffix(".ca")
        home.mkdir()
        (home / "index").write_text("")
        (home / "serial").write_text("01\n")
        config = home / "config"
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={home}/index\nserial={home}/serial\n"
                          f"new_certs_dir={home}\npolicy=p\n[p]\norganizationName=optional\n"
                          "commonName=supplied\n")
        openssl("ca", "-batch", "-config", config, "-cert", signer.path, "-keyfile", signer.key, "-md", digest,
                "-in", request, "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-notext",
                "-extfile", extensions, "-extensions", "x", "-out", self.path)

    def tlsa(self, usage, selector, matching):
        """RDATA of a TLSA record, as bytes."""
        what = self.public_key if selector else self.der
        digest = {0: lambda x: x, 1: lambda x: hashlib.sha256(x).digest(),
                  2: lambda x: hashlib.sha512(x).digest()}[matching](what)
        return bytes([usage, selector, matching]) + digest

    def fingerprint(self):
        """As openssl prints it, with colons."""
        return openssl("x509", "-in", self.path, "-noout", "-fingerprint", "-sha256").decode().split("=")[1].strip()


def tlsa_text(rdata):
    """TLSA RDATA as a line of a zone: as RFC 3597 has it, so that it may be anything."""
    return f"TYPE52 \\# {len(rdata)} {rdata.hex()}"


def self_signed(directory, name, *names, key="p256"):
    """A server's certificate that no authority knows, for these names."""
    names = names or ("relay.test",)
    return Certificate(directory, name, key=key, names=names, cn=names[0])


def private_bytes(key):
    """The secret numbers of a private key, as they lie in a process's memory: big-endian."""
    text = openssl("pkey", "-in", key, "-noout", "-text").decode()
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
