"""Real clients by TLS, with and without AUTH: OpenSSL's, GnuTLS', swaks, curl, msmtp, Python's, nodemailer, and GNU SASL's own."""
import contextlib
import json
import os
import smtplib
import socket
import subprocess
from pathlib import Path

from harness import DOMAIN, HOSTNAME, PACKAGES, PATIENCE, Wire, lf, main, odd_message, print_diagnostics, split_trace
from tls import (PASSWORD, USER, TlsCase, authority, certificate_of_client, certificate_of_host, certificate_of_stranger, context,
                 gsasl_command, received, tls_rows)

ALICE = f"alice@{DOMAIN}"
SENDER = "bob@example.net"


class ClientCase(TlsCase):
    def run_client(self, *command, status=0, stdin=b""):
        """What it said."""
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=PATIENCE, input=stdin)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if status == "failure":
            self.assertNotEqual(done.returncode, 0, f"{command[0]} said:\n{said[-3000:]}")
        else:
            self.assertEqual(done.returncode, status, f"{command[0]} said:\n{said[-3000:]}")
        return said

    def message_file(self, message=None):
        path = self.folder / "message.eml"
        path.write_bytes(message or odd_message())
        return path

    def check_arrived(self, server, protocol, message=None):
        """One message, that came `with` that, by whom it says; it is taken away."""
        content = server.maildir().only()
        trace, rest = split_trace(content)
        self.assertEqual(rest, lf(message or odd_message()))
        said = received(trace)
        self.assertRegex(said, f" with {protocol} ")
        self.assertEqual(f" (authenticated as {USER}) " in said, protocol.endswith("A"), said)
        for path in (server.maildir().path / "new").iterdir():
            path.unlink()
        return said

    def check_authenticated(self, server, *mechanisms, user=USER):
        events = server.wait_log("authenticated", len(mechanisms))
        self.assertEqual([(event["mechanism"], event["user"]) for event in events], [(mechanism, user) for mechanism in mechanisms])


class PipeCase(ClientCase):
    """Clients that do no more than TLS: what is written to them goes through it."""

    @contextlib.contextmanager
    def wire_through(self, command, greet=False):
        """A Wire whose other end is the client's standard input and output; the client has ended well when this ends."""
        ours, theirs = socket.socketpair()
        log = self.folder / "client.log"
        with theirs, open(log, "wb") as stderr:
            process = subprocess.Popen([str(word) for word in command], stdin=theirs, stdout=theirs, stderr=stderr)
        try:
            with Wire(ours, greet) as wire:
                yield wire
                wire.command("QUIT", 221)
                self.assertTrue(wire.at_end())
            self.assertEqual(process.wait(PATIENCE), 0)
        except BaseException:
            print_diagnostics(f"{command[0]} said:\n{log.read_text(errors='replace')}")
            raise
        finally:
            process.kill()
            process.wait()


class OpenSsl(PipeCase):
    def s_client(self, address, *arguments):
        where = ("-connect", "{}:{}".format(*address)) if isinstance(address, tuple) else ("-unix", address)
        return [self.need_program("openssl"), "s_client", *where, "-CAfile", authority().certificate, "-verify_return_error",
                "-verify_hostname", HOSTNAME, "-servername", HOSTNAME, "-name", "client.example.net", *arguments]

    @contextlib.contextmanager
    def wire(self, address, *arguments):
        """Inside TLS; has said hello."""
        lmtp = "lmtp" in arguments
        greet = "-starttls" not in arguments
        with self.wire_through(self.s_client(address, "-quiet", "-brief", *arguments), greet) as wire:
            wire.hello(lmtp)
            yield wire

    def summary(self):
        """What -brief says of the handshake: {"Protocol version": "TLSv1.3", ...}."""
        lines = (self.folder / "client.log").read_text().splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def test_it_delivers_by_starttls_and_at_once(self):
        server = self.secured()
        for version in ("-tls1_2", "-tls1_3"):
            for address, arguments, protocol in ((server.smtp, ("-starttls", "smtp"), "ESMTPS"),
                                                 (server.lmtp, ("-starttls", "lmtp"), "LMTPS"),
                                                 (server.listeners["smtps"], (), "ESMTPS")):
                with self.wire(address, version, *arguments) as wire:
                    wire.deliver(odd_message(), ALICE)
                told = self.summary()
                said = self.check_arrived(server, protocol)
                self.assertIn(f"({told['Protocol version']} {told['Ciphersuite']}) (server name {HOSTNAME}) ", said)
                self.assertEqual((told["Verification"], told["Signature type"]), ("OK", "ECDSA"))

    def test_old_versions_are_refused(self):
        server = self.secured()
        for version in ("-tls1", "-tls1_1"):
            self.run_client(*self.s_client(server.listeners["smtps"], version, "-cipher", "ALL:@SECLEVEL=0"), status=1)
        server.wait_log("handshake-failed", 2, reason="unsupported-protocol")

    def test_ecdsa_and_rsa_side_by_side(self):
        rsa = certificate_of_host(HOSTNAME, kind="rsa")
        for pairs in ((certificate_of_host(HOSTNAME), rsa), (rsa, certificate_of_host(HOSTNAME))):
            server = self.secured(tls=tls_rows(*pairs))
            for arguments, expected in ((("-tls1_3", "-sigalgs", "ECDSA+SHA256"), "ECDSA"),
                                        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA256"), "RSA-PSS"),
                                        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "ECDSA"),
                                        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "RSA-PSS"),
                                        (("-tls1_3",), "ECDSA"), (("-tls1_2",), "ECDSA")):
                with self.wire(server.listeners["smtps"], *arguments):
                    pass
                self.assertEqual(self.summary()["Signature type"], expected, arguments)
            server.stop()

    def test_names_choose_certificates(self):
        server = self.secured(sections={"tls net": tls_rows(certificate_of_host("mail.example.net"))})
        for arguments, expected in ((("-servername", HOSTNAME), HOSTNAME), (("-servername", "mail.example.net"), "mail.example.net"),
                                    (("-noservername",), HOSTNAME)):
            host, port = server.smtp
            said = self.run_client(self.need_program("openssl"), "s_client", "-connect", f"{host}:{port}", "-starttls", "smtp", "-brief",
                                   *arguments)
            self.assertIn(f"Peer certificate: CN = {expected}\n", said)

    def check_resumption(self, tickets, expected):
        """By one worker of what another has begun, too. `expected` of a session, and of two that want to resume it."""
        server = self.secured(tls={"tickets": tickets}, workers=2)
        session = self.folder / "session.pem"
        for version in ("-tls1_2", "-tls1_3"):
            for name, arguments in (("smtp", ("-starttls", "smtp")), ("smtps", ())):
                for option in ("-sess_out", "-sess_in", "-sess_in"):
                    if option == "-sess_in" and not session.exists():
                        break  # nothing to come back with
                    with self.wire(server.listeners[name], version, *arguments, option, session) as wire:
                        wire.deliver(odd_message(), ALICE)
                    self.check_arrived(server, "ESMTPS")
                session.unlink(missing_ok=True)
        self.assertEqual([event["resumed"] for event in server.wait_log("secured", 4 * len(expected))], expected * 4)

    def test_sessions_are_resumed(self):
        self.check_resumption("yes", ["no", "yes", "yes"])

    def test_sessions_are_not_resumed_without_tickets(self):
        self.check_resumption("no", ["no"])

    def test_clients_certificates(self):
        alice, stranger = (("-cert", certificate, "-key", key) for certificate, key in
                           (certificate_of_client(ALICE), certificate_of_stranger(ALICE)))
        server = self.secured(tls={"client-ca": authority().certificate},
                              sections={"listen smtp": {"tls-client": "request"}, "listen smtps": {"tls-client": "require"}})
        for address, arguments in ((server.smtp, ("-starttls", "smtp")), (server.listeners["smtps"], ())):
            with self.wire(address, *arguments, *alice) as wire:
                wire.command("AUTH EXTERNAL =", 235, "2.7.0")
                wire.deliver(odd_message(), ALICE)
            content = server.maildir().only()
            self.assertIn(f"(client certificate CN=Alice Example,O=Example) (authenticated as {ALICE}) ", received(content))
            (server.maildir().path / "new" / server.maildir().names()[0]).unlink()
        for arguments in ((), stranger):
            with self.wire(server.smtp, "-starttls", "smtp", *arguments) as wire:
                wire.deliver(odd_message(), ALICE)
            self.check_arrived(server, "ESMTPS")
            self.run_client(*self.s_client(server.listeners["smtps"], "-tls1_2", *arguments), status=1)
        self.check_authenticated(server, "EXTERNAL", "EXTERNAL", user=ALICE)

    def test_nothing_more_is_negotiated(self):
        """No ALPN, which some clients send to mail servers as well, no compression; and no renegotiation."""
        server = self.secured()
        said = self.run_client(*self.s_client(server.listeners["smtps"], "-tls1_2", "-alpn", "smtp,http/1.1"), stdin=b"Q\n")
        for line in ("No ALPN negotiated", "Compression: NONE", "Secure Renegotiation IS supported"):
            self.assertIn(f"\n{line}\n", said)


class GnuTls(PipeCase):
    @contextlib.contextmanager
    def wire(self, address, *arguments):
        """Inside TLS; has said hello."""
        host, port = address
        greet = not any("starttls" in word for word in arguments)
        command = [self.need_program("gnutls-cli"), f"--x509cafile={authority().certificate}", f"--verify-hostname={HOSTNAME}",
                   f"--sni-hostname={HOSTNAME}", f"--logfile={self.folder}/handshake", "--port", port, *arguments, host]
        with self.wire_through(command, greet) as wire:
            wire.hello()
            yield wire

    def test_it_delivers_by_starttls_and_at_once(self):
        server = self.secured()
        for priority in ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"):
            for listener, arguments in (("smtp", ("--starttls-proto=smtp",)), ("smtps", ()), ("smtps", ("--alpn=smtp",))):
                with self.wire(server.listeners[listener], *arguments, f"--priority={priority}") as wire:
                    wire.deliver(odd_message(), ALICE)
                said = self.check_arrived(server, "ESMTPS")
                self.assertIn(f"(TLSv{priority[-3:]} ", said)

    def test_clients_certificates(self):
        certificate, key = certificate_of_client(ALICE)
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtps": {"tls-client": "require"}})
        with self.wire(server.listeners["smtps"], f"--x509certfile={certificate}", f"--x509keyfile={key}") as wire:
            wire.command("AUTH EXTERNAL =", 235, "2.7.0")
        self.check_authenticated(server, "EXTERNAL", user=ALICE)

    def test_a_session_is_resumed(self):
        server = self.secured()
        host, port = server.listeners["smtps"]
        for version in ("1.2", "1.3"):
            said = self.run_client(self.need_program("gnutls-cli"), f"--x509cafile={authority().certificate}",
                                   f"--verify-hostname={HOSTNAME}", "--resume", "--waitresumption",
                                   f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}", "--port", port, host)
            self.assertIn("*** This is a resumed session", said)


class Swaks(ClientCase):
    def swaks(self, server, listener, *arguments, **options):
        host, port = server.listeners[listener]
        # It takes a dot at the end of what it reads for the end of the message, and adds a line end itself.
        message = odd_message() + b"the end\r\n"
        file = self.message_file(lf(message).removesuffix(b"\n"))
        self.run_client(self.need_program("swaks"), "--server", host, "--port", port, "--from", SENDER, "--to", ALICE, "--data", f"@{file}",
                        "--tls-verify", "--tls-ca-path", authority().certificate, "--tls-sni", HOSTNAME, *arguments, **options)
        return message

    def test_it_delivers(self):
        server = self.secured()
        for listener, option, protocol in (("smtp", "--tls", "ESMTPS"), ("smtps", "--tlsc", "ESMTPS")):
            self.check_arrived(server, protocol, self.swaks(server, listener, option))

    def test_it_delivers_over_lmtp(self):
        server = self.secured()
        for listener, option in (("lmtps", "--tlsc"),):
            self.check_arrived(server, "LMTPS", self.swaks(server, listener, option, "--protocol", "LMTP"))

    def test_it_authenticates(self):
        server = self.secured()
        for mechanism in ("PLAIN", "LOGIN"):
            who = ("--auth", mechanism, "--auth-user", USER)
            for listener, option in (("smtp", "--tls"), ("smtps", "--tlsc")):
                message = self.swaks(server, listener, option, *who, "--auth-password", PASSWORD)
                self.check_arrived(server, "ESMTPSA", message)
            self.swaks(server, "smtps", "--tlsc", *who, "--auth-password", "wrong", status=28)
        self.check_authenticated(server, "PLAIN", "PLAIN", "LOGIN", "LOGIN")
        self.assertEqual(server.maildir().names(), [])


class Curl(ClientCase):
    def curl(self, server, listener, *arguments, **options):
        host, port = server.listeners[listener]
        scheme = listener
        self.run_client(self.need_program("curl"), "--silent", "--show-error", "--cacert", authority().certificate, "--ssl-reqd",
                        "--connect-to", f"::{host}:{port}", f"{scheme}://{HOSTNAME}/client.example.net", "--mail-from", SENDER,
                        "--mail-rcpt", ALICE, "--upload-file", self.message_file(), *arguments, **options)

    def test_it_delivers(self):
        server = self.secured()
        for listener in ("smtp", "smtps"):
            self.curl(server, listener)
            self.check_arrived(server, "ESMTPS")

    def test_it_authenticates(self):
        server = self.secured()
        for mechanism in ("PLAIN", "LOGIN"):
            for listener in ("smtp", "smtps"):
                self.curl(server, listener, "--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}")
                self.check_arrived(server, "ESMTPSA")
        self.curl(server, "smtp", "--user", f"{USER}:wrong", status=67)
        self.check_authenticated(server, "PLAIN", "PLAIN", "LOGIN", "LOGIN")

    def test_it_is_known_by_its_certificate(self):
        certificate, key = certificate_of_client(ALICE)
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtp": {"tls-client": "request"}})
        self.curl(server, "smtp", "--cert", certificate, "--key", key, "--user", ALICE + ":", "--login-options", "AUTH=EXTERNAL")
        self.check_authenticated(server, "EXTERNAL", user=ALICE)

    def test_it_checks_the_name(self):
        server = self.secured(tls=tls_rows(certificate_of_host("mail.example.net")))
        self.curl(server, "smtp", status=60)
        self.assertEqual(server.maildir().names(), [])


class Msmtp(ClientCase):
    def msmtp(self, server, listener, *rows, protocol="smtp", status=0):
        address = server.listeners[listener]
        host, port = address if isinstance(address, tuple) else ("localhost", 25)
        socket_row = () if isinstance(address, tuple) else (f"socket {address}",)
        starttls = "off" if listener.endswith("s") else "on"
        config = self.folder / "msmtprc"
        config.touch(0o600)
        config.write_text("\n".join(("account default", f"host {host}", f"port {port}", *socket_row, f"protocol {protocol}",
                                     f"from {SENDER}", "tls on", f"tls_starttls {starttls}", f"tls_trust_file {authority().certificate}",
                                     f"tls_host_override {HOSTNAME}", "set_date_header off", "set_msgid_header off", *rows, "")))
        self.run_client(self.need_program("msmtp"), "-C", config, "--timeout=60", ALICE, stdin=odd_message(), status=status)

    def test_it_delivers(self):
        server = self.secured()
        for listener in ("smtp", "smtps"):
            self.msmtp(server, listener)
            self.check_arrived(server, "ESMTPS")
        for listener in ("lmtp", "lmtps"):
            self.msmtp(server, listener, protocol="lmtp")
            self.check_arrived(server, "LMTPS")

    def test_it_authenticates(self):
        server = self.secured()
        who = (f"user {USER}", f'password "{PASSWORD}"')
        for method in ("scram-sha-256", "plain", "login"):
            for listener in ("smtp", "smtps"):
                self.msmtp(server, listener, f"auth {method}", *who)
                self.check_arrived(server, "ESMTPSA")
            self.msmtp(server, "smtps", f"auth {method}", who[0], "password wrong", status=77)
        self.msmtp(server, "lmtp", "auth scram-sha-256", *who, protocol="lmtp")
        self.check_arrived(server, "LMTPSA")
        self.check_authenticated(server, *["SCRAM-SHA-256"] * 2, *["PLAIN"] * 2, *["LOGIN"] * 2, "SCRAM-SHA-256")

    def test_it_is_known_by_its_certificate(self):
        certificate, key = certificate_of_client(ALICE)
        server = self.secured(tls={"client-ca": authority().certificate},
                              sections={name: {"tls-client": "request"} for name in ("listen smtp", "listen smtps")})
        for listener in ("smtp", "smtps"):
            self.msmtp(server, listener, "auth external", f"user {ALICE}", f"tls_cert_file {certificate}", f"tls_key_file {key}")
        self.check_authenticated(server, "EXTERNAL", "EXTERNAL", user=ALICE)
        self.msmtp(server, "smtp", "auth external", "user bob", f"tls_cert_file {certificate}", f"tls_key_file {key}", status=77)


class Smtplib(ClientCase):
    def client(self, server, listener):
        host, port = server.listeners[listener]
        trusting = context()
        trusting.check_hostname = False  # it checks the address that it connects to
        if listener == "smtps":
            return smtplib.SMTP_SSL(host, port, "client.example.net", context=trusting, timeout=PATIENCE)
        client = smtplib.SMTP(host, port, "client.example.net", timeout=PATIENCE)
        client.starttls(context=trusting)
        return client

    def test_it_delivers(self):
        server = self.secured()
        for listener in ("smtp", "smtps"):
            with self.client(server, listener) as client:
                client.sendmail(SENDER, [ALICE], odd_message(), mail_options=["BODY=8BITMIME"])
                self.assertFalse(client.has_extn("starttls"))
            self.check_arrived(server, "ESMTPS")

    def test_it_authenticates(self):
        server = self.secured()
        for listener in ("smtp", "smtps"):
            for mechanism in ("PLAIN", "LOGIN"):
                with self.client(server, listener) as client:
                    client.ehlo()
                    client.esmtp_features["auth"] = mechanism
                    client.login(USER, PASSWORD, initial_response_ok=listener == "smtps")
                    client.sendmail(SENDER, [ALICE], odd_message())
                self.check_arrived(server, "ESMTPSA")
        with self.client(server, "smtp") as client, self.assertRaises(smtplib.SMTPAuthenticationError):
            client.login(USER, "wrong")
        self.check_authenticated(server, "PLAIN", "LOGIN", "PLAIN", "LOGIN")


class Nodemailer(ClientCase):
    def modules(self):
        """The folder that has nodemailer: npm's, where $POSTERN_NODE_MODULES says so, or Debian's."""
        if "POSTERN_NODE_MODULES" in os.environ:
            return os.environ["POSTERN_NODE_MODULES"]
        self.need_package("node-nodemailer", "usr/share/nodejs/nodemailer/package.json")
        return PACKAGES / "node-nodemailer/usr/share/nodejs"

    def nodemailer(self, server, listener, status=0, **options):
        host, port = server.listeners[listener]
        options = {"host": host, "port": port, "name": "client.example.net", "secure": listener == "smtps", "requireTLS": True,
                   "tls": {"ca": [authority().certificate.read_text()], "servername": HOSTNAME}, **options}
        script = Path(__file__).resolve().with_name("nodemailer.js")
        return self.run_client(self.need_program("node"), script, self.modules(), SENDER, ALICE, json.dumps(options),
                               stdin=odd_message(), status=status)

    def test_it_delivers(self):
        server = self.secured()
        for listener in ("smtp", "smtps"):
            for version in ("TLSv1.2", "TLSv1.3"):
                self.nodemailer(server, listener, tls={"ca": [authority().certificate.read_text()], "servername": HOSTNAME,
                                                       "minVersion": version, "maxVersion": version})
                self.assertIn(f"({version} ", self.check_arrived(server, "ESMTPS"))

    def test_it_authenticates(self):
        server = self.secured()
        for listener in ("smtp", "smtps"):
            for mechanism in ("PLAIN", "LOGIN"):
                self.nodemailer(server, listener, auth={"user": USER, "pass": PASSWORD}, authMethod=mechanism)
                self.check_arrived(server, "ESMTPSA")
        said = self.nodemailer(server, "smtp", auth={"user": USER, "pass": "wrong"}, status=1)
        self.assertIn("EAUTH 535", said)
        self.check_authenticated(server, "PLAIN", "LOGIN", "PLAIN", "LOGIN")


class Gsasl(ClientCase):
    """GNU SASL's own client sends no mail: it authenticates, and says so."""

    def gsasl(self, server, mechanism, *arguments, password=PASSWORD, **options):
        return self.run_client(*gsasl_command(self, server, mechanism, password), *arguments, **options)

    def test_it_authenticates(self):
        mechanisms = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
        server = self.secured()
        for mechanism in mechanisms:
            self.assertIn("\n235 2.7.0", self.gsasl(server, mechanism))
        self.check_authenticated(server, *mechanisms)
        for mechanism in mechanisms:
            self.assertIn("\n535 5.7.8", self.gsasl(server, mechanism, password="wrong", status="failure"))

    def test_channel_bindings_of_each_version(self):
        """tls-exporter (RFC 9266), and tls-unique (RFC 5929)."""
        server = self.secured()
        for version in ("1.3", "1.2"):
            self.gsasl(server, "SCRAM-SHA-256-PLUS", f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}")
        self.check_authenticated(server, *["SCRAM-SHA-256-PLUS"] * 2)

    def test_a_certificate_is_enough(self):
        certificate, key = certificate_of_client(ALICE)
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtp": {"tls-client": "request"}})
        self.gsasl(server, "EXTERNAL", f"--x509-cert-file={certificate}", f"--x509-key-file={key}", "-z", "")
        self.check_authenticated(server, "EXTERNAL", user=ALICE)


if __name__ == "__main__":
    main()
