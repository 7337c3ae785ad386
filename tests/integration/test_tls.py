"""TLS and AUTH on the daemon: what is offered to whom and told of it, which certificate, and who may go on without."""
import base64
import re
import shutil
import socket
import ssl
import struct

from harness import DOMAIN, HOSTNAME, TOOLS, Wire, lf, main, odd_message, simple_message, split_trace, wait_until
from tls import (PASSWORD, USER, TlsCase, authenticate, authority, certificate_of_client, certificate_of_host, certificate_of_stranger,
                 context, expired_certificate, give_to_workers, implicit, password_line, passwords, plain, received, secure, starttls,
                 tls_rows)

ALICE = f"alice@{DOMAIN}"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
LOCAL = {"auth-without-tls": "yes"}  # of a listener that nobody from outside can reach


def features(hello):
    """{"AUTH": "PLAIN LOGIN", "STARTTLS": "", ...} of a reply to EHLO."""
    lines = hello.split("\n")[1:]
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def open_wire(server, protocol, how):
    """A wire that has said hello: in plain text, in TLS by STARTTLS, or in TLS from the first octet."""
    lmtp = protocol == "lmtp"
    if how == "implicit":
        wire = implicit(server.listeners[f"{protocol}s"])
        wire.hello(lmtp)
        return wire
    wire = server.connect_lmtp() if lmtp else server.connect()
    wire.hello(lmtp)
    if how == "starttls":
        starttls(wire)
        wire.hello(lmtp)
    return wire


class Trace(TlsCase):
    def test_with_is_the_right_word_in_every_combination(self):
        """RFC 3848, RFC 6531 4.3."""
        server = self.secured(sections={"listen smtp": LOCAL, "listen lmtp": LOCAL})
        expected = {}
        for protocol in ("smtp", "lmtp"):
            for how in ("plain", "starttls", "implicit"):
                for auth in (False, True):
                    with open_wire(server, protocol, how) as wire:
                        if auth:
                            authenticate(wire)
                        for utf8 in (False, True):
                            subject = f"{protocol} {how} {auth} {utf8}"
                            wire.envelope(ALICE, mail=" SMTPUTF8" if utf8 else "")
                            wire.data(simple_message(subject=subject.encode()))
                            wire.expect(250, "2.0.0")
                            word = {("smtp", False): "ESMTP", ("smtp", True): "UTF8SMTP",
                                    ("lmtp", False): "LMTP", ("lmtp", True): "UTF8LMTP"}[protocol, utf8]
                            expected[subject] = word + "S" * (how != "plain") + "A" * auth
        self.assertEqual(self.words_by_subject(server), expected)

    def test_helo_has_but_one_word(self):
        server = self.secured()
        with open_wire(server, "smtp", "starttls") as wire:
            wire.command("HELO client.example.net", 250)
            wire.deliver(simple_message(subject=b"helo"), ALICE)
        self.assertEqual(self.words_by_subject(server), {"helo": "SMTP"})

    def words_by_subject(self, server):
        return {re.search(rb"(?m)^Subject: (.*)$", content)[1].decode(): re.search(r" with (\S+)", received(content))[1]
                for content in server.maildir().contents()}

    def test_received_tells_what_is_known(self):
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtp": {"tls-client": "request"}})
        with server.connect() as wire:
            wire.hello()
            starttls(wire, with_context=context(TLS13, certificate_of_client(ALICE)))
            wire.hello()
            authenticate(wire)
            wire.deliver(odd_message(), ALICE)
        trace, rest = split_trace(server.maildir().only())
        self.assertEqual(rest, lf(odd_message()))
        self.assertIn(f"by {HOSTNAME} with ESMTPSA (TLSv1.3 TLS_AES_128_GCM_SHA256) (server name {HOSTNAME}) "
                      f"(client certificate CN=Alice Example,O=Example) (authenticated as {USER}) id ", received(trace))

    def test_a_certificate_of_a_stranger_is_told_as_such(self):
        """Anybody can write a name into one: handlers are told no more than that there is none to go by."""
        act = TOOLS / "handlers" / "act.so"
        if not act.exists():
            self.skipTest(f"{act} was not built")
        server = self.secured(tls={"client-ca": authority().certificate},
                              sections={"handler act": {"load": act, "option.do": "envelope"}, "listen smtps": {"tls-client": "request"}})
        with implicit(server.listeners["smtps"], with_context=context(TLS13, certificate_of_stranger(ALICE))) as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        (secured,) = server.wait_log("secured")
        self.assertEqual((secured["certificate"], secured["verified"]), ("CN=Alice Example,O=Example", "no"))
        self.assertIn(" (client certificate CN=Alice Example,O=Example, not verified) id ", received(server.maildir().only()))
        told = [event["text"] for event in server.wait_log("handler-log", 12)]
        self.assertEqual(told[7:12], ["TLSv1.3", "TLS_AES_128_GCM_SHA256", HOSTNAME, "(none)", "(none)"])

    def test_nothing_is_told_that_is_not_known(self):
        server = self.secured()
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(subject=b"plain"), ALICE)
        with server.connect() as wire:
            wire.hello()
            starttls(wire, None, with_context=context(TLS12, trusts=False))
            wire.hello()
            wire.deliver(simple_message(subject=b"nameless"), ALICE)
        told = sorted(re.search(r" with (.*) id ", received(content))[1] for content in server.maildir().contents())
        self.assertEqual(told[0], "ESMTP")
        self.assertRegex(told[1], r"^ESMTPS \(TLSv1\.2 ECDHE-ECDSA-[A-Z0-9-]+\)$")

    def test_the_log_tells_it(self):
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtps": {"tls-client": "request"}})
        with implicit(server.listeners["smtps"], with_context=context(TLS13, certificate_of_client(ALICE))) as wire:
            wire.hello()
            authenticate(wire)
        (opened,) = server.wait_log("session-opened")
        (secured,) = server.wait_log("secured")
        (authenticated,) = server.wait_log("authenticated")
        self.assertEqual({key: secured.get(key) for key in ("session", "version", "cipher", "server_name", "certificate")},
                         {"session": opened["session"], "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256",
                          "server_name": HOSTNAME, "certificate": "CN=Alice Example,O=Example"})
        self.assertEqual({key: authenticated.get(key) for key in ("session", "user", "mechanism")},
                         {"session": opened["session"], "user": USER, "mechanism": "PLAIN"})

    def test_handlers_are_told(self):
        act = TOOLS / "handlers" / "act.so"
        if not act.exists():
            self.skipTest(f"{act} was not built")
        server = self.secured(tls={"client-ca": authority().certificate},
                              sections={"handler act": {"load": act, "option.do": "envelope"}, "listen smtp": {"tls-client": "request"}})
        with server.connect() as wire:
            wire.hello()
            starttls(wire, with_context=context(TLS13, certificate_of_client(ALICE)))
            wire.hello()
            authenticate(wire)
            wire.deliver(simple_message(), ALICE)
        told = [event["text"] for event in server.wait_log("handler-log", 12)]
        self.assertEqual(told[3], "ESMTPSA")
        self.assertEqual(told[7:12], ["TLSv1.3", "TLS_AES_128_GCM_SHA256", HOSTNAME, "CN=Alice Example,O=Example", USER])


class Offers(TlsCase):
    def test_what_is_offered_where(self):
        """(listener, its rows) and what EHLO says of STARTTLS, AUTH and REQUIRETLS in front of TLS and inside it."""
        mechanisms = "SCRAM-SHA-256 PLAIN LOGIN"
        rows = [({}, {"STARTTLS": ""}, {"AUTH", "REQUIRETLS"}),
                (LOCAL, {"STARTTLS": "", "AUTH": mechanisms}, {"AUTH", "REQUIRETLS"}),
                ({"auth": "off"}, {"STARTTLS": ""}, {"REQUIRETLS"}),
                ({"tls": "required"}, {"STARTTLS": ""}, {"AUTH", "REQUIRETLS"}),
                ({"tls": "off", "auth": "off"}, {}, None),
                ({"tls": "off", **LOCAL}, {"AUTH": mechanisms}, None)]
        for row, outside, inside in rows:
            with self.subTest(row):
                server = self.secured(sections={"listen smtp": row})
                with server.connect() as wire:
                    said = features(wire.hello())
                    self.assertEqual({key: said[key] for key in ("STARTTLS", "AUTH", "REQUIRETLS") if key in said}, outside)
                    if inside is None:
                        wire.command("STARTTLS", 502, "5.5.1")
                        continue
                    starttls(wire)
                    said = features(wire.hello())
                    self.assertEqual({"STARTTLS", "AUTH", "REQUIRETLS"} & said.keys(), inside)
                    wire.command("STARTTLS", 503, "5.5.1")
                server.stop()

    def test_mechanisms_are_those_that_make_sense(self):
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtps": {"tls-client": "request"}})
        for how, expected in (
                ({"with_context": context(TLS13)}, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
                ({"with_context": context(TLS12)}, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
                ({"with_context": context(TLS13, certificate_of_client(ALICE))},
                 "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
                ({"with_context": context(TLS13, certificate_of_stranger(ALICE))},
                 "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN")):
            with implicit(server.listeners["smtps"], **how) as wire:
                self.assertEqual(features(wire.hello())["AUTH"], expected)

    def test_mechanisms_can_be_chosen(self):
        server = self.secured(auth={"mechanisms": "PLAIN, SCRAM-SHA-256"})
        with implicit(server.listeners["smtps"]) as wire:
            self.assertEqual(features(wire.hello())["AUTH"], "SCRAM-SHA-256 PLAIN")
            wire.command("AUTH LOGIN", 504, "5.5.4")
            authenticate(wire)

    def test_auth_waits_for_tls(self):
        server = self.secured()
        with server.connect() as wire:
            wire.hello()
            wire.command(f"AUTH PLAIN {plain()}", 538, "5.7.11")
            starttls(wire)
            wire.hello()
            authenticate(wire)
        with open_wire(self.secured(sections={"listen smtp": {"auth": "off"}}), "smtp", "starttls") as wire:
            wire.command(f"AUTH PLAIN {plain()}", 503, "5.5.1")

    def test_auth_without_tls_is_for_those_on_this_host(self):
        server = self.postern(False, sections={"auth": {"passwords": passwords()},
                                               "listen smtp": {"address": "0.0.0.0:0", "auth": "optional", **LOCAL}})
        server.command_line()
        done = self.run_postern("check", "-c", server.config)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("auth-without-tls", done.stdout + done.stderr)

    def test_required_tls(self):
        server = self.secured(sections={"listen smtp": {"tls": "required", "auth": "required"}})
        with server.connect() as wire:
            wire.command("MAIL FROM:<bob@example.net>", 530, "5.7.0")
            wire.hello()
            for command in ("MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>", "DATA", "RSET", "VRFY alice"):
                wire.command(command, 530, "5.7.0")
            wire.command("NOOP", 250)
            starttls(wire)
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 530, "5.7.0")
            authenticate(wire)
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_required_authentication(self):
        server = self.secured(sections={"listen smtps": {"auth": "required"}, "listen lmtp": {"auth": "required", **LOCAL}})
        for wire, lmtp in ((implicit(server.listeners["smtps"]), False), (server.connect_lmtp(), True)):
            with wire:
                wire.hello(lmtp)
                wire.command("MAIL FROM:<bob@example.net>", 530, "5.7.0")
                wire.command(f"AUTH PLAIN {plain(USER, 'not it')}", 535, "5.7.8")
                wire.command("MAIL FROM:<bob@example.net>", 530, "5.7.0")
                authenticate(wire)
                wire.deliver(simple_message(), ALICE)
        self.assertEqual(len(server.maildir().names()), 2)

    def test_requiretls_is_known_inside_tls_alone(self):
        """RFC 8689 2."""
        server = self.secured()
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net> REQUIRETLS", 555, "5.5.4")
            starttls(wire)
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net> REQUIRETLS=yes", 501, "5.5.4")
            wire.envelope(ALICE, mail=" REQUIRETLS")
            wire.data(simple_message())
            wire.expect(250, "2.0.0")

    def test_nothing_is_left_of_what_was_said_in_front_of_tls(self):
        """RFC 3207 4.2."""
        server = self.secured()
        with server.connect() as wire:
            wire.hello()
            wire.send(b"STARTTLS\r\nEHLO injected.example.net\r\nMAIL FROM:<mallory@example.net>\r\n")
            wire.expect(220, "2.0.0")
            secure(wire)
            wire.command("MAIL FROM:<bob@example.net>", 503, "5.5.1")
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertTrue(server.maildir().only().startswith(b"Return-Path: <bob@example.net>\n"))
        self.assertIn("from client.example.net ", received(server.maildir().only()))

    def test_who_was_spoken_for_in_front_of_tls_is_forgotten(self):
        server = self.secured(sections={"listen smtp": {"xclient": "127.0.0.0/8"}})
        with server.connect() as wire:
            wire.hello()
            wire.command("XCLIENT NAME=evil.example.net ADDR=203.0.113.9", 220)
            wire.hello()
            starttls(wire)
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertIn("from client.example.net ([127.0.0.1])", received(server.maildir().only()))

    def test_the_certificate_of_a_proxy_is_not_that_of_whom_it_speaks_for(self):
        server = self.secured(tls={"client-ca": authority().certificate},
                              sections={"listen smtp": {"xclient": "127.0.0.0/8", "tls-client": "request"}})
        with server.connect() as wire:
            wire.hello()
            starttls(wire, with_context=context(TLS13, certificate_of_client(ALICE)))
            self.assertIn("EXTERNAL", features(wire.hello())["AUTH"].split())
            wire.command("XCLIENT NAME=other.example.net ADDR=203.0.113.9", 220)
            offered = features(wire.hello())["AUTH"].split()
            self.assertEqual([name for name in offered if name in ("EXTERNAL", "SCRAM-SHA-256-PLUS")], [])
            wire.command("AUTH EXTERNAL =", 504, "5.5.4")
            wire.deliver(simple_message(), ALICE)
        self.assertNotIn("certificate", received(server.maildir().only()))

    def test_what_was_offered_before_xclient_is_not_after_it_in_one_segment(self):
        server = self.secured(tls={"client-ca": authority().certificate},
                              sections={"listen smtp": {"xclient": "127.0.0.0/8", "tls-client": "request"}})
        for named in ("XCLIENT ADDR=203.0.113.9\r\nEHLO c", "XCLIENT ADDR=203.0.113.9 HELO=c PROTO=ESMTP"):
            for mechanism in ("EXTERNAL =", "SCRAM-SHA-256-PLUS"):
                with server.connect() as wire:
                    wire.hello()
                    starttls(wire, with_context=context(TLS13, certificate_of_client(ALICE)))
                    self.assertIn(mechanism.split()[0], features(wire.hello())["AUTH"].split())
                    wire.send(f"{named}\r\nAUTH {mechanism}\r\nQUIT\r\n".encode())
                    wire.expect(220)
                    if "EHLO" in named:
                        wire.expect(250)
                    wire.expect(504, "5.5.4")
                    wire.expect(221)


class Certificates(TlsCase):
    OTHER, ANY = "mail.example.net", "*.example.com"

    def common_name(self, address, name, with_context=None):
        """Of the certificate that this name gets."""
        with implicit(address, name, with_context=with_context or context()) as wire:
            wire.command("NOOP", 250)
            return dict(row[0] for row in wire.socket.getpeercert()["subject"])["commonName"]

    def test_the_name_chooses_one(self):
        server = self.secured(sections={"tls net": tls_rows(certificate_of_host(self.OTHER, "alias.example.net")),
                                        "tls com": tls_rows(certificate_of_host(self.ANY))})
        address = server.listeners["smtps"]
        unchecked = context()
        unchecked.check_hostname = False
        for name, expected in ((HOSTNAME, HOSTNAME), (self.OTHER, self.OTHER), ("alias.example.net", self.OTHER),
                               (self.OTHER.upper(), self.OTHER), ("one.example.com", self.ANY)):
            self.assertEqual(self.common_name(address, name), expected, name)
        for name in (None, "unknown.example.org", "example.com", "one.two.example.com"):
            self.assertEqual(self.common_name(address, name, unchecked), HOSTNAME, name)

    def test_without_a_section_of_its_own_the_first_is_for_all(self):
        server = self.secured(tls={"certificate": None, "private-key": None},
                              sections={"tls net": tls_rows(certificate_of_host(self.OTHER)),
                                        "tls com": tls_rows(certificate_of_host(self.ANY))})
        unchecked = context()
        unchecked.check_hostname = False
        self.assertEqual(self.common_name(server.listeners["smtps"], None, unchecked), self.OTHER)

    def test_the_versions_that_there_are(self):
        server = self.secured(tls={"minimum-version": "1.3"})
        with implicit(server.listeners["smtps"], with_context=context(TLS13)) as wire:
            self.assertEqual(wire.socket.version(), "TLSv1.3")
        with self.assertRaises(ssl.SSLError):
            implicit(server.listeners["smtps"], with_context=context(TLS12))

    def test_the_order_of_ciphers_is_ours(self):
        """OpenSSL's clients would rather have AES-256."""
        server = self.secured()
        for version, expected in ((TLS12, "ECDHE-ECDSA-AES128-GCM-SHA256"), (TLS13, "TLS_AES_128_GCM_SHA256")):
            with implicit(server.listeners["smtps"], with_context=context(version)) as wire:
                self.assertEqual(wire.socket.cipher()[0], expected)

    def test_what_is_chosen_by_hand(self):
        server = self.secured(tls={"ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305", "ciphersuites": "TLS_AES_256_GCM_SHA384"})
        for version, expected in ((TLS12, "ECDHE-ECDSA-CHACHA20-POLY1305"), (TLS13, "TLS_AES_256_GCM_SHA384")):
            with implicit(server.listeners["smtps"], with_context=context(version)) as wire:
                self.assertEqual(wire.socket.cipher()[0], expected)

    def test_an_expired_one_serves_mail_and_is_told_of(self):
        server = self.secured(tls=tls_rows(expired_certificate(HOSTNAME)))
        with implicit(server.listeners["smtps"], with_context=context(trusts=False)) as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(len(server.maildir().names()), 1)
        server.wait_log("certificate-expires")
        done = self.run_postern("check", "-c", server.config)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expired", done.stdout + done.stderr)

    def test_clients_certificates_when_they_are_required(self):
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtps": {"tls-client": "require"}})
        address = server.listeners["smtps"]
        for certificate in (None, certificate_of_stranger(ALICE)):
            with self.assertRaises((ssl.SSLError, EOFError, ConnectionResetError)):
                implicit(address, with_context=context(certificate=certificate))
        with implicit(address, with_context=context(certificate=certificate_of_client(ALICE))) as wire:
            wire.hello()
            wire.command("AUTH EXTERNAL =", 235, "2.7.0")
            wire.deliver(simple_message(), ALICE)
        self.assertIn(f"(authenticated as {ALICE})", received(server.maildir().only()))

    def test_clients_certificates_when_they_are_requested(self):
        server = self.secured(tls={"client-ca": authority().certificate}, sections={"listen smtps": {"tls-client": "request"}})
        for certificate in (None, certificate_of_stranger(ALICE), certificate_of_client(ALICE)):
            with implicit(server.listeners["smtps"], with_context=context(certificate=certificate)) as wire:
                wire.hello()
                if certificate != certificate_of_client(ALICE):
                    wire.command("AUTH EXTERNAL =", 504, "5.5.4")
                wire.deliver(simple_message(), ALICE)
        self.assertEqual(len(server.maildir().names()), 3)


class Proxied(TlsCase):
    V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 465\r\n"
    V2 = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + socket.inet_aton("192.0.2.7") +
          socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4711, 465))

    def test_the_header_stands_in_front_of_tls(self):
        server = self.secured(sections={name: {"proxy": "127.0.0.1"} for name in ("listen smtps", "listen lmtps")})
        for listener in ("smtps", "lmtps"):
            for header in (self.V1, self.V2):
                with implicit(server.listeners[listener], header=header) as wire:
                    wire.hello(listener == "lmtps")
                    wire.deliver(simple_message(), ALICE)
        for content in server.maildir().contents():
            self.assertIn("[192.0.2.7]", received(content))
            self.assertRegex(received(content), "with (ESMTPS|LMTPS) ")
        self.assertEqual({event["client"] for event in server.wait_log("session-opened", 4)}, {"192.0.2.7"})

    def test_the_header_stands_in_front_of_starttls(self):
        server = self.secured(sections={"listen smtp": {"proxy": "127.0.0.1"}})
        with Wire(server.smtp, greet=False) as wire:
            wire.send(self.V2)
            wire.expect(220)
            wire.hello()
            starttls(wire)
            wire.hello()
            authenticate(wire)
            wire.deliver(simple_message(), ALICE)
        self.assertIn("[192.0.2.7]", received(server.maildir().only()))
        self.assertIn("with ESMTPSA ", received(server.maildir().only()))


class Mail(TlsCase):
    def test_large_messages_by_data_and_bdat(self):
        server = self.secured()
        message = simple_message(b"0123456789abcde\r\n" * 200_000)
        for how in ("starttls", "implicit"):
            with open_wire(server, "smtp", how) as wire:
                wire.deliver(message, ALICE)
                wire.envelope(ALICE)
                wire.bdat(message, last=True)
                wire.expect(250, "2.0.0")
        for content in server.maildir().contents():
            self.assertTrue(split_trace(content)[1] == lf(message))
        self.assertEqual(len(server.maildir().names()), 4)

    def test_a_session_that_is_cut_off_in_a_message_stores_nothing(self):
        server = self.secured()
        with open_wire(server, "smtp", "implicit") as wire:
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            wire.send(simple_message())
        server.wait_log("session-closed")
        self.assertEqual(server.maildir().names(), [])

    def test_the_connection_ends_in_good_order(self):
        server = self.secured()
        with open_wire(server, "smtp", "implicit") as wire:
            wire.socket.suppress_ragged_eofs = False  # close_notify must come
            wire.command("QUIT", 221, "2.0.0")
            self.assertTrue(wire.at_end())


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


class Users(TlsCase):
    def test_each_step_of_plain_and_login(self):
        server = self.secured()
        steps = {"PLAIN": [plain()], "LOGIN": [base64_of(USER), base64_of(PASSWORD)]}
        for mechanism, lines in steps.items():
            with implicit(server.listeners["smtps"]) as wire:
                wire.hello()
                wire.command(f"AUTH {mechanism}", 334)
                for line in lines[:-1]:
                    wire.command(line, 334)
                wire.command(lines[-1], 235, "2.7.0")
                wire.command(f"AUTH {mechanism}", 503, "5.5.1")
        self.assertEqual([event["mechanism"] for event in server.wait_log("authenticated", 2)], list(steps))

    def test_who_gives_up_may_begin_anew(self):
        server = self.secured()
        with implicit(server.listeners["smtps"]) as wire:
            wire.hello()
            for mechanism in ("PLAIN", "LOGIN"):
                wire.command(f"AUTH {mechanism}", 334)
                wire.command("*", 501, "5.7.0")
            wire.command(f"AUTH PLAIN {plain(USER, 'wrong')}", 535, "5.7.8")
            authenticate(wire)
            wire.deliver(simple_message(), ALICE)
        self.assertIn(f"(authenticated as {USER})", received(server.maildir().only()))

    def test_failures_are_told_and_end_the_session(self):
        server = self.secured()
        with implicit(server.listeners["smtps"]) as wire:
            wire.hello()
            for user, password in ((USER, "my secret"), ("nobody.here", PASSWORD)):
                wire.command(f"AUTH PLAIN {plain(user, password)}", 535, "5.7.8")
            wire.command(f"AUTH PLAIN {plain(USER, '')}", 535, "5.7.8")
            wire.expect(421, "4.7.0")
            self.assertTrue(wire.at_end())
        failed = server.wait_log("auth-failed", 3)
        self.assertEqual([(event["user"], event["client"]) for event in failed],
                         [(USER, "127.0.0.1"), ("nobody.here", "127.0.0.1"), (USER, "127.0.0.1")])
        for secret in ("my secret", PASSWORD, plain(USER, "my secret")):
            self.assertNotIn(secret, server.log_text())

    def test_a_new_user_is_known_soon(self):
        """The file is read anew."""
        file = self.folder / "passwords"
        shutil.copy(passwords(), file)
        give_to_workers(file)
        server = self.secured(auth={"passwords": file})

        def is_known():
            with implicit(server.listeners["smtps"]) as wire:
                wire.hello()
                wire.send(f"AUTH PLAIN {plain('bob', 'new')}\r\n".encode())
                return wire.reply()[0] == 235
        self.assertFalse(is_known())
        with open(file, "a") as out:
            out.write(password_line("bob", "new"))
        wait_until(is_known, "bob is known")

    def test_what_is_offered_follows_the_file(self):
        """Though nobody can say AUTH where it is not offered, and so ask for the file."""
        file = self.folder / "passwords"
        file.write_text("# nobody yet\n")
        give_to_workers(file)
        server = self.secured(auth={"passwords": file, "mechanisms": "SCRAM-SHA-256"})

        def is_offered():
            with implicit(server.listeners["smtps"]) as wire:
                return features(wire.hello()).get("AUTH") == "SCRAM-SHA-256"
        self.assertFalse(is_offered())
        file.write_text(password_line(USER, PASSWORD))
        wait_until(is_offered, "SCRAM is offered")


if __name__ == "__main__":
    main()
