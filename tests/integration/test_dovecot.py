"""Dovecot says who may log in, and how: `[auth] dovecot` is the socket of its authentication service."""
import base64
import contextlib
import hashlib
import hmac
import os
import signal
import subprocess
from pathlib import Path

from harness import (DOMAIN, PACKAGES, PATIENCE, ROOT, WORKER_USER, main, print_diagnostics, processes_of_session, simple_message,
                     wait_until)
from scram import Scram, b64
from tls import (PASSWORD, USER, TlsCase, authenticate, authority, certificate_of_client, context, gsasl_command, implicit, plain,
                 received)

PACKAGE = PACKAGES.resolve() / "dovecot-imapd"
ALICE = f"alice@{DOMAIN}"
# Nothing of it lies where it was built for; so it is told where.
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
libexec_dir = {package}/usr/lib/dovecot
import_environment = LD_LIBRARY_PATH={libraries}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service config {{
  executable = {package}/usr/lib/dovecot/config -c {folder}/dovecot.conf
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener {folder}/auth-client {{
    mode = 0666
  }}
}}
protocols =
ssl = no
auth_mechanisms = plain login scram-sha-256 external
auth_ssl_username_from_cert = yes
auth_failure_delay = 0
auth_debug = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
"""


class DovecotCase(TlsCase):
    """self.running() is Dovecot, with USER's password; further `users` are lines of its file."""
    users = ""

    def setUp(self):
        super().setUp()
        self.need_package("dovecot-imapd", "usr/bin/doveconf")
        self.dovecot = self.folder / "dovecot"
        self.dovecot.mkdir()
        self.socket = self.dovecot / "auth-client"
        self.config = self.dovecot / "dovecot.conf"
        folders = {path.parent for part in ("lib", "usr/lib") for path in (PACKAGE / part).glob("**/*.so*")}
        self.libraries = ":".join(sorted(map(str, folders)))
        self.config.write_text(CONFIG.format(folder=self.dovecot, package=PACKAGE, libraries=self.libraries,
                                             user=WORKER_USER or os.getuid(), group="nogroup" if ROOT else os.getgid()))
        (self.dovecot / "users").write_text(f"{USER}:{PASSWORD}\n{ALICE}:::::::nopassword\n{self.users}")

    @contextlib.contextmanager
    def running(self):
        """Dovecot, whose socket is there; its master process."""
        command = [PACKAGE / "usr/bin/doveconf", "-c", self.config, "-f", "service=master", "-m", "master",
                   "-e", PACKAGE / "usr/sbin/dovecot", "-F"]
        process = subprocess.Popen([str(word) for word in command], start_new_session=True, stdin=subprocess.DEVNULL,
                                   env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": self.libraries})
        try:
            wait_until(lambda: self.socket.exists() or process.poll() is not None, "Dovecot runs")
            self.assertIsNone(process.poll(), "Dovecot ended")
            yield process
        except BaseException:
            log = self.dovecot / "log"
            print_diagnostics(log.read_text() if log.exists() else "Dovecot has no log")
            raise
        finally:
            for pid in processes_of_session(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            process.wait(PATIENCE)
            wait_until(lambda: not processes_of_session(process.pid), "Dovecot is gone")

    def secured_by_dovecot(self, **options):
        return self.secured(auth={"passwords": None, "dovecot": self.socket}, **options)

    def reply_to(self, server, initial):
        with implicit(server.listeners["smtps"]) as wire:
            wire.hello()
            wire.send(f"AUTH PLAIN {initial}\r\n".encode())
            return wire.reply()[0]

    def wait_for_dovecot(self, server):
        wait_until(lambda: self.reply_to(server, plain()) == 235, f"{USER} is known")


class Dovecot(DovecotCase):
    def test_its_users_are_ours(self):
        with self.running():
            server = self.secured_by_dovecot()
            self.wait_for_dovecot(server)
            with implicit(server.listeners["smtps"]) as wire:
                self.assertIn("\nAUTH SCRAM-SHA-256 PLAIN LOGIN\n", wire.hello())
                wire.command(f"AUTH PLAIN {plain(USER, 'not it')}", 535, "5.7.8")
                authenticate(wire)
                wire.deliver(simple_message(), ALICE)
        self.assertIn(f"(authenticated as {USER})", received(server.maildir().only()))

    def test_each_mechanism(self):
        with self.running():
            server = self.secured_by_dovecot()
            self.wait_for_dovecot(server)
            mechanisms = ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
            for mechanism in mechanisms:
                for password, status in ((PASSWORD, 0), ("not it", 1)):
                    done = subprocess.run(gsasl_command(self, server, mechanism, password), capture_output=True, text=True,
                                          timeout=PATIENCE, stdin=subprocess.DEVNULL)
                    self.assertEqual(done.returncode, status, done.stdout + done.stderr)
            _, *events = server.wait_log("authenticated", 1 + len(mechanisms))
            self.assertEqual([(event["mechanism"], event["user"]) for event in events], [(mechanism, USER) for mechanism in mechanisms])

    def test_it_may_come_later_and_come_back(self):
        server = self.secured_by_dovecot()
        for _ in range(2):
            self.assertEqual(self.reply_to(server, plain()), 454)
            with self.running():
                self.wait_for_dovecot(server)
                self.assertEqual(self.reply_to(server, plain(USER, "not it")), 535)
            self.socket.unlink(missing_ok=True)
            wait_until(lambda: self.reply_to(server, plain()) == 454, "it is missed")

    def test_certificates_name_users(self):
        with self.running():
            server = self.secured_by_dovecot(tls={"client-ca": authority().certificate},
                                             sections={"listen smtps": {"tls-client": "request"}})
            self.wait_for_dovecot(server)
            with implicit(server.listeners["smtps"], with_context=context(certificate=certificate_of_client(ALICE))) as wire:
                self.assertIn("\nAUTH EXTERNAL ", wire.hello())
                wire.command("AUTH EXTERNAL =", 235, "2.7.0")
            self.assertEqual(server.wait_log("authenticated", 2)[-1]["user"], ALICE)


def scram_line(user, password, salt=b"salt of the test", iterations=4096):
    """Of Dovecot's, who has no password of that user, but what proves one."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return f"{user}:{{SCRAM-SHA-256}}{iterations},{b64(salt)},{b64(stored)},{b64(hmac.digest(salted, b'Server Key', 'sha256'))}\n"


class Trouble(DovecotCase):
    """Hashes that say no password, and a service that stops, dies and fails."""
    YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$6JlLzEdKMvGk83Zgd3owplAejssJr2SFlJFlOc7i54A"  # of "open sesame"
    users = scram_line("bob", PASSWORD) + f"carol:{{CRYPT}}{YESCRYPT}\nbroken:{{CRYPT}}$y$no-such-hash\n"

    def session(self, server):
        wire = implicit(server.listeners["smtps"])
        wire.hello()
        return wire

    def begin_scram(self, wire, scram):
        """The server's first message."""
        return base64.b64decode(wire.command(f"AUTH SCRAM-SHA-256 {b64(scram.first())}", 334))

    def service(self, master):
        """Of Dovecot's processes, the one that answers."""
        return next(pid for pid in processes_of_session(master.pid)
                    if Path(f"/proc/{pid}/comm").read_text() == "auth\n")

    def test_of_hashes_too(self):
        with self.running():
            server = self.secured_by_dovecot()
            self.wait_for_dovecot(server)
            for user, password in (("bob", PASSWORD), ("carol", "open sesame")):
                with self.session(server) as wire:
                    wire.command(f"AUTH PLAIN {plain(user, 'not it')}", 535, "5.7.8")
                    wire.command(f"AUTH PLAIN {plain(user, password + ' ')}", 535, "5.7.8")
                    wire.command("AUTH LOGIN", 334)
                    wire.command(b64(user.encode()), 334)
                    wire.command(b64(password.encode()), 235)
            with self.session(server) as wire:
                bad, good = Scram("bob", "not it"), Scram("bob", PASSWORD)
                wire.command(b64(bad.final(self.begin_scram(wire, bad))), 535, "5.7.8")
                self.assertEqual(base64.b64decode(wire.command(b64(good.final(self.begin_scram(wire, good))), 334)), good.verifier)
                wire.command("", 235)

    def test_cancelled_and_hung_up_in_the_middle(self):
        with self.running():
            server = self.secured_by_dovecot()
            self.wait_for_dovecot(server)
            for _ in range(3):
                wire = self.session(server)
                self.begin_scram(wire, Scram(USER, PASSWORD))
                wire.close()
            with self.session(server) as wire:
                self.begin_scram(wire, Scram(USER, PASSWORD))
                wire.command("*", 501)
                self.begin_scram(wire, Scram(USER, PASSWORD))
                wire.command("not base64", 501)
                authenticate(wire)

    def test_it_dies_in_the_middle_of_an_exchange_and_comes_back(self):
        """Nobody is let in by half of one, and none that was begun with the old one goes on with the new one."""
        with self.running() as master:
            server = self.secured_by_dovecot()
            self.wait_for_dovecot(server)
            service = self.service(master)
            with self.session(server) as begun, self.session(server) as asked, self.session(server) as bystander:
                scram = Scram(USER, PASSWORD)
                first = self.begin_scram(begun, scram)
                os.kill(service, signal.SIGSTOP)
                asked.send(f"AUTH PLAIN {plain()}\r\n".encode())
                bystander.deliver(simple_message(), ALICE)
                os.kill(service, signal.SIGKILL)
                asked.expect(454, "4.7.0")
                begun.command(b64(scram.final(first)), 454, "4.7.0")
                for wire in (begun, asked, bystander):
                    wire.command("NOOP", 250)
                self.wait_for_dovecot(server)
                for wire in (begun, asked, bystander):
                    authenticate(wire)
            self.assertEqual(server.wait_log("auth-refused", 2)[0]["reason"], "dovecot-gone")
            self.assertNotIn(plain(), "\n".join(server.log))

    def test_what_it_cannot_tell_now_is_no_failure(self):
        """Whom its file does not have it asks a program about, which says that it cannot tell."""
        program = self.dovecot / "cannot-tell"
        program.write_text("#!/bin/sh\nexit 111\n")
        program.chmod(0o755)
        with self.config.open("a") as config:
            config.write(f"passdb {{\n  driver = checkpassword\n  args = {program}\n}}\n")
        with self.running():
            server = self.secured_by_dovecot()
            self.wait_for_dovecot(server)
            with self.session(server) as wire:
                for _ in range(5):  # more than failures may be
                    wire.command(f"AUTH PLAIN {plain('dave', 'x')}", 454, "4.7.0")
                authenticate(wire)
            self.assertEqual(server.events("auth-refused")[-1]["reason"], "dovecot-temporary")
            self.assertEqual(server.events("auth-failed"), [])


if __name__ == "__main__":
    main()
