"""Real clients deliver, and real readers read what they delivered, byte for byte."""
import imaplib
import mailbox
import os
import shutil
import smtplib
import subprocess

from harness import Case, DOMAIN, PATIENCE, ROOT, WORKER_USER, lf, main, odd_message, simple_message, split_trace

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


class Readers(Case):
    messages = [odd_message(), simple_message(), simple_message(b""), simple_message(b"x" * 100_000 + b"\r\n"),
                simple_message(b"".join(b"line %d\r\n" % n for n in range(5000)))]

    def delivered(self):
        """(server, what its mailbox must hold: each message with the trace that is in front of it)"""
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            for message in self.messages:
                wire.deliver(message, ALICE)
        server.stop()
        contents = server.maildir().contents()
        self.assertEqual(sorted(split_trace(content)[1] for content in contents), sorted(map(lf, self.messages)))
        return server, sorted(contents)

    def test_python_mailbox_reads_byte_for_byte(self):
        server, contents = self.delivered()
        box = mailbox.Maildir(server.maildir().path, create=False)
        self.assertEqual(sorted(box.get_bytes(key) for key in box.keys()), contents)
        self.assertEqual({message["Delivered-To"] for message in box}, {ALICE})

    def test_dovecot_reads_byte_for_byte_over_imap(self):
        doveconf = self.need_package("dovecot-imapd", "usr/bin/doveconf")
        server, contents = self.delivered()
        with DovecotImap(doveconf, self.folder, server.maildir().path) as imap:
            _, (count,) = imap.select("INBOX")
            self.assertEqual(int(count), len(self.messages))
            _, parts = imap.fetch("1:*", "(BODY.PEEK[])")
            bodies = [part[1] for part in parts if isinstance(part, tuple)]
            self.assertEqual(sorted(map(lf, bodies)), contents)
            for body in bodies:
                self.assertEqual(body, lf(body).replace(b"\n", b"\r\n"))
            _, found = imap.search(None, "HEADER", "Subject", "one")
            self.assertEqual(len(found[0].split()), len(self.messages) - 1)
        self.assertEqual(len(server.maildir().names("cur")), len(self.messages))


class DovecotImap(imaplib.IMAP4):
    """Dovecot's IMAP server on a pipe, already logged in, as the user whom the maildir belongs to."""

    def __init__(self, doveconf, folder, maildir):
        wrapper = doveconf[0]
        self.run_folder = folder / "dovecot"
        self.run_folder.mkdir()
        if ROOT:
            shutil.chown(self.run_folder, WORKER_USER)
        config = folder / "dovecot.conf"
        user = WORKER_USER or str(os.getuid())
        config.write_text(f"base_dir = {self.run_folder}\nstate_dir = {self.run_folder}\n"
                          f"mail_location = maildir:{maildir}:CONTROL={self.run_folder}:INDEX={self.run_folder}\n"
                          f"ssl = no\nprotocols = imap\nlog_path = {self.run_folder}/log\n"
                          f"default_internal_user = {user}\ndefault_login_user = {user}\n")
        imap_server = os.path.join(os.path.dirname(wrapper), "usr/lib/dovecot/imap")
        self.command = [*doveconf, "-c", str(config), "-f", "service=imap", "-m", "imap", "-e", imap_server]
        super().__init__()

    def open(self, host=None, port=None, timeout=None):
        identity = {"user": WORKER_USER, "group": "nogroup", "extra_groups": []} if ROOT else {}
        self.server = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
                                       stderr=subprocess.DEVNULL,
                                       env={"USER": "alice", "HOME": str(self.run_folder), "PATH": os.environ["PATH"]},
                                       **identity)
        self.file = self.server.stdout

    def read(self, size):
        return self.server.stdout.read(size)

    def readline(self):
        return self.server.stdout.readline()

    def send(self, data):
        self.server.stdin.write(data)
        self.server.stdin.flush()

    def shutdown(self):
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait(PATIENCE)


if __name__ == "__main__":
    main()
