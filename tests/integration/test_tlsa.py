"""postern tlsa: the records and the policy that belong to certificates, against what openssl says of them."""
import re

from certificates import Authority, key_digest
from harness import Case, main


class Tlsa(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder / "tls")
        self.maildirs = self.folder / "maildirs"
        self.maildirs.mkdir()
        self.ec = self.authority.issue("ec", "mx.example.org", "*.example.net")
        self.rsa = self.authority.issue("rsa", "mx.example.org", "*.example.net", kind="rsa", chain=False)
        self.other = self.authority.issue("other", "other.example.org", chain=False)

    def write(self, listen="[listen in]\naddress = 127.0.0.1:25, [::1]:25\ntls = optional\n", tls=None, more=""):
        path = self.folder / "postern.conf"
        tls = tls or (f"[tls]\ncertificate = {self.ec[0]}, {self.rsa[0]}\nprivate-key = {self.ec[1]}, {self.rsa[1]}\n"
                      f"[tls other]\ncertificate = {self.other[0]}\nprivate-key = {self.other[1]}\n")
        path.write_text(f"[server]\nhostname = MX.example.org\n{listen}{tls}"
                        f"[domain example.org]\nmaildirs = {self.maildirs}\n"
                        f"[domain *.example.org]\nmaildirs = {self.maildirs}\n"
                        f"[domain m\u00fcnchen.example]\nmaildirs = {self.maildirs}\n{more}")
        return path

    def tlsa(self, *arguments, status=0, **config):
        """(standard output, standard error)"""
        done = self.run_postern("tlsa", "-c", self.write(**config), *arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout, done.stderr

    def records(self, text):
        return [line for line in text.splitlines() if " TLSA " in line]

    def test_records_are_those_of_the_certificates_of_the_host(self):
        out, err = self.tlsa()
        self.assertEqual(err, "")
        self.assertEqual(self.records(out), [
            f"_25._tcp.mx.example.org. IN TLSA 3 1 1 {key_digest(self.ec[0])}",
            f"_25._tcp.mx.example.org. IN TLSA 2 1 1 {key_digest(self.authority.certificate)}",
            f"_25._tcp.mx.example.org. IN TLSA 3 1 1 {key_digest(self.rsa[0])}"])

    def test_each_line_is_one_of_a_zone_or_of_the_policy(self):
        out, _ = self.tlsa()
        for line in out.splitlines():
            self.assertRegex(line, r"^(|;.*|[-_.a-z0-9]+\. IN (TLSA [23] 1 1 [0-9a-f]{64}|TXT \"[^\"]+\")"
                                   r"|(version|mode|mx|max_age): \S+)$")

    def test_the_policy_and_its_records(self):
        out, _ = self.tlsa()
        policy, _ = self.tlsa("--policy")
        self.assertEqual(policy, "version: STSv1\nmode: enforce\nmx: mx.example.org\nmx: *.example.net\n"
                                 "max_age: 604800\n")
        self.assertTrue(out.endswith(policy), out)
        # RFC 8461 3.1: the id is of 1 to 32 letters and digits. The pattern is no name that has records.
        records = re.findall(r'^_mta-sts\.(\S+)\. IN TXT "v=STSv1; id=([a-zA-Z0-9]{1,32});"$', out, re.M)
        self.assertEqual([name for name, _ in records], ["example.org", "xn--mnchen-3ya.example"])
        self.assertEqual(len({id for _, id in records}), 1)
        again, _ = self.tlsa()
        self.assertEqual(again, out)

    def test_the_policy_has_no_name_that_one_of_the_certificates_side_by_side_lacks(self):
        # RFC 8461 4.2: a sender that is shown the one without the name of the MX would not deliver.
        self.ec = self.authority.issue("ec", "mx.example.org", "*.example.net", "mx2.example.org", "a.example.com")
        self.rsa = self.authority.issue("rsa", "b.example.net", "mx.example.org", "*.example.com", kind="rsa", chain=False)
        policy, err = self.tlsa("--policy")
        self.assertEqual(re.findall(r"^mx: (.*)$", policy, re.M), ["mx.example.org", "a.example.com", "b.example.net"])
        left_out = re.findall(r"(\w+)\.pem: (\S+) is not among its names \(.*\); the MTA-STS policy leaves that out", err)
        self.assertEqual(left_out, [("rsa", "*.example.net"), ("rsa", "mx2.example.org"), ("ec", "*.example.com")])
        self.assertEqual(self.tlsa()[1], err)

    def test_certificates_side_by_side_without_a_common_name_have_no_policy(self):
        self.rsa = self.authority.issue("rsa", "mx2.example.org", kind="rsa", chain=False)
        out, err = self.tlsa("--policy", status=1)
        self.assertEqual(out, "")
        self.assertIn("rsa.pem: mx.example.org is not among its names (mx2.example.org)", err)
        self.assertIn("no policy fits: mx.example.org is not among the names of each certificate", err)
        self.assertNotIn("leaves that out", err)

    def test_the_id_is_another_one_when_the_policy_is(self):
        first, _ = self.tlsa()
        self.rsa = self.authority.issue("rsa", "mx.example.org", kind="rsa", chain=False)
        second, _ = self.tlsa()
        id = re.compile(r"id=(\w+);")
        self.assertNotEqual(id.search(first)[1], id.search(second)[1])
        # A certificate with other keys and the same names is no other policy.
        self.rsa = self.authority.issue("rsa", "mx.example.org", kind="rsa", chain=False)
        self.assertEqual(id.search(self.tlsa()[0])[1], id.search(second)[1])

    def test_ports_are_those_of_listeners_of_smtp_with_tls(self):
        listen = ("[listen a]\naddress = 127.0.0.1:25\ntls = optional\n[listen b]\naddress = [::1]:465\ntls = implicit\n"
                  "[listen c]\naddress = 127.0.0.1:26\n[listen d]\naddress = unix:/s\ntls = optional\n"
                  "[listen e]\naddress = 127.0.0.1:24\nprotocol = lmtp\ntls = required\n")
        out, _ = self.tlsa(listen=listen)
        self.assertEqual({line.partition(".")[0] for line in self.records(out)}, {"_25", "_465"})
        out, _ = self.tlsa("--port", "2525", listen=listen)
        self.assertEqual({line.partition(".")[0] for line in self.records(out)}, {"_2525"})

    def test_another_host_has_its_own_certificate(self):
        out, err = self.tlsa("--host", "other.example.org")
        self.assertEqual(err, "")
        self.assertEqual(self.records(out),
                         [f"_25._tcp.other.example.org. IN TLSA 3 1 1 {key_digest(self.other[0])}"])
        self.assertIn("\nmx: other.example.org\n", out)

    def test_a_wildcard_has_one_label(self):
        self.rsa = self.authority.issue("rsa", "mx.example.org", kind="rsa", chain=False)
        out, err = self.tlsa("--host", "a.example.net")
        self.assertIn("rsa.pem: a.example.net is not among its names", err)
        self.assertNotIn("ec.pem", err)
        self.assertEqual(len(self.records(out)), 3)
        _, err = self.tlsa("--host", "b.a.example.net")
        self.assertIn("ec.pem", err)

    def test_a_host_that_no_certificate_names(self):
        out, err = self.tlsa("--host", "mx.example.com")
        self.assertIn("mx.example.com is not among its names (mx.example.org, *.example.net)", err)
        self.assertIn("TLSA 2 1 1", err)
        # RFC 7672 3.1.1 and 3.1.2: 3 1 1 does without names, 2 1 1 does not, and mail would wait for ever.
        self.assertEqual(self.records(out), [
            f"_25._tcp.mx.example.com. IN TLSA 3 1 1 {key_digest(self.ec[0])}",
            f"_25._tcp.mx.example.com. IN TLSA 3 1 1 {key_digest(self.rsa[0])}"])
        self.assertNotIn("enough by itself", out)
        self.assertNotIn("STSv1", out)
        self.tlsa("--host", "mx.example.com", "--policy", status=1)

    def test_who_signed_counts_for_certificates_that_have_the_name(self):
        self.rsa = self.authority.issue("rsa", "mx.example.com", kind="rsa")
        authority = f"_25._tcp.mx.example.%s. IN TLSA 2 1 1 {key_digest(self.authority.certificate)}"
        for domain, place in (("org", 1), ("com", 2)):
            records = self.records(self.tlsa("--host", f"mx.example.{domain}")[0])
            self.assertEqual((len(records), records.index(authority % domain)), (3, place), domain)

    def test_nothing_to_tell(self):
        out, err = self.tlsa(tls="\n", listen="[listen in]\naddress = 127.0.0.1:25\n", status=1)
        self.assertEqual(out, "")
        self.assertIn("there is no certificate", err)
        out, err = self.tlsa(listen="[listen in]\naddress = 127.0.0.1:25\n", status=1)
        self.assertIn("expected tls = optional in a [listen NAME], or --port N", err)
        self.tlsa("--policy", listen="[listen in]\naddress = 127.0.0.1:25\n")

    def test_mistakes_in_the_command_line(self):
        for arguments in (["--port", "0"], ["--port", "65536"], ["--port", "smtp"], ["--host", "a b"], ["more"]):
            self.tlsa(*arguments, status=64)
        self.assertEqual(self.run_postern("tlsa").returncode, 64)


if __name__ == "__main__":
    main()
