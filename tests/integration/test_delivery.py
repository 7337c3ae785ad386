"""From a connection to the maildir: whole or not at all, only where it belongs, and whatever the disk does."""
import errno
import hashlib
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import threading

from faults import failing_syscalls
from harness import Case, DOMAIN, ROOT, Maildir, lf, main, odd_message, simple_message, split_trace, wait_until

ALICE = f"alice@{DOMAIN}"
MIB = 1 << 20
SYNCS = ("fsync", "fdatasync", "syncfs")


class Arrival(Case):
    def test_100_mib_arrive_whole(self):
        server = self.postern(sections={"limits": {"message-size": "200M"}})
        line = bytes(range(32, 127)).replace(b".", b"") * 10
        digest = hashlib.sha256()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            chunk = b"".join(b"%07d%s\r\n" % (n, line[n % 80:]) for n in range(1000))
            for _ in range(100 * MIB // len(chunk)):
                wire.send(chunk)
                digest.update(lf(chunk))
            wire.send(b".\r\n")
            wire.expect(250)
        _, arrived = split_trace(server.maildir().only())
        self.assertEqual(hashlib.sha256(arrived).digest(), digest.digest())

    def test_messages_around_the_size_that_is_kept_in_memory_arrive_whole(self):
        server = self.postern()
        messages = [simple_message(b"%d" % size + b"x" * (size - 200) + b"\r\n")
                    for size in (65533, 65534, 65535, 65536, 65537, 65538, 131072, 262143, 262144, 262145)]
        with server.connect() as wire:
            wire.hello()
            for message in messages:
                wire.deliver(message, ALICE)
        arrived = sorted(split_trace(content)[1] for content in server.maildir().contents())
        self.assertEqual(arrived, sorted(map(lf, messages)))

    def test_dots_are_unstuffed_and_an_empty_message_is_one(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.deliver(odd_message(), ALICE)
            wire.deliver(b"", ALICE)
        arrived = sorted(split_trace(content)[1] for content in server.maildir().contents())
        self.assertEqual(arrived, sorted([lf(odd_message()), b""]))

    def test_a_thousand_recipients_get_one_copy_each(self):
        names = [f"box{n}" for n in range(1000)]
        server = self.postern(mailboxes=names)
        with server.connect() as wire:
            wire.hello()
            wire.send(b"MAIL FROM:<bob@example.net>\r\n" +
                      b"".join(b"RCPT TO:<%s@%s>\r\n" % (name.encode(), DOMAIN.encode()) for name in names))
            for _ in range(1001):
                wire.expect(250)
            wire.data(simple_message())
            wire.expect(250)
        for name in names:
            self.assertEqual(split_trace(server.maildir(name).only())[1], lf(simple_message()))

    def test_mailboxes_are_found_without_case_and_postmaster_without_a_domain(self):
        server = self.postern(mailboxes=("alice", "postmaster"))
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), "ALICE@EXAMPLE.ORG")
            wire.deliver(simple_message(), "Postmaster")
        self.assertEqual([len(server.maildir(name).names()) for name in ("alice", "postmaster")], [1, 1])

    def test_a_client_that_sends_all_at_once_and_closes_its_side_is_served_to_the_end(self):
        server = self.postern()
        with server.connect() as wire:
            wire.send(b"EHLO c.example.net\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n" +
                      simple_message() + b".\r\nNOOP\r\n")
            wire.socket.shutdown(socket.SHUT_WR)
            for code in (250, 250, 250, 354, 250, 250):
                wire.expect(code)
            self.assertTrue(wire.at_end())
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_many_clients_at_once(self):
        server = self.postern(workers=2, mailboxes=("alice", "carol"))

        def deliver(number):
            with server.connect() as wire:
                wire.hello()
                for n in range(20):
                    wire.deliver(simple_message(subject=b"%d-%d" % (number, n)), ALICE, f"carol@{DOMAIN}")
        threads = [threading.Thread(target=deliver, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wanted = sorted(lf(simple_message(subject=b"%d-%d" % (a, b))) for a in range(20) for b in range(20))
        for name in ("alice", "carol"):
            arrived = sorted(split_trace(content)[1] for content in server.maildir(name).contents())
            self.assertEqual(arrived, wanted)

    def test_only_cr_lf_dot_cr_lf_ends_a_message(self):
        server = self.postern()
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\n.\r"):
            with self.subTest(end), server.connect() as wire:
                wire.hello()
                wire.envelope(ALICE)
                wire.command("DATA", 354)
                wire.send(b"Subject: one\r\n\r\nhello" + end +
                          b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nsmuggled\r\n.\r\n")
                wire.expect(550, "5.6.0")
                wire.command("NOOP", 250)
        self.assertEqual(server.maildir().names(), [])


class Refusal(Case):
    def test_a_mailbox_named_twice_gets_one_copy_and_over_lmtp_two_answers(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE, ALICE.upper(), ALICE)
            wire.data(simple_message())
            wire.expect(250)
        self.assertEqual(len(server.maildir().names()), 1)
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, ALICE)
            wire.data(simple_message())
            wire.expect(250)
            wire.expect(250)
        self.assertEqual(len(server.maildir().names()), 2)

    def test_unknown_mailbox_and_unknown_domain(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 250)
            wire.command(f"RCPT TO:<nobody.here@{DOMAIN}>", 550, "5.1.1")
            wire.command("RCPT TO:<alice@example.com>", 550, "5.7.1")
            wire.command(f"RCPT TO:<{ALICE}>", 250)

    def test_no_address_leads_out_of_the_domain(self):
        server = self.postern(mailboxes=("alice", "sub"))
        outside = server.folder / "outside"
        for part in ("", "tmp", "new", "cur"):
            (outside / part).mkdir()
            (server.maildirs / "sub" / "box" / part).mkdir(parents=True, exist_ok=True)
            server.give(outside / part)
            server.give(server.maildirs / "sub" / "box" / part)
        before = tree(server.folder)
        locals_ = ("../outside", "..", ".", "sub/box", "./alice", "alice/../../outside", "alice/", "/", "/etc",
                   '"../outside"', '"alice/../alice"', '".."', '"."', '""', '"alice\\/"', '" alice"', "new", "tmp",
                   "\\alice", '"a\\"b"', "~", "*", "%2e%2e%2foutside", "alice%00", '"alice\\\0"', "é", "x" * 250,
                   '"' + "x" * 62 + '"')
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 250)
            for local in locals_:
                wire.send(b"RCPT TO:<" + local.encode() + b"@" + DOMAIN.encode() + b">\r\n")
                code, said = wire.reply()
                self.assertIn(code, (500, 501, 550, 553), f"{local!r}: {said}")
                if code == 421:
                    break
        self.assertEqual(tree(server.folder), before)

    def test_links_out_of_the_domain_are_not_followed(self):
        server = self.postern(mailboxes=("alice", "tmplink", "newlink"))
        outside = server.folder / "outside"
        for part in ("", "tmp", "new", "cur"):
            (outside / part).mkdir()
            server.give(outside / part)
        (server.maildirs / "wholelink").symlink_to(outside)
        (server.maildirs / "relative").symlink_to("../outside")
        for part in ("tmp", "new"):
            (server.maildirs / f"{part}link" / part).rmdir()
            (server.maildirs / f"{part}link" / part).symlink_to(outside / part)
        with server.connect() as wire:
            wire.hello()
            for name in ("wholelink", "relative", "tmplink", "newlink"):
                with self.subTest(name):
                    wire.command("MAIL FROM:<bob@example.net>", 250)
                    wire.send(f"RCPT TO:<{name}@{DOMAIN}>\r\n".encode())
                    if wire.reply()[0] == 250:
                        wire.data(simple_message())
                        self.assertNotEqual(wire.reply()[0], 250)
                    wire.command("RSET", 250)
                    self.assertEqual([path for path in outside.rglob("*") if path.is_file()], [])
            wire.deliver(simple_message(), ALICE)
        server.maildir().only()

    def test_each_lmtp_recipient_has_a_reply_of_its_own(self):
        server = self.postern(mailboxes=("alice", "gone", "carol"))
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, f"gone@{DOMAIN}", f"carol@{DOMAIN}")
            shutil.rmtree(server.maildirs / "gone")
            wire.data(simple_message())
            wire.expect(250, "2.0.0")
            self.assertIn(wire.reply()[0], range(400, 600))
            wire.expect(250, "2.0.0")
        for name in ("alice", "carol"):
            self.assertEqual(split_trace(server.maildir(name).only())[1], lf(simple_message()))

    def test_smtp_recipients_get_all_or_none(self):
        server = self.postern(mailboxes=("alice", "gone", "carol"))
        for message in (simple_message(), simple_message(b"x" * 70 + b"\r\n" * 200_000)):
            with self.subTest(len(message)), server.connect() as wire:
                wire.hello()
                wire.envelope(ALICE, f"gone@{DOMAIN}", f"carol@{DOMAIN}")
                shutil.rmtree(server.maildirs / "gone")
                wire.data(message)
                self.assertIn(wire.reply()[0], range(400, 600))
                self.assertEqual(server.staged(), [])
                server.add_mailbox("gone")
        self.assertEqual([server.maildir(name).names() for name in ("alice", "carol")], [[], []])


def remove_part(name):
    return lambda box, outside: (box / name).rmdir()


def replace_part(name, make):
    def damage(box, outside):
        (box / name).rmdir()
        make(box / name, outside)
    return damage


def replace_whole(make):
    def damage(box, outside):
        box.rename(box.parent.parent / "moved-away")
        make(box, outside)
    return damage


def forbid(name, mode):
    return lambda box, outside: (box / name).chmod(mode)


def make_loop(path, outside):
    path.symlink_to(path.name)


class SingleInstance(Case):
    def test_copies_are_one_file_that_says_nothing_of_its_recipients(self):
        names = ("alice", "carol", "dave")
        server = self.postern(mailboxes=names, sections={"delivery": {"single-instance": "yes"}})
        for size in (100, 300_000):
            with server.connect() as wire:
                wire.hello()
                wire.deliver(simple_message(b"x" * size + b"\r\n"), *(f"{name}@{DOMAIN}" for name in names))
            for_this = [[path.stat() for path in (server.maildir(name).path / "new").iterdir()
                         if path.stat().st_size >= size] for name in names]
            files = {stat.st_ino for stats in for_this for stat in stats if stat.st_size < 2 * size + 1000}
            self.assertEqual(len(files), 1)
        for name in names:
            for content in server.maildir(name).contents():
                self.assertNotIn(b"Delivered-To:", content)
        self.assertEqual(server.staged(), [])

    def test_one_copy_alone_says_whose_it_is(self):
        server = self.postern(sections={"delivery": {"single-instance": "yes"}})
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertIn(b"Delivered-To: " + ALICE.encode(), server.maildir().contents()[0])


class Hostile(Case):
    """A maildir that is no longer one costs the mail of its own recipient some time, and that of others nothing."""
    damages = {
        "tmp/ is missing": remove_part("tmp"),
        "new/ is missing": remove_part("new"),
        "tmp/ is a file": replace_part("tmp", lambda path, outside: path.touch()),
        "tmp/ is a FIFO": replace_part("tmp", lambda path, outside: os.mkfifo(path)),
        "new/ is a FIFO": replace_part("new", lambda path, outside: os.mkfifo(path)),
        "tmp/ is a socket": replace_part("tmp", lambda path, outside: os.mknod(path, stat.S_IFSOCK | 0o600)),
        "tmp/ is a link out of the domain": replace_part("tmp", lambda path, outside: path.symlink_to(outside / "tmp")),
        "new/ is a link out of the domain": replace_part("new", lambda path, outside: path.symlink_to(outside / "new")),
        "new/ is a relative link out of it": replace_part("new", lambda path, _: path.symlink_to("../../outside/new")),
        "tmp/ is a link to new/": replace_part("tmp", lambda path, _: path.symlink_to("new")),
        "tmp/ is a link into another mailbox": replace_part("tmp", lambda path, _: path.symlink_to("../alice/new")),
        "new/ is a link into another mailbox": replace_part("new", lambda path, _: path.symlink_to("../alice/new")),
        "tmp/ is a link to itself": replace_part("tmp", make_loop),
        "new/ is a link to nothing": replace_part("new", lambda path, outside: path.symlink_to("nothing")),
        "tmp/ may not be read": forbid("tmp", 0o300),
        "tmp/ may not be written to": forbid("tmp", 0o500),
        "tmp/ may not be entered": forbid("tmp", 0o600),
        "new/ may not be written to": forbid("new", 0o500),
        "the maildir may not be entered": forbid(".", 0o000),
        "the maildir is gone": replace_whole(lambda path, outside: None),
        "the maildir is a file": replace_whole(lambda path, outside: path.touch()),
        "the maildir is a FIFO": replace_whole(lambda path, outside: os.mkfifo(path)),
        "the maildir is a link out of the domain": replace_whole(lambda path, outside: path.symlink_to(outside)),
        "the maildir is a link to itself": replace_whole(make_loop),
    }
    if ROOT:
        damages["tmp/ is a device"] = replace_part(
            "tmp", lambda path, outside: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3)))

    def setUp(self):
        super().setUp()
        self.server = self.postern(mailboxes=("alice", "carol"))
        self.outside = self.server.folder / "outside"
        for part in ("", "tmp", "new", "cur"):
            (self.outside / part).mkdir()
            self.server.give(self.outside / part)

    def check_others(self, message):
        for name in ("alice", "carol"):
            self.assertEqual(split_trace(self.server.maildir(name).only())[1], lf(message))
            os.unlink(next((self.server.maildirs / name / "new").iterdir()))

    def check_nothing_left(self):
        self.assertEqual(self.server.staged(), [])
        self.assertEqual([path for path in self.outside.rglob("*") if path.is_file()], [])

    def repair(self, box):
        """As it was: whatever lies there now is removed."""
        if box.is_dir() and not box.is_symlink():
            for path in (box, box / "tmp", box / "new"):
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o700)
            shutil.rmtree(box)
        elif box.is_symlink() or box.exists():
            box.unlink()
        shutil.rmtree(self.server.folder / "moved-away", ignore_errors=True)

    def test_each_by_itself(self):
        for size in (10, 300_000):
            message = simple_message(b"x" * 70 + b"\r\n" * size)
            for what, damage in self.damages.items():
                with self.subTest(what, size=size), self.server.connect_lmtp() as wire:
                    box = self.server.add_mailbox("mallory").path
                    wire.hello(lmtp=True)
                    wire.envelope(f"mallory@{DOMAIN}", ALICE, f"carol@{DOMAIN}")
                    damage(box, self.outside)
                    wire.data(message)
                    self.assertIn(wire.reply()[0], range(400, 500))
                    wire.expect(250)
                    wire.expect(250)
                    self.check_others(message)
                    self.check_nothing_left()
                self.repair(box)

    def test_all_or_none(self):
        message = simple_message()
        for what, damage in self.damages.items():
            with self.subTest(what), self.server.connect() as wire:
                box = self.server.add_mailbox("mallory").path
                wire.hello()
                wire.envelope(ALICE, f"mallory@{DOMAIN}", f"carol@{DOMAIN}")
                damage(box, self.outside)
                wire.data(message)
                self.assertIn(wire.reply()[0], range(400, 500))
                self.check_nothing_left()
                wire.deliver(message, ALICE, f"carol@{DOMAIN}")
                self.check_others(message)
            self.repair(box)

    def swapped_while_it_streams(self, swap):
        """Mallory's tmp/ holds the message so far when it happens. What becomes of hers is told by the caller."""
        box = self.server.add_mailbox("mallory").path
        message = simple_message((b"x" * 98 + b"\r\n") * 20_000)
        with self.server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(f"mallory@{DOMAIN}", ALICE, f"carol@{DOMAIN}")
            wire.command("DATA", 354)
            wire.send(message[:1_000_000])
            wait_until(lambda: os.listdir(box / "tmp"), "the message is staged")
            swap(box)
            wire.send(message[1_000_000:] + b".\r\n")
            code, _ = wire.reply()
            wire.expect(250)
            wire.expect(250)
        self.check_others(message)
        self.check_nothing_left()
        return code, message

    def test_a_maildir_that_is_moved_away_takes_what_was_begun_in_it_along(self):
        def swap(box):
            box.rename(box.parent / "elsewhere")
            self.server.add_mailbox("mallory")
        code, message = self.swapped_while_it_streams(swap)
        self.assertEqual(code, 250)
        self.assertEqual(split_trace(self.server.maildir("elsewhere").only())[1], lf(message))
        self.assertEqual(self.server.maildir("mallory").names(), [])

    def test_a_maildir_that_is_removed(self):
        code, _ = self.swapped_while_it_streams(shutil.rmtree)
        self.assertIn(code, range(400, 500))

    def test_a_new_that_becomes_a_link_out_of_the_domain(self):
        def swap(box):
            shutil.rmtree(box / "new")
            (box / "new").symlink_to(self.outside / "new")
        code, _ = self.swapped_while_it_streams(swap)
        self.assertIn(code, range(400, 500))

    def test_a_tmp_that_becomes_a_link_out_of_the_domain(self):
        def swap(box):
            shutil.rmtree(box / "tmp")
            (box / "tmp").symlink_to(self.outside / "tmp")
        code, _ = self.swapped_while_it_streams(swap)
        self.assertIn(code, range(400, 500))


class Modes(Case):
    def check_modes(self, umask):
        server = self.postern(umask=umask)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
            wire.deliver(simple_message(b"x" * 100_000 + b"\r\n"), ALICE)
        paths = list((server.maildir().path / "new").iterdir())
        self.assertEqual([stat.S_IMODE(path.stat().st_mode) for path in paths], [0o600, 0o600])

    def test_messages_have_mode_0600_under_a_wide_umask(self):
        self.check_modes(0)

    def test_messages_have_mode_0600_under_a_narrow_umask(self):
        self.check_modes(0o077)


class Broken(Case):
    def test_a_connection_cut_at_any_byte_leaves_nothing(self):
        server = self.postern(workers=2, mailboxes=("alice", "carol"))
        dialogue = (b"EHLO c.example.net\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<alice@example.org>\r\n"
                    b"RCPT TO:<carol@example.org>\r\nDATA\r\nSubject: one\r\n\r\nhello\r\n..\r\n.\r\n")
        for length in range(len(dialogue)):
            wire = server.connect(greet=length % 2 == 0)
            wire.send(dialogue[:length])
            if length % 3 == 0:
                wire.reset()
            else:
                wire.close()
        server.stop()
        self.assertEqual([server.maildir(name).names() for name in ("alice", "carol")], [[], []])

    def test_a_connection_cut_within_a_large_message_leaves_nothing(self):
        server = self.postern(workers=2)
        for size in (1, 60_000, 65_536, 70_000, 131_072, 300_000, 1_000_000):
            for cut in (lambda wire: wire.close(), lambda wire: wire.reset()):
                wire = server.connect()
                wire.hello()
                wire.envelope(ALICE)
                wire.command("DATA", 354)
                wire.send(b"x" * size)
                cut(wire)
        server.stop()
        self.assertEqual(server.maildir().names(), [])


class Disks(Case):
    """A disk that is full, or breaks, is told to the client in time, and leaves nothing behind."""
    sizes = (100, 500_000)

    def refused(self, server, code, text=""):
        with server.connect() as wire:
            wire.hello()
            for size in self.sizes:
                with self.subTest(size=size):
                    wire.envelope(ALICE)
                    wire.data(simple_message(b"x" * size + b"\r\n"))
                    wire.expect(code, text)
                    self.assertEqual(server.maildir().names(), [])
                    self.assertEqual(server.staged(), [])
            wire.command("NOOP", 250)

    def failing(self, error, *calls):
        return self.postern(preexec=failing_syscalls(error, *calls))

    def test_no_room_for_a_new_file(self):
        self.refused(self.failing(errno.ENOSPC, "create"), 452, "4.3.1")

    def test_no_room_when_the_file_is_synced(self):
        self.refused(self.failing(errno.ENOSPC, *SYNCS), 452, "4.3.1")

    def test_no_room_for_the_name_in_new(self):
        self.refused(self.failing(errno.ENOSPC, "rename", "renameat", "renameat2", "link", "linkat"), 452, "4.3.1")

    def test_over_the_quota_of_the_file_system(self):
        self.refused(self.failing(errno.EDQUOT, *SYNCS), 452, "4.3.1")

    def test_the_disk_fails_when_a_file_is_made(self):
        self.refused(self.failing(errno.EIO, "create"), 451, "4.3.0")

    def test_the_disk_fails_when_the_file_is_synced(self):
        self.refused(self.failing(errno.EIO, *SYNCS), 451, "4.3.0")

    def test_a_limit_on_file_sizes_refuses_the_message_and_ends_no_worker(self):
        server = self.postern(preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
        before = server.workers()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.data(simple_message((b"x" * 98 + b"\r\n") * 24000))
            wire.expect(451, "4.3.0")
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(server.workers(), before)
        self.assertEqual(len(server.maildir().names()), 1)
        self.assertEqual(server.staged(), [])

    def test_lmtp_tells_a_full_disk_to_each_recipient(self):
        server = self.postern(mailboxes=("alice", "carol"), preexec=failing_syscalls(errno.ENOSPC, *SYNCS))
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, f"carol@{DOMAIN}")
            wire.data(simple_message())
            wire.expect(452, "4.3.1")
            wire.expect(452, "4.3.1")
        self.assertEqual(server.staged(), [])

    def test_a_write_that_fails_in_the_middle(self):
        """RLIMIT_FSIZE lets a file grow to 300,000 octets and no further."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        server = self.postern(preexec=limit)
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.data(simple_message(b"x" * 500_000 + b"\r\n"))
            self.assertIn(wire.reply()[0], (451, 452))
            self.assertEqual(server.staged(), [])
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(len(server.maildir().names()), 1)

    def test_a_file_system_that_really_fills_up(self):
        """The daemon runs in a mount namespace where its maildirs are a tmpfs of 1 MiB; we look in through /proc."""
        user = [] if ROOT else ["--map-root-user"]
        if subprocess.run(["unshare", "--mount", *user, "true"], capture_output=True).returncode != 0:
            self.refused(self.failing(errno.ENOSPC, "create", *SYNCS), 452, "4.3.1")
            return
        script = ('mount -t tmpfs -o size=1m,mode=777 none "$0" && cd "$0" && '
                  'mkdir -m 777 alice alice/tmp alice/new alice/cur && exec "$@"')
        server = self.postern(start=False, mailboxes=())
        server.wrapper = ["unshare", "--mount", *user, "sh", "-c", script, str(server.maildirs)]
        if not ROOT:
            server.sections["server"].pop("user", None)
        server.start()
        alice = Maildir(f"/proc/{server.process.pid}/root{server.maildirs}/alice")
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(b"x" * 600_000 + b"\r\n"), ALICE)
            for size in (600_000, 5_000_000):
                wire.envelope(ALICE)
                wire.data(simple_message(b"x" * size + b"\r\n"))
                wire.expect(452, "4.3.1")
                self.assertEqual(alice.names("tmp"), [])
            wire.deliver(simple_message(b"y" * 300_000 + b"\r\n"), ALICE)
        self.assertEqual(len(alice.names()), 2)


def tree(folder):
    return sorted(str(path) for path in folder.rglob("*") if not re.search(r"\.sock$", path.name))


if __name__ == "__main__":
    main()
