"""Each measurement still runs to its end, with tiny counts. What it measures then means nothing, and is not looked at."""
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))
from harness import Case, PATIENCE, main  # noqa: E402

TOOLS = Path(os.environ.get("TEST_TOOLS", "tests")) / "bench"
needs_source = unittest.skipUnless((TOOLS / "source").exists(), "tests/bench/source was not made: there is no GnuTLS")


class Smoke(Case):
    def smoke(self, name):
        program = Path(__file__).resolve().with_name("bench.py")
        done = subprocess.run([sys.executable, str(program), "--smoke", "--folder", str(self.folder), name],
                              capture_output=True, text=True, timeout=PATIENCE * 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(len(done.stdout.splitlines()), 3, done.stdout)

    @unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
    def test_the_core(self):
        self.smoke("core")

    def test_tables(self):
        program = TOOLS / "tables"
        for kind in "local", "chain", "address":
            done = subprocess.run([str(program), kind, "100"], capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, f"^{kind}: .*loaded in .* ns to find none\n$")

    def test_a_large_message(self):
        self.smoke("large")

    def test_idle_sessions(self):
        self.smoke("idle")

    def test_small_messages(self):
        self.need_package("postfix", "usr/sbin/smtp-sink")
        self.smoke("small")

    def test_medium_messages(self):
        self.need_package("postfix", "usr/sbin/smtp-sink")
        self.smoke("medium")

    @needs_source
    def test_durable_messages(self):
        self.need_package("postfix", "usr/sbin/smtp-sink")
        self.smoke("durable")

    @needs_source
    def test_reused_connections(self):
        self.need_package("postfix", "usr/sbin/smtp-sink")
        self.smoke("reused")

    @needs_source
    def test_latency(self):
        self.need_package("postfix", "usr/sbin/smtp-sink")
        self.smoke("latency")

    def test_many_recipients(self):
        self.need_package("postfix", "usr/sbin/smtp-sink")
        self.smoke("many")

    def test_ways(self):
        self.smoke("ways")

    def test_handlers(self):
        self.need_package("postfix", "usr/sbin/smtp-source")
        self.smoke("handlers")

    def test_a_large_message_in_a_handler(self):
        self.smoke("handler-large")

    def test_bad_handlers(self):
        self.smoke("zoo")

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_idle_sessions_in_tls(self):
        self.smoke("tls-idle")

    @needs_source
    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_messages_over_tls(self):
        self.smoke("tls")

    @needs_source
    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_a_large_message_over_tls(self):
        self.smoke("tls-large")


if __name__ == "__main__":
    main()
