"""`postern passwd`: what it prints, what it refuses, and what it does with a terminal."""
import base64
import hashlib
import hmac
import os
import pty
import re
import select
import signal
import subprocess
import termios

from harness import Case, PATIENCE, POSTERN, main

LINE = re.compile(r"(?P<user>[^:]+):(?P<hash>\$y\$[./0-9A-Za-z$]+):"
                  r"\{SCRAM-SHA-256\}(?P<iterations>\d+),(?P<salt>[^,]+),(?P<stored>[^,]+),(?P<server>[^,]+)\n")


def scram_keys(password, salt, iterations):
    """RFC 5802 3."""
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


class Passwd(Case):
    def run_passwd(self, *arguments, sent=b"", status=0):
        done = subprocess.run([POSTERN, "passwd", *arguments], input=sent, capture_output=True, timeout=PATIENCE,
                              start_new_session=True)  # without a terminal
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout == b"", status != 0)
        self.assertNotIn(b"wonder", done.stdout + done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def check_line(self, text, user, password, iterations):
        line = LINE.fullmatch(text)
        self.assertIsNotNone(line, text)
        self.assertEqual((line["user"], int(line["iterations"])), (user, iterations))
        stored, server = scram_keys(password, base64.b64decode(line["salt"]), iterations)
        self.assertEqual(base64.b64decode(line["stored"]), stored)
        self.assertEqual(base64.b64decode(line["server"]), server)

    def test_from_standard_input(self):
        for sent in b"wonder land", b"wonder land\n", b"wonder land\r\n", b"wonder land\nmore\n":
            with self.subTest(sent=sent):
                out, err = self.run_passwd("alice", "--stdin", sent=sent)
                self.check_line(out, "alice", b"wonder land", 10000)
                self.assertEqual(err, "")

    def test_iterations(self):
        out, _ = self.run_passwd("--stdin", "--iterations", "4096", "alice", sent=b"wonder land\n")
        self.check_line(out, "alice", b"wonder land", 4096)
        for number in "4095", "1000001", "x", "-1", "":
            with self.subTest(number=number):
                _, err = self.run_passwd("alice", "--stdin", "--iterations", number, status=64)
                self.assertIn("from 4096 to 1000000", err)

    def test_names_and_passwords_are_prepared(self):
        out, _ = self.run_passwd("jo\u0308rg", "--stdin", sent="wonder\u00a0land\n".encode())
        self.check_line(out, "j\u00f6rg", b"wonder land", 10000)

    def test_what_is_refused(self):
        for user, sent, words in [("a:b", b"x\n", "':'"), ("a\nb", b"x\n", "control characters"), ("", b"x\n", "from 1 to 255"),
                                  ("a" * 256, b"x\n", "from 1 to 255"), ("#a", b"x\n", "'#'"), ("alice", b"\n", "password"),
                                  ("alice", b"", "password"), ("alice", b"a\0b\n", "NUL"), ("alice", b"a\x03b\n", "control characters"),
                                  ("alice", b"x" * 512, "511"), ("alice", b"x" * 10000, "too long")]:
            with self.subTest(user=user, sent=sent[:20]):
                _, err = self.run_passwd(user, "--stdin", sent=sent, status=1)
                self.assertIn(words, err)
        for arguments in [], ["alice", "wonderland"], ["alice", "--password", "wonderland"]:
            with self.subTest(arguments=arguments):
                _, err = self.run_passwd(*arguments, status=64)
                self.assertIn("postern help passwd", err)

    def test_without_a_terminal(self):
        _, err = self.run_passwd("alice", status=1)
        self.assertIn("--stdin", err)

    def at_terminal(self, *typed):
        """(exit status, what the terminal showed, standard output, whether it has its echo again)."""
        out_read, out_write = os.pipe()
        pid, terminal = pty.fork()
        if pid == 0:
            os.dup2(out_write, 1)
            os.execv(POSTERN, [POSTERN, "passwd", "alice"])
        os.close(out_write)
        shown = b""
        try:
            for prompt, keys in typed:
                while not shown.endswith(prompt):
                    self.assertTrue(select.select([terminal], [], [], PATIENCE)[0], shown)
                    shown += os.read(terminal, 1000)
                self.assertFalse(termios.tcgetattr(terminal)[3] & termios.ECHO)
                os.write(terminal, keys)
            with os.fdopen(out_read, "rb") as out:
                printed = out.read()
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            pid = 0
            has_echo = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
            try:
                while select.select([terminal], [], [], 0)[0]:
                    shown += os.read(terminal, 1000)
            except OSError:
                pass  # nobody has its other end any more
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(terminal)
        self.assertNotIn(b"wonder", shown)
        return status, shown.decode(), printed.decode(), has_echo

    def test_at_a_terminal(self):
        status, shown, printed, has_echo = self.at_terminal((b"alice: ", b"wonder land\n"), (b"again: ", b"wonder land\n"))
        self.assertEqual((status, has_echo), (0, True), shown)
        self.check_line(printed, "alice", b"wonder land", 10000)

    def test_two_that_differ(self):
        status, shown, printed, has_echo = self.at_terminal((b"alice: ", b"wonder land\n"), (b"again: ", b"wonderland\n"))
        self.assertEqual((status, printed, has_echo), (1, "", True))
        self.assertIn("not the same", shown)

    def test_interrupted_at_the_prompt(self):
        status, shown, printed, has_echo = self.at_terminal((b"alice: ", b"\x03\n"), (b"again: ", b"\x03\n"))
        self.assertEqual((status, printed, has_echo), (1, "", True), shown)


if __name__ == "__main__":
    main()
