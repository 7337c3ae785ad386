"""Real readers read what was delivered: byte for byte, with the sizes that its names tell, and as soon as it is there."""
import imaplib
import itertools
import mailbox
import os
import pty
import re
import shutil
import subprocess
import threading
import time

from harness import (Case, DOMAIN, PACKAGES, PATIENCE, ROOT, WORKER_USER, lf, main, odd_message, print_diagnostics,
                     simple_message, split_trace)

ALICE = f"alice@{DOMAIN}"
IDENTITY = {"user": WORKER_USER, "group": "nogroup", "extra_groups": []} if ROOT else {}


class ReaderCase(Case):
    messages = [odd_message(), simple_message(), simple_message(b""), simple_message(b"x" * 100_000 + b"\r\n"),
                simple_message(b"".join(b"line %d\r\n" % n for n in range(5000)))]

    def delivered(self, messages=None):
        """(server, what its mailbox must hold: each message with the trace that is in front of it)"""
        messages = messages or self.messages
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            for message in messages:
                wire.deliver(message, ALICE)
        server.stop()
        contents = server.maildir().contents()
        self.assertEqual(sorted(split_trace(content)[1] for content in contents), sorted(map(lf, messages)))
        return server, sorted(contents)

    def readers_folder(self):
        """Of the one whom the maildir belongs to."""
        folder = self.folder / "reader"
        folder.mkdir()
        if ROOT:
            shutil.chown(folder, WORKER_USER)
        return folder

    def run_reader(self, *command, environment=None, **options):
        """Its output."""
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"], **(environment or {})}, cwd="/", **IDENTITY, **options)
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, f"{command} said:\n{said[-3000:]}")
        return done.stdout


class Files(ReaderCase):
    def test_python_mailbox_reads_byte_for_byte(self):
        server, contents = self.delivered()
        box = mailbox.Maildir(server.maildir().path, create=False)
        self.assertEqual(sorted(box.get_bytes(key) for key in box.keys()), contents)
        self.assertEqual({message["Delivered-To"] for message in box}, {ALICE})

    def test_notmuch_finds_and_shows_byte_for_byte(self):
        notmuch = self.need_package("notmuch", "usr/bin/notmuch")
        server, contents = self.delivered()
        folder = self.readers_folder()
        config = folder / "config"
        config.write_text(f"[database]\npath={server.maildirs}\nhook_dir={folder}\n[user]\nname=Alice\nprimary_email={ALICE}\n"
                          f"[new]\ntags=new\n[maildir]\nsynchronize_flags=false\n")
        environment = {"NOTMUCH_CONFIG": str(config), "HOME": str(folder)}

        def run(*arguments):
            return self.run_reader(*notmuch, *arguments, environment=environment)
        run("new")
        self.assertEqual(int(run("count", "*")), len(contents))
        self.assertEqual(int(run("count", "subject:one")), len(contents) - 1)
        files = run("search", "--output=files", "*").decode().splitlines()
        self.assertEqual(sorted(files), sorted(str(path) for path in (server.maildir().path / "new").iterdir()))
        ids = run("search", "--output=messages", "*").decode().splitlines()
        self.assertEqual(sorted(run("show", "--format=raw", id) for id in ids), contents)

    def test_mutt_opens_the_maildir_and_copies_each_message(self):
        mutt = self.need_package("mutt", "usr/bin/mutt")
        server, contents = self.delivered()
        folder = self.readers_folder()
        copy = folder / "copy"
        # It asks before it makes what is missing, and would take what we type for the answer.
        (folder / "rc").write_text(f"set folder={folder} confirmcreate=no confirmappend=no mbox_type=Maildir\n"
                                   f"push '<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter><exit>'\n")
        command = [*mutt, "-n", "-F", str(folder / "rc"), "-R", "-f", str(server.maildir().path)]
        master, terminal = pty.openpty()
        process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, cwd="/",
                                   env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "linux"}, **IDENTITY)
        os.close(terminal)
        screen = []
        threading.Thread(target=read_all, args=(master, screen), daemon=True).start()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.fail(f"mutt shows: {b''.join(screen)[-2000:]!r}")
        found = [path.read_bytes() for path in copy.glob("*/*")]
        self.assertEqual(sorted(map(without_mutts_fields, found)), sorted(map(without_mutts_fields, contents)))


def read_all(terminal, screen):
    """Until the program behind it has gone."""
    try:
        while octets := os.read(terminal, 65536):
            screen.append(octets)
    except OSError:
        os.close(terminal)


def without_mutts_fields(content):
    """mutt tells in a copy whether it was read and how long it is."""
    return re.sub(rb"(?m)^(Status|Content-Length|Lines): .*\n", b"", content)


class Dovecot(ReaderCase):
    # What a size can be told wrongly of.
    odd_sizes = {
        "lines that end in LF": b"Subject: one\r\n\r\none\r\ntwo\r\n",
        "octets beyond ASCII": b"Subject: one\r\n\r\ngr\xc3\xbc\xc3\x9fe \xff\xfe\r\n",
        "no body": b"Subject: one\r\n\r\n",
        "no empty line": b"Subject: one\r\n",
        "nothing at all": b"",
        "many lines": b"Subject: one\r\n\r\n" + b"\r\n" * 40_000,
    }
    binary = {
        "no line end at the end": b"Subject: one\r\n\r\none\r\ntwo",
        "CR LF, LF and CR": b"Subject: one\r\n\r\n\r\n\n\r\r\n\n\n\r\n\r\r\r\nx\n\r",
        "LF first, CR last": b"\nSubject: one\n\r",
        "CR and LF in different blocks": b"Subject: one\r\n\r\n" + (b"x" * 65_530 + b"\r\n\n\r") * 4,
        "NUL": b"Subject: one\r\n\r\n\0\r\n\0\n",
    }

    def deliver_odd_sizes(self, server):
        with server.connect() as wire:
            wire.hello()
            for message in self.odd_sizes.values():
                wire.deliver(message, ALICE)
            for message in self.binary.values():
                wire.envelope(ALICE, mail=" BODY=BINARYMIME")
                wire.bdat(message, last=True)
                wire.expect(250)

    def sizes_in_names(self, box):
        """{(size, size with CR LF)}, as a multiset, by our own count, which the names must agree with."""
        sizes = []
        for name, content in zip(box.names(), box.contents()):
            virtual = len(re.sub(rb"(?<!\r)\n", b"\r\n", content))
            self.assertRegex(name, rf",S={len(content)},W={virtual}(,|$)")
            sizes.append((len(content), virtual))
        return sorted(sizes)

    def sizes_by_dovecot(self, path):
        dovecot = DovecotFolder(self, path)
        told = dovecot.doveadm("fetch", "size.physical size.virtual", "ALL").decode()
        found = sorted((int(a), int(b)) for a, b in re.findall(r"size\.physical: (\d+)\nsize\.virtual: (\d+)\n", told))
        with DovecotImap(dovecot) as imap:
            imap.select("INBOX")
            _, parts = imap.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])")
        sizes = [(int(re.search(rb"RFC822\.SIZE (\d+)", part[0])[1]), len(part[1]))
                 for part in parts if isinstance(part, tuple)]
        self.assertEqual(sorted(size for size, _ in sizes), sorted(virtual for _, virtual in found))
        for size, length in sizes:
            self.assertEqual(size, length)
        return found

    def test_dovecot_reads_byte_for_byte_over_imap(self):
        server, contents = self.delivered()
        with DovecotImap(DovecotFolder(self, server.maildir().path)) as imap:
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

    def test_sizes_in_names_are_what_dovecot_counts_and_tells(self):
        """It believes the names; so it also counts, in a copy whose names tell nothing."""
        server = self.postern(mailboxes=("alice", "copy"))
        self.deliver_odd_sizes(server)
        box, copy = server.maildir(), server.maildir("copy")
        for name in box.names():
            shutil.copy2(box.path / "new" / name, copy.path / "new" / name.partition(",")[0])
            server.give(copy.path / "new" / name.partition(",")[0])
        in_names = self.sizes_in_names(box)
        self.assertEqual(len(in_names), len(self.odd_sizes) + len(self.binary))
        self.assertEqual(self.sizes_by_dovecot(copy.path), in_names)
        self.assertEqual(self.sizes_by_dovecot(box.path), in_names)

    def test_idle_sees_a_new_message_at_once(self):
        """Within a second, on a machine that has nothing else to do; Dovecot itself waits half of one for more to come."""
        server = self.postern()
        with DovecotImap(DovecotFolder(self, server.maildir().path)) as imap, server.connect() as wire:
            imap.select("INBOX")
            wire.hello()
            for number in (1, 2):
                imap.send(b"t%d IDLE\r\n" % number)
                self.assertTrue(imap.readline().startswith(b"+ "))
                wire.deliver(simple_message(), ALICE)
                begin = time.monotonic()
                self.assertEqual(imap.readline(), b"* %d EXISTS\r\n" % number)
                print_diagnostics(f"IDLE told of it {time.monotonic() - begin:.3f} s after the 250")
                imap.send(b"DONE\r\n")
                while not imap.readline().startswith(b"t%d OK" % number):
                    pass

    def test_quotas_are_what_dovecot_counts_and_keeps(self):
        """Into a file of its own it counts what is there; the file that postern keeps it goes on with, and postern after it."""
        server = self.postern(sections={f"domain {DOMAIN}": {"quota": "2M"}})
        path = server.maildir().path
        for part in ("", "tmp", "new", "cur"):
            (path / ".lists" / part).mkdir()
            server.give(path / ".lists" / part)
        (path / ".lists/maildirfolder").touch()
        counted, shared = DovecotFolder(self, path), DovecotFolder(self, path, control=path)
        self.deliver_odd_sizes(server)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), f"alice+lists@{DOMAIN}")
            used = quota_in(path)
            self.assertEqual(counted.count_quota(), used)
            with DovecotImap(shared) as imap:
                imap.select("INBOX")
                imap.store("1:3", "+FLAGS", "(\\Deleted)")
                imap.expunge()
                imap.append("lists", None, None, odd_message())
            self.assertNotEqual(quota_in(path), used)
            wire.deliver(odd_message(), ALICE)
        self.assertEqual(counted.count_quota(), quota_in(path))
        self.assertEqual(used[1], len(self.odd_sizes) + len(self.binary) + 1)


def quota_in(folder):
    """(octets, messages), by the maildirsize in it."""
    limit, *lines = (folder / "maildirsize").read_text().splitlines()
    assert limit == f"{2 << 20}S", limit
    octets, messages = zip(*(map(int, line.split()) for line in lines))
    return sum(octets), sum(messages)


class DovecotFolder:
    """What Dovecot needs to read a maildir, as the user whom that belongs to; without daemons."""

    numbers = itertools.count(1)

    def __init__(self, case, maildir, control=None):
        self.doveconf = case.need_package("dovecot-imapd", "usr/bin/doveconf")
        self.case = case
        self.folder = case.folder / f"dovecot{next(self.numbers)}"
        self.folder.mkdir()
        if ROOT:
            shutil.chown(self.folder, WORKER_USER)
        self.config = self.folder.with_suffix(".conf")
        self.control = control or self.folder
        user = WORKER_USER or str(os.getuid())
        # IDLE hears of changes from the kernel; it looks by itself so rarely that no test could take that for it.
        self.config.write_text(f"base_dir = {self.folder}\nstate_dir = {self.folder}\n"
                               f"mail_location = maildir:{maildir}:CONTROL={self.control}:INDEX={self.folder}\n"
                               f"mail_plugin_dir = {PACKAGES}/dovecot-imapd/usr/lib/dovecot/modules\n"
                               f"mail_plugins = quota\nprotocol imap {{\n  mail_plugins = quota imap_quota\n}}\n"
                               f"plugin {{\n  quota = maildir:User quota\n  quota_rule = *:bytes={2 << 20}\n}}\n"
                               f"namespace inbox {{\n  inbox = yes\n  separator = .\n}}\n"
                               f"ssl = no\nprotocols = imap\nlog_path = {self.folder}/log\n"
                               f"mailbox_idle_check_interval = 1 hours\n"
                               f"default_internal_user = {user}\ndefault_login_user = {user}\n")
        self.environment = {"USER": "alice", "HOME": str(self.folder), "PATH": os.environ["PATH"]}

    def command(self, service, program, *arguments):
        return [*self.doveconf, "-c", str(self.config), "-f", f"service={service}", "-m", service,
                "-e", str(PACKAGES / "dovecot-imapd" / program), *arguments]

    def count_quota(self):
        """As `doveadm quota recalc` does, whose plugin cannot be loaded from here: it has no file yet, and makes one."""
        file = self.control / "maildirsize"
        file.unlink(missing_ok=True)
        with DovecotImap(self) as imap:
            imap.getquotaroot("INBOX")
        return quota_in(self.control)

    def doveadm(self, *arguments):
        """Its output."""
        return self.case.run_reader(*self.command("doveadm", "usr/bin/doveadm", *arguments), environment=self.environment)


class DovecotImap(imaplib.IMAP4):
    """Dovecot's IMAP server on a pipe, already logged in."""

    def __init__(self, dovecot):
        self.dovecot = dovecot
        super().__init__()

    def open(self, host=None, port=None, timeout=None):
        self.server = subprocess.Popen(self.dovecot.command("imap", "usr/lib/dovecot/imap"), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
                                       env=self.dovecot.environment, **IDENTITY)
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
