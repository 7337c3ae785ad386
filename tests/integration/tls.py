"""What tests of TLS and AUTH share: certificates and users that are made once, a daemon that has them, and TLS on a Wire.
"""
import atexit
import base64
import functools
import re
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

from certificates import Authority
from harness import Case, HOSTNAME, PATIENCE, POSTERN, ROOT, WORKER_USER, Wire

USER = "alice"
PASSWORD = "correct horse"


@functools.cache
def shared_folder():
    """Certificates and passwords are made once, however many tests want them."""
    folder = Path(tempfile.mkdtemp(prefix="postern-tls."))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def authority(name="ca"):
    """Its `certificate` is what clients are to trust."""
    return Authority(shared_folder(), name)


# Each of these is (path of the certificate, path of its key).

@functools.cache
def certificate_of_host(*names, kind="ec"):
    """For clients, too, that check the address that they connect to."""
    return authority().issue(f"{names[0].replace('*', 'any')}.{kind}", *names, "127.0.0.1", kind=kind)


@functools.cache
def certificate_of_client(mail):
    return authority().issue(f"client.{mail}", mail, subject="/O=Example/CN=Alice Example")


@functools.cache
def certificate_of_stranger(mail):
    """Of somebody who says the same, and whom nobody trusts who has signed it."""
    return authority("others").issue(f"stranger.{mail}", mail, subject="/O=Example/CN=Alice Example")


@functools.cache
def expired_certificate(name):
    """Since yesterday."""
    return authority().issue(f"expired.{name}", name, days=-1)


def tls_rows(*pairs):
    """Of a section [tls] or [tls NAME]."""
    return {"certificate": ", ".join(str(certificate) for certificate, _ in pairs), "private-key": ", ".join(str(key) for _, key in pairs)}


def password_line(user, password):
    done = subprocess.run([POSTERN, "passwd", "--stdin", user], input=password + "\n", capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def give_to_workers(path):
    path.chmod(0o600)
    if ROOT:
        shutil.chown(path, WORKER_USER)


@functools.cache
def passwords():
    """The file with USER in it. Workers read it, so it is theirs."""
    path = shared_folder() / "passwords"
    path.write_text(password_line(USER, PASSWORD))
    give_to_workers(path)
    return path


# ---- the client's side ---------------------------------------------------------------------------------------------------

def context(version=None, certificate=None, trusts=True):
    """A client's: of one TLS version alone, with a certificate, trusting nobody but the authority (or all: not `trusts`)."""
    made = ssl.create_default_context(cafile=authority().certificate)
    if version:
        made.minimum_version = made.maximum_version = version
    if certificate:
        made.load_cert_chain(*certificate)
    if not trusts:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def secure(wire, server_name=HOSTNAME, with_context=None):
    """A handshake, and from here on the wire's octets go through TLS."""
    assert not wire.buffer, f"the server said something in front of TLS: {wire.buffer!r}"
    wire.socket = (with_context or context()).wrap_socket(wire.socket, server_hostname=server_name)
    return wire


def starttls(wire, *arguments, **options):
    """As a client does that has said hello; it has to do so again."""
    wire.command("STARTTLS", 220, "2.0.0")
    return secure(wire, *arguments, **options)


def implicit(address, *arguments, header=b"", **options):
    """A new connection that begins with TLS, behind a PROXY header if there is one. It has been greeted."""
    wire = Wire(address, greet=False)
    wire.send(header)
    secure(wire, *arguments, **options).expect(220)
    return wire


def plain(user=USER, password=PASSWORD):
    """The initial response of PLAIN."""
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def authenticate(wire, *arguments):
    wire.command(f"AUTH PLAIN {plain(*arguments)}", 235, "2.7.0")


def gsasl_command(case, server, mechanism, password):
    """GNU SASL's own client, in TLS that STARTTLS began."""
    host, port = server.smtp
    # Where it could bind the channel and is to use a mechanism that does not, its library fails by itself.
    binding = ["--no-cb"] if mechanism == "SCRAM-SHA-256" else []
    return [case.need_program("gsasl"), "--smtp", f"--connect={host}:{port}", f"--hostname={HOSTNAME}", "--starttls",
            f"--x509-ca-file={authority().certificate}", "-m", mechanism, "-a", USER, "-p", password, *binding]


# ---- the daemon's side ----------------------------------------------------------------------------------------------------

class TlsCase(Case):
    """self.secured() is a daemon with a certificate for HOSTNAME and USER's password, whose listeners offer TLS, and AUTH in it:
    `smtp` and `lmtp` (a unix socket) by STARTTLS, `smtps` and `lmtps` from the first octet.
    """

    def secured(self, tls=None, auth=None, sections=None, **options):
        """`tls` and `auth` are rows of [tls] and [auth]; `sections` are other sections, or rows for those that are here; None: no such row.
        """
        merged = {
            "tls": {**tls_rows(certificate_of_host(HOSTNAME)), **(tls or {})},
            "auth": {"passwords": passwords(), "failure-delay": "1ms", **(auth or {})},
            "listen smtp": {"tls": "optional", "auth": "optional"},
            "listen lmtp": {"tls": "optional", "auth": "optional"},
            "listen smtps": {"address": "127.0.0.1:0", "protocol": "smtp", "tls": "implicit", "auth": "optional"},
            "listen lmtps": {"address": "127.0.0.1:0", "protocol": "lmtp", "tls": "implicit", "auth": "optional"},
        }
        for name, rows in (sections or {}).items():
            merged[name] = {**merged.get(name, {}), **rows}
        given = {name: {key: value for key, value in rows.items() if value is not None} for name, rows in merged.items()}
        return self.postern(sections=given, **options)


def received(content):
    """The Received of this delivery, in one line."""
    field = re.search(rb"(?m)^Received: .*\n(?:[ \t].*\n)*", content)
    return re.sub(r"\s+", " ", field[0].decode()).strip()
