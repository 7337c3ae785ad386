"""Certificates that change while the server runs: new ones are used, bad ones are not, and no transaction is cut off."""
import contextlib
import os
import signal
import smtplib
import socket
import ssl
from pathlib import Path

from certificates import Authority, serial
from harness import Case, DOMAIN, HOSTNAME, PATIENCE, ROOT, lf, main, simple_message, split_trace, wait_until
from test_lifecycle import is_gone

ALICE = f"alice@{DOMAIN}"


class Certificates(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder / "tls")
        self.certificate, self.key = self.authority.issue("mx", HOSTNAME)

    def server(self, **options):
        sections = {"tls": {"certificate": self.certificate, "private-key": self.key},
                    "listen smtp": {"tls": "optional"},
                    "listen tls": {"address": "127.0.0.1:0", "tls": "implicit"}}
        for name, rows in options.pop("sections", {}).items():
            sections.setdefault(name, {}).update(rows)
        return self.postern(sections=sections, **options)

    def context(self):
        return ssl.create_default_context(cafile=self.authority.certificate)

    def served(self, server, name=HOSTNAME):
        """The serial number of the certificate that a new client gets, which it verifies."""
        with socket.create_connection(server.listeners["tls"], PATIENCE) as plain:
            with self.context().wrap_socket(plain, server_hostname=name) as wrapped:
                return serial(ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True)))

    def of_file(self, certificate=None):
        return serial(Path(certificate or self.certificate).read_text())

    def wait_used(self, server, former, count=1, event="certificates-reloaded"):
        """Until it is used: the former workers, which know nothing of it, have ended."""
        server.wait_log(event, count)
        wait_until(lambda: all(is_gone(pid) for pid in former), "the former workers end")

    def replace(self, name="mx", *hosts, **options):
        return self.authority.issue(name, *(hosts or (HOSTNAME,)), **options)

    def deliver(self, server):
        with smtplib.SMTP(*server.smtp, timeout=PATIENCE) as client:
            client._host = HOSTNAME  # what it asks for and looks for in the certificate
            client.starttls(context=self.context())
            client.sendmail("bob@example.net", [ALICE], simple_message())

    # -- new ones

    def test_new_files_are_used_without_being_told(self):
        server = self.server()
        former = server.workers()
        self.assertEqual(self.served(server), self.of_file())
        old = self.of_file()
        self.replace()
        self.assertNotEqual(self.of_file(), old)
        self.wait_used(server, former)
        self.assertEqual(self.served(server), self.of_file())
        self.deliver(server)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))
        self.assertFalse(server.events("certificates-kept"))

    def test_a_link_that_is_turned_is_a_change(self):
        """As certbot has it: links into an archive."""
        links = self.folder / "live"
        links.mkdir()
        for path in (self.certificate, self.key):
            (links / path.name).symlink_to(path)
        server = self.server(sections={"tls": {"certificate": links / "mx.pem", "private-key": links / "mx.key"}})
        former = server.workers()
        certificate, key = self.authority.issue("mx2", HOSTNAME)
        for link, path in (("mx.key", key), ("mx.pem", certificate)):
            (self.folder / "next").symlink_to(path)
            os.rename(self.folder / "next", links / link)
        self.wait_used(server, former)
        self.assertEqual(self.served(server), self.of_file(certificate))

    def test_sighup_reads_them_as_well(self):
        server = self.server()
        former = server.workers()
        other, key = self.authority.issue("other", HOSTNAME)
        server.sections["tls"] = {"certificate": other, "private-key": key}
        server.config.write_text(server.config_text())
        server.signal(signal.SIGHUP)
        self.wait_used(server, former, event="reloaded")
        self.assertEqual(self.served(server), self.of_file(other))
        former = server.workers()
        self.replace("other")  # and from now on it is these that are watched
        self.wait_used(server, former)
        self.assertEqual(self.served(server), self.of_file(other))

    def test_who_is_connected_goes_on(self):
        server = self.server()
        (former,) = server.workers()
        with socket.create_connection(server.listeners["tls"], PATIENCE) as plain:
            with self.context().wrap_socket(plain, server_hostname=HOSTNAME) as wrapped:
                file = wrapped.makefile("rwb")

                def say(line, code):
                    file.write(line + b"\r\n")
                    file.flush()
                    expect(code)

                def expect(code):
                    while (reply := file.readline())[3:4] == b"-":
                        pass
                    self.assertEqual(reply[:3], code, reply)
                expect(b"220")
                say(b"EHLO client.example.net", b"250")
                say(b"MAIL FROM:<bob@example.net>", b"250")
                say(f"RCPT TO:<{ALICE}>".encode(), b"250")
                say(b"DATA", b"354")
                self.replace()
                server.wait_log("certificates-reloaded")
                server.workers(other_than=(former,))
                self.assertFalse(is_gone(former))
                file.write(simple_message())
                say(b".", b"250")
                expect(b"421")
        wait_until(lambda: is_gone(former), "the former worker ends")
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_workers_that_die_leave_theirs_to_the_next(self):
        server = self.server()
        server.may_lose_workers = True
        used = self.of_file()
        (worker,) = server.workers()
        self.replace(days=30)
        server.wait_log("certificates-reloaded")
        (worker,) = server.workers(other_than=(worker,))
        new = self.of_file()
        self.assertNotEqual(used, new)
        self.key.unlink()  # nobody reads it now
        os.kill(worker, signal.SIGKILL)
        server.workers(other_than=(worker,))
        self.assertEqual(self.served(server), new)
        server.wait_log("certificates-kept")

    # -- bad ones

    def test_bad_ones_keep_the_old(self):
        server = self.server()
        workers = server.workers()
        used = self.of_file()
        self.certificate.write_text("rubbish\n")
        (event,) = server.wait_log("certificates-kept")
        self.assertIn(f"{server.config}:", event["problem"])
        self.assertIn(f"certificate = {self.certificate}: has no certificate in it", event["problem"])
        self.assertEqual(server.workers(), workers)
        self.assertEqual(self.served(server), used)
        self.deliver(server)
        self.replace()
        self.wait_used(server, workers)
        self.assertEqual(self.served(server), self.of_file())

    def test_a_key_that_everybody_can_read_keeps_the_old_until_it_is_closed(self):
        server = self.server()
        used = self.of_file()
        self.key.chmod(0o644)
        (event,) = server.wait_log("certificates-kept")
        self.assertIn("mode 0644", event["problem"])
        self.assertEqual(self.served(server), used)
        self.key.chmod(0o600)
        server.wait_log("certificates-reloaded")

    def test_expired_ones_keep_the_old_while_those_are_valid(self):
        server = self.server()
        workers = server.workers()
        used = self.of_file()
        self.replace(days=-1)
        (event,) = server.wait_log("certificates-kept")
        self.assertIn(f"{server.config}:", event["problem"])
        self.assertIn(f"certificate = {self.certificate}: has expired on ", event["problem"])
        server.signal(signal.SIGHUP)
        (event,) = server.wait_log("reload-failed")
        self.assertIn(f"certificate = {self.certificate}: has expired on ", event["problem"])
        self.assertEqual(server.workers(), workers)
        self.assertEqual(self.served(server), used)
        self.replace()
        self.wait_used(server, workers)
        self.assertEqual(self.served(server), self.of_file())

    def test_expired_ones_take_the_place_of_expired_ones(self):
        self.replace(days=-1)
        server = self.server()
        for event, tell in (("certificates-reloaded", lambda: None), ("reloaded", lambda: server.signal(signal.SIGHUP))):
            former = server.workers()
            self.replace(days=-1)
            tell()
            self.wait_used(server, former, event=event)
        self.assertFalse(server.events("certificates-kept"))

    def test_a_reload_with_bad_ones_keeps_all(self):
        server = self.server()
        workers = server.workers()
        used = self.of_file()
        server.sections["tls"]["certificate"] = self.folder / "none.pem"
        server.config.write_text(server.config_text())
        server.signal(signal.SIGHUP)
        (event,) = server.wait_log("reload-failed")
        self.assertIn("none.pem: cannot be read", event["problem"])
        self.assertEqual(server.workers(), workers)
        self.assertEqual(self.served(server), used)

    # -- what it tells, and who may read

    def test_what_expires_soon_is_told_at_start_and_after_a_change(self):
        self.replace(days=10)
        server = self.server()
        (event,) = server.wait_log("certificate-expires")
        self.assertEqual((event["level"], event["path"]), ("warning", str(self.certificate)))
        self.assertIn(event["days"], ("9", "10"))
        self.replace(days=5)
        told = server.wait_log("certificate-expires", 2)
        self.assertIn(told[1]["days"], ("4", "5"))
        self.replace(days=90)
        server.wait_log("certificates-reloaded", 2)
        self.assertEqual(len(server.events("certificate-expires")), 2)

    def test_the_key_is_for_root_alone(self):
        if not ROOT:
            self.skipTest("only root can own what its workers cannot read")
        self.authority.folder.chmod(0o700)  # the workers cannot even look into the folder
        server = self.server()
        former = server.workers()
        self.assertEqual(self.served(server), self.of_file())
        server.signal(signal.SIGHUP)
        self.wait_used(server, former, event="reloaded")
        self.assertEqual(self.served(server), self.of_file())
        former = server.workers()
        self.replace()
        self.wait_used(server, former)
        self.assertEqual(self.served(server), self.of_file())
        for worker in server.workers():
            for link in Path(f"/proc/{worker}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # it is closed by now
                    self.assertNotIn(str(self.authority.folder), os.readlink(link))

    # -- names

    def test_names_choose_among_sections(self):
        other, key = self.authority.issue("other", "other.example.org", "*.example.net")
        server = self.server(sections={"tls other": {"certificate": other, "private-key": key}})
        self.assertEqual(self.served(server), self.of_file())
        self.assertEqual(self.served(server, "other.example.org"), self.of_file(other))
        self.assertEqual(self.served(server, "a.example.net"), self.of_file(other))
        former = server.workers()
        self.replace("other", "other.example.org")
        self.wait_used(server, former)
        self.assertEqual(self.served(server, "other.example.org"), self.of_file(other))
        self.assertEqual(self.served(server), self.of_file())


if __name__ == "__main__":
    main()
