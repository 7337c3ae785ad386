"""Certificates for a test, made by openssl(1) when it runs: an authority of its own, and what that has signed."""
import os
import shutil
import subprocess
from pathlib import Path

KINDS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


def openssl(*arguments, **options):
    """What it prints on standard output, as octets."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, **options)
    assert done.returncode == 0, f"openssl {arguments}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def key_digest(certificate):
    """The SHA-256 of the public key of a file's first certificate, as TLSA records have it, by other means than ours."""
    public = openssl("x509", "-in", certificate, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", input=public)
    return openssl("dgst", "-sha256", "-r", input=der).split()[0].decode()


def serial(text):
    """The serial number of a PEM text's first certificate."""
    return openssl("x509", "-noout", "-serial", input=text.encode()).decode().strip()


def alternative_name(host):
    kind = "email" if "@" in host else "IP" if host.replace(".", "").isdigit() else "DNS"
    return f"{kind}:{host}"


class Authority:
    """Certificates in `folder`: NAME.pem with the authority's behind it, and NAME.key for its owner alone."""

    def __init__(self, folder, name="ca"):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.certificate, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        openssl("req", "-x509", *KINDS["ec"], "-nodes", "-keyout", self.key, "-out", self.certificate, "-days", 365,
                "-subj", f"/CN=Authority {name}")

    def issue(self, name, *hosts, kind="ec", days=90, chain=True, subject=None):
        """(path of the certificate, path of its key); both are put where they belong in one step. A host may be an IPv4 address as
        well, or a mail address; `days` are from now, or ago. The subject is the first host's, if it is not given."""
        request, leaf = self.folder / f"{name}.csr", self.folder / f"{name}.leaf"
        new_key, extensions = self.folder / f"{name}.key.new", self.folder / f"{name}.ext"
        openssl("req", *KINDS[kind], "-nodes", "-keyout", new_key, "-out", request, "-subj", subject or f"/CN={hosts[0]}")
        extensions.write_text("subjectAltName = " + ",".join(map(alternative_name, hosts)) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-extfile", extensions, "-out", leaf)
        new_certificate = self.folder / f"{name}.pem.new"
        new_certificate.write_text(leaf.read_text() + (self.certificate.read_text() if chain else ""))
        new_key.chmod(0o600)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        os.rename(new_key, key)
        os.rename(new_certificate, certificate)
        return certificate, key

    def copy(self, path, name):
        """A file of its own with the same content and mode."""
        return Path(shutil.copy(path, self.folder / name))
