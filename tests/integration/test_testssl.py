"""testssl.sh finds nothing in the default configuration that is worse than LOW, but for what is about the test's certificates.

Run here is what takes seconds. All that it can test, for a look by hand: `TESTSSL_EVERYTHING=1 POSTERN=... python3 test_testssl.py`.
"""
import json
import os
import subprocess

from harness import HOSTNAME, main, print_diagnostics
from tls import TlsCase, certificate_of_host, tls_rows

CHECKS = ("--protocols", "--std", "--server-preference", "--server-defaults", "--fs", "--vulnerable")
EVERYTHING = os.environ.get("TESTSSL_EVERYTHING")
QUICK = {"USLEEP_SND": "0.01", "USLEEP_REC": "0.02"}
# Who has signed it, and where one could ask whether it is still good: that is the operator's.
OF_CERTIFICATES = ("cert_chain_of_trust", "cert_trust", "cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL", "OCSP_stapling",
                   "DNS_CAArecord", "certificate_transparency", "cert_validityPeriod")
# Or what could not be tried: its OpenSSL is too new for some of it, and may close before a ticket has come.
HARMLESS = ("OK", "INFO", "LOW", "WARN", "DEBUG")


class TestSsl(TlsCase):
    def check(self, listener, *arguments):
        program = self.need_program("testssl")
        server = self.secured(tls=tls_rows(certificate_of_host(HOSTNAME), certificate_of_host(HOSTNAME, kind="rsa")))
        host, port = server.listeners[listener]
        found = self.folder / "findings.json"
        command = [program, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--jsonfile", found, "--ip", host,
                   *([] if EVERYTHING else CHECKS), *arguments, f"{HOSTNAME}:{port}"]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.folder,
                              env={**os.environ, **({} if EVERYTHING else QUICK)})
        if EVERYTHING:
            print_diagnostics(done.stdout)
        findings = [f for f in json.loads(found.read_text()) if f["id"].split(" ")[0] not in OF_CERTIFICATES]
        bad = [f"{f['severity']} {f['id']}: {f['finding']}" for f in findings if f["severity"] not in HARMLESS]
        self.assertEqual(bad, [], done.stdout)
        told = {f["id"]: f["finding"] for f in findings}
        # That it has come through, and has found what there is.
        versions = [told[key].partition(" ")[0] for key in ("TLS1", "TLS1_1", "TLS1_2", "TLS1_3")]
        self.assertEqual(versions, ["not", "not", "offered", "offered"])
        self.assertIn("not vulnerable", told["LUCKY13"])

    def test_nothing_worse_than_low_by_starttls(self):
        self.check("smtp", "--starttls", "smtp")

    def test_nothing_worse_than_low_in_implicit_tls(self):
        self.check("smtps")


if __name__ == "__main__":
    main()
