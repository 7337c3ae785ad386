"""Dovecot says who may log in, and how: `[auth] dovecot` is the socket of its authentication service."""
import contextlib
import os
import signal
import subprocess

from harness import (DOMAIN, PACKAGES, PATIENCE, ROOT, WORKER_USER, main, print_diagnostics, processes_of_session, simple_message,
                     wait_until)
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


class Dovecot(TlsCase):
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
        (self.dovecot / "users").write_text(f"{USER}:{PASSWORD}\n{ALICE}:::::::nopassword\n")

    @contextlib.contextmanager
    def running(self):
        """Dovecot, whose socket is there."""
        command = [PACKAGE / "usr/bin/doveconf", "-c", self.config, "-f", "service=master", "-m", "master",
                   "-e", PACKAGE / "usr/sbin/dovecot", "-F"]
        process = subprocess.Popen([str(word) for word in command], start_new_session=True, stdin=subprocess.DEVNULL,
                                   env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": self.libraries})
        try:
            wait_until(lambda: self.socket.exists() or process.poll() is not None, "Dovecot runs")
            self.assertIsNone(process.poll(), "Dovecot ended")
            yield
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


if __name__ == "__main__":
    main()
