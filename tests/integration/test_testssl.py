"""testssl.sh finds nothing in the default configuration that is worse than LOW, but for what is about the test's certificates.

Tried here is what takes seconds. All that it can try, and all that it says, for a look by hand:
    TESTSSL_EVERYTHING=1 POSTERN=... python3 test_testssl.py
"""
import json
import os
import subprocess
from pathlib import Path

import tap
from harness import HOSTNAME, POSTERN, main, print_diagnostics
from tls import TlsCase, certificate_of_host, tls_rows

EVERYTHING = "TESTSSL_EVERYTHING" in os.environ
CHECKS = ("--protocols", "--std", "--server-preference", "--server-defaults", "--fs", "--vulnerable")
if EVERYTHING:
    CHECKS = ()
elif tap.is_sanitized(Path(POSTERN)):
    CHECKS = ("--protocols",)  # what is offered is the same as without, and takes minutes
PAUSES = {} if EVERYTHING else {"USLEEP_SND": "0.01", "USLEEP_REC": "0.02"}  # between what it sends; it has long ones
# Who has signed it, and where one could ask whether it is still good: that is the operator's.
OF_CERTIFICATES = ("cert_chain_of_trust", "cert_trust", "cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL", "OCSP_stapling",
                   "DNS_CAArecord", "certificate_transparency", "cert_validityPeriod")
# Or what could not be tried: its OpenSSL is too new for some of it, and may close before a ticket has come.
HARMLESS = ("OK", "INFO", "LOW", "WARN", "DEBUG")


class TestSsl(TlsCase):
    def start(self, listener, *arguments):
        program = self.need_program("testssl")
        host, port = self.server.listeners[listener]
        command = [program, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", host,
                   "--jsonfile", self.folder / f"{listener}.json", *CHECKS, *arguments, f"{HOSTNAME}:{port}"]
        with open(self.folder / f"{listener}.text", "wb") as text:
            return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=text, stderr=text, cwd=self.folder,
                                    env={**os.environ, **PAUSES})

    def check_findings(self, listener):
        text = (self.folder / f"{listener}.text").read_text(errors="replace")
        if EVERYTHING:
            print_diagnostics(text)
        findings = json.loads((self.folder / f"{listener}.json").read_text())
        # One of several certificates has its number behind the name.
        bad = [f"{f['severity']} {f['id']}: {f['finding']}" for f in findings
               if f["severity"] not in HARMLESS and f["id"].split()[0] not in OF_CERTIFICATES]
        self.assertEqual(bad, [], text)
        # It has come through, and has found what there is.
        told = {f["id"]: f["finding"] for f in findings}
        versions = [told[key].partition(" ")[0] for key in ("TLS1", "TLS1_1", "TLS1_2", "TLS1_3")]
        self.assertEqual(versions, ["not", "not", "offered", "offered"])
        if CHECKS != ("--protocols",):
            self.assertIn("not vulnerable", told["LUCKY13"])

    def test_nothing_is_worse_than_low(self):
        """By STARTTLS and in implicit TLS: at the same time, as it mostly waits."""
        self.server = self.secured(tls=tls_rows(certificate_of_host(HOSTNAME), certificate_of_host(HOSTNAME, kind="rsa")))
        runs = {"smtp": self.start("smtp", "--starttls", "smtp"), "smtps": self.start("smtps")}
        for process in runs.values():
            process.wait()
        for listener in runs:
            with self.subTest(listener):
                self.check_findings(listener)


if __name__ == "__main__":
    main()
