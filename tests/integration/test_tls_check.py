"""Certificates, and who may use AUTH: what postern check says of them, and what a start does about it."""
import os
import re

from certificates import Authority
from harness import Case, DOMAIN, ROOT, main


class TlsCheck(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder / "tls")
        self.maildirs = self.folder / "maildirs"
        self.maildirs.mkdir()

    def write(self, tls, listen="tls = optional", more=""):
        path = self.folder / "postern.conf"
        path.write_text(f"[server]\nhostname = mx.example.org\n[listen in]\naddress = 127.0.0.1:0\n{listen}\n"
                        f"[domain {DOMAIN}]\nmaildirs = {self.maildirs}\n[tls]\n{tls}\n{more}")
        return path

    def pair(self, certificate, key):
        return f"certificate = {certificate}\nprivate-key = {key}"

    def check(self, tls, **more):
        """(exit status, lines on standard error without the configuration's path), of postern check."""
        path = self.write(tls, **more)
        done = self.run_postern("check", "-c", path)
        return done.returncode, [line.replace(f"{path}:", "") for line in done.stderr.splitlines()]

    def assert_problem(self, wanted, tls, **more):
        """check tells it, with its line, and a start fails with the same words."""
        status, lines = self.check(tls, **more)
        self.assertEqual((status, len(lines)), (1, 1), lines)
        self.assertRegex(lines[0], wanted)
        served = self.run_postern("serve", "-c", self.folder / "postern.conf")
        self.assertEqual(served.returncode, 1)
        self.assertIn(lines[0].partition(" ")[2], served.stderr)
        self.assertNotIn("listening", served.stderr)

    def test_all_is_well(self):
        ec = self.authority.issue("ec", "mx.example.org")
        rsa = self.authority.issue("rsa", "mx.example.org", kind="rsa")
        other = self.authority.issue("other", "other.example.org")
        status, lines = self.check(f"certificate = {ec[0]}, {rsa[0]}\nprivate-key = {ec[1]}, {rsa[1]}\n"
                                   f"[tls other]\n{self.pair(*other)}")
        self.assertEqual((status, lines), (0, []))

    def test_paths_begin_where_the_file_lies(self):
        self.authority.issue("mx", "mx.example.org")
        passwords = self.folder / "passwords"
        passwords.write_text("alice:$y$j9T$mq/893pUNkq8805vuCR5A.$33x9kX5hgqPzrc4WlrgDCVmAwMIgrn.v.r49Hd.V0.6\n")
        passwords.chmod(0o600)
        self.assertEqual(self.check(self.pair("tls/mx.pem", "tls/mx.key") + "\n[auth]\npasswords = passwords"), (0, []))

    def test_a_missing_file(self):
        certificate, key = self.authority.issue("mx", "mx.example.org")
        self.assert_problem(r"^9: certificate = .*/none.pem: cannot be read: No such file or directory",
                            self.pair(self.folder / "none.pem", key))
        self.assert_problem(r"^10: private-key = .*/none.key: cannot be read: No such file or directory",
                            self.pair(certificate, self.folder / "none.key"))

    def test_a_key_of_another_certificate(self):
        certificate, _ = self.authority.issue("mx", "mx.example.org")
        _, key = self.authority.issue("other", "other.example.org")
        self.assert_problem(r"^10: private-key = .*other.key: does not fit certificate = .*mx.pem$",
                            self.pair(certificate, key))

    def test_a_key_that_everybody_can_read(self):
        certificate, key = self.authority.issue("mx", "mx.example.org")
        key.chmod(0o644)
        self.assert_problem(r"^10: private-key = .*mx.key: is open to every user \(mode 0644\); expected",
                            self.pair(certificate, key))
        key.chmod(0o640)
        self.assertEqual(self.check(self.pair(certificate, key)), (0, []))

    def test_a_chain_of_strangers(self):
        certificate, key = self.authority.issue("mx", "mx.example.org", chain=False)
        stranger = Authority(self.folder / "strange", "stranger")
        with certificate.open("a") as file:
            file.write(stranger.certificate.read_text())
        self.assert_problem(r"^9: certificate = .*mx.pem: certificate 2 in it \(.*stranger.*\) has not signed number 1",
                            self.pair(certificate, key))

    def test_two_of_one_kind(self):
        one, two = (self.authority.issue(name, "mx.example.org") for name in ("one", "two"))
        self.assert_problem(r"^9: certificate = .*two.pem: is EC 256, and .*one.pem is EC 256; expected",
                            f"certificate = {one[0]}, {two[0]}\nprivate-key = {one[1]}, {two[1]}")

    def test_what_expires_soon_is_a_note(self):
        status, lines = self.check(self.pair(*self.authority.issue("mx", "mx.example.org", days=7)))
        self.assertEqual((status, len(lines)), (0, 1), lines)
        self.assertRegex(lines[0], r"^9: certificate = .*mx.pem: expires on \d{4}-\d\d-\d\d .*, in [67] days$")

    def test_what_has_expired_is_a_problem_and_serves_all_the_same(self):
        certificate, key = self.authority.issue("mx", "mx.example.org", days=-1)
        status, lines = self.check(self.pair(certificate, key))
        self.assertEqual((status, len(lines)), (1, 1), lines)
        self.assertRegex(lines[0], r"^9: certificate = .*mx.pem: has expired on .*; expected one that is valid now$")
        server = self.postern(sections={"tls": {"certificate": certificate, "private-key": key},
                                        "listen smtp": {"tls": "optional"}})
        (event,) = server.wait_log("certificate-expires")
        self.assertEqual((event["level"], event["host"], event["path"]), ("error", "", str(certificate)))
        self.assertLess(int(event["days"]), 0)
        self.assertRegex(event["not_after"], r"^\d{4}-\d\d-\d\dT.*Z$")

    def test_certificates_that_nobody_uses_are_a_note(self):
        status, lines = self.check(self.pair(*self.authority.issue("mx", "mx.example.org")), listen="tls = off")
        self.assertEqual((status, len(lines)), (0, 1), lines)
        self.assertIn("no [listen NAME] uses the certificates", lines[0])

    def test_ciphers_and_curves_that_are_none(self):
        files = self.pair(*self.authority.issue("mx", "mx.example.org"))
        status, lines = self.check(f"{files}\nciphers = NONSENSE\nciphersuites = NONSENSE\ncurves = NONSENSE\n")
        self.assertEqual(status, 1)
        self.assertEqual([re.match(r"\d+: [a-z]+ = NONSENSE: ", line) is not None for line in lines], [True] * 3, lines)

    def test_all_problems_are_told_in_one_run(self):
        certificate, key = self.authority.issue("mx", "mx.example.org")
        key.chmod(0o604)
        status, lines = self.check(f"{self.pair(certificate, key)}\nminimum-version = 1.1",
                                   listen="tls = required\nauth = required\ntls-client = require\n",
                                   more="[limits]\nerrors = -1\n")
        self.assertEqual(status, 1)
        wanted = ["minimum-version", "errors", "client-ca", "passwords = FILE or dovecot = PATH", "mode 0604"]
        for word in wanted:
            self.assertEqual(sum(word in line for line in lines), 1, (word, lines))
        self.assertEqual(len(lines), len(wanted), lines)

    def test_the_worker_needs_no_access_to_the_key(self):
        if not ROOT:
            self.skipTest("only root can own what its workers cannot read")
        certificate, key = self.authority.issue("mx", "mx.example.org")
        self.authority.folder.chmod(0o700)
        os.chown(key, 0, 0)
        path = self.write(self.pair(certificate, key))
        path.write_text(path.read_text().replace("[server]\n", "[server]\nuser = nobody\n"))
        done = self.run_postern("check", "-c", path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_who_asks_for_a_route_needs_no_access_to_the_key(self):
        certificate, key = self.authority.issue("mx", "mx.example.org")
        key.unlink()
        done = self.run_postern("route", f"alice@{DOMAIN}", "-c", self.write(self.pair(certificate, key)))
        self.assertNotIn("private-key", done.stderr)


if __name__ == "__main__":
    main()
