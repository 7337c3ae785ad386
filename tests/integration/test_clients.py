"""Real clients deliver, byte for byte."""
import smtplib
import subprocess

from harness import Case, DOMAIN, PATIENCE, lf, main, odd_message, simple_message, split_trace

ALICE = f"alice@{DOMAIN}"
SENDER = "bob@example.net"
SWAKS_MESSAGE = odd_message() + b"the end\r\n"


class Clients(Case):
    def run_client(self, *command):
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=PATIENCE)
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, f"{command[0]} said:\n{said[-3000:]}")
        return said

    def message_file(self, message):
        path = self.folder / "message.eml"
        path.write_bytes(message)
        return path

    def swaks_file(self):
        """swaks takes a dot at the end of what it reads for the end of the message, and adds a line end itself."""
        return self.message_file(lf(SWAKS_MESSAGE).removesuffix(b"\n"))

    def check_arrived(self, server, message):
        _, rest = split_trace(server.maildir().only())
        self.assertEqual(rest, lf(message))

    def test_smtplib_delivers_over_smtp(self):
        server = self.postern()
        with smtplib.SMTP(*server.smtp, timeout=PATIENCE) as client:
            self.assertEqual(client.sendmail(SENDER, [ALICE], odd_message(), mail_options=["BODY=8BITMIME"]), {})
            for feature in ("pipelining", "size", "8bitmime", "enhancedstatuscodes"):
                self.assertTrue(client.has_extn(feature), feature)
        self.check_arrived(server, odd_message())

    def test_smtplib_delivers_two_messages_in_one_session(self):
        server = self.postern()
        with smtplib.SMTP(*server.smtp, timeout=PATIENCE) as client:
            for subject in (b"one", b"two"):
                client.sendmail(SENDER, [ALICE], simple_message(subject=subject))
        arrived = {split_trace(content)[1] for content in server.maildir().contents()}
        self.assertEqual(arrived, {lf(simple_message(subject=b"one")), lf(simple_message(subject=b"two"))})

    def test_smtplib_delivers_over_lmtp(self):
        server = self.postern()
        with smtplib.LMTP(str(server.lmtp)) as client:
            self.assertEqual(client.sendmail(SENDER, [ALICE], odd_message()), {})
        self.check_arrived(server, odd_message())

    def test_smtplib_learns_which_lmtp_recipient_is_refused(self):
        server = self.postern()  # one mailbox: smtplib reads a single reply after the data, however many there are
        with smtplib.LMTP(str(server.lmtp)) as client:
            refused = client.sendmail(SENDER, [f"nobody.here@{DOMAIN}", ALICE], simple_message())
        self.assertEqual({to: code for to, (code, _) in refused.items()}, {f"nobody.here@{DOMAIN}": 550})
        self.check_arrived(server, simple_message())

    def test_swaks_delivers_over_smtp(self):
        swaks = self.need_program("swaks")
        server = self.postern()
        host, port = server.smtp
        self.run_client(swaks, "--server", host, "--port", port, "--from", SENDER, "--to", ALICE,
                        "--data", f"@{self.swaks_file()}")
        self.check_arrived(server, SWAKS_MESSAGE)

    def test_swaks_delivers_over_lmtp_with_pipelining(self):
        swaks = self.need_program("swaks")
        server = self.postern(mailboxes=("alice", "carol"))
        self.run_client(swaks, "--socket", server.lmtp, "--protocol", "LMTP", "--pipeline", "--from", SENDER,
                        "--to", f"{ALICE},carol@{DOMAIN}", "--data", f"@{self.swaks_file()}")
        self.check_arrived(server, SWAKS_MESSAGE)
        self.assertEqual(split_trace(server.maildir("carol").only())[1], lf(SWAKS_MESSAGE))

    def test_curl_delivers(self):
        curl = self.need_program("curl")
        server = self.postern()
        host, port = server.smtp
        self.run_client(curl, "--silent", "--show-error", f"smtp://{host}:{port}", "--mail-from", SENDER,
                        "--mail-rcpt", ALICE, "--upload-file", self.message_file(odd_message()))
        self.check_arrived(server, odd_message())

    def test_smtp_source_delivers_over_smtp(self):
        source = self.need_package("postfix", "usr/sbin/smtp-source")
        server = self.postern(workers=2)
        host, port = server.smtp
        self.run_client(*source, "-s", "10", "-m", "200", "-l", "4096", "-f", SENDER, "-t", ALICE, f"{host}:{port}")
        self.assertEqual(len(server.maildir().names()), 200)

    def test_smtp_source_delivers_over_lmtp_in_lasting_sessions(self):
        source = self.need_package("postfix", "usr/sbin/smtp-source")
        server = self.postern(workers=2)
        self.run_client(*source, "-L", "-d", "-s", "10", "-m", "200", "-l", "4096", "-f", SENDER, "-t", ALICE,
                        f"unix:{server.lmtp}")
        self.assertEqual(len(server.maildir().names()), 200)


if __name__ == "__main__":
    main()
