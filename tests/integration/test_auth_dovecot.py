"""Dovecot's own authentication service, asked by src/auth: every mechanism, good and bad, and a server that is gone."""
import os
import subprocess

from harness import Case, PACKAGES, PATIENCE, ROOT, TOOLS, main, wait_until

CLIENT = TOOLS / "integration/auth_client"
CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
libexec_dir = {package}/usr/lib/dovecot
mail_plugin_dir = {package}/usr/lib/dovecot/modules
import_environment = PATH LD_LIBRARY_PATH={libraries}
ssl = no
protocols =
log_path = {folder}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = plain login scram-sha-256 external
auth_ssl_username_from_cert = yes
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
USERS = """\
alice:{PLAIN}wonder land
external:::::::nopassword
"""


class Dovecot(Case):
    def setUp(self):
        super().setUp()
        self.need_package("dovecot-imapd", "usr/sbin/dovecot")
        if not ROOT:
            self.skipTest("Dovecot's master wants to be root")
        package = (PACKAGES / "dovecot-imapd").resolve()
        libraries = ":".join(sorted({str(path.parent) for path in package.rglob("*.so*")}))
        (self.folder / "run").mkdir()
        self.folder.chmod(0o755)
        (self.folder / "users").write_text(USERS)
        config = self.folder / "dovecot.conf"
        config.write_text(CONFIG.format(folder=self.folder, package=package, libraries=libraries, user="nobody", group="nogroup"))
        self.server = subprocess.Popen(
            [package / "usr/bin/doveconf", "-c", config, "-f", "service=master", "-m", "master",
             "-e", package / "usr/sbin/dovecot", "-F", "-c", config], cwd="/",
            env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop)
        self.socket = self.folder / "run/auth-client"
        wait_until(self.socket.exists, "Dovecot's socket")

    def stop(self):
        self.server.terminate()
        self.server.wait(PATIENCE)

    def ask(self, *arguments):
        done = subprocess.run([CLIENT, self.socket, *arguments], capture_output=True, timeout=PATIENCE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_every_mechanism(self):
        for mechanism in "PLAIN", "LOGIN", "SCRAM-SHA-256":
            with self.subTest(mechanism=mechanism):
                self.assertEqual(self.ask(mechanism, "alice", "wonder land"), "done alice -")
                self.assertEqual(self.ask(mechanism, "alice", "wonderland"), "failed alice wrong-credentials")
                self.assertEqual(self.ask(mechanism, "eve", "wonder land"), "failed eve wrong-credentials")

    def test_a_certificate(self):
        self.assertEqual(self.ask("EXTERNAL", "", "", "external"), "done external -")
        self.assertEqual(self.ask("EXTERNAL", "", ""), "unknown - unknown-mechanism")
        self.assertIn(self.ask("EXTERNAL", "", "", "eve").split()[0], "failed")

    def test_a_server_that_is_gone(self):
        self.stop()
        self.assertEqual(self.ask("PLAIN", "alice", "wonder land"), "unavailable - dovecot-gone")


if __name__ == "__main__":
    main()
