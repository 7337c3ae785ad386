"""Where mail goes: aliases, catch-alls, subaddresses, postmaster, loops, and tables that others keep."""
import os
import re
import signal
import socket
import sqlite3
import stat
import threading
import time
from pathlib import Path

import tap
from harness import (Case, DOMAIN, Maildir, PATIENCE, POSTERN, anonymous_memory, lf, main, simple_message, split_trace,
                     wait_until)

ALICE, CAROL, INFO = (f"{name}@{DOMAIN}" for name in ("alice", "carol", "info"))
OTHER = "example.net"
MIB = 1 << 20
unless_sanitized = tap.unless_sanitized(Path(POSTERN))


def header(content):
    return split_trace(content)[0].decode()


class RoutingCase(Case):
    """A daemon with the mailboxes alice and carol in its first domain, and those of `other` in the second one."""

    def table(self, text, name="aliases"):
        """A file that is there whole or not at all, as an editor leaves it."""
        path = self.folder / name
        new = self.folder / (name + ".new")
        new.write_text(text)
        new.rename(path)
        return path

    def routed(self, other=(), other_rows=None, start=True, **rows):
        server = self.postern(start=False, mailboxes=("alice", "carol"), sections={
            f"domain {DOMAIN}": {key.replace("_", "-"): value for key, value in rows.items()},
            f"domain {OTHER}": {"maildirs": self.folder / "other", **(other_rows or {})}})
        (self.folder / "other").mkdir()
        server.give(self.folder / "other")
        for name in other:
            self.make_maildir(server, self.folder / "other" / name)
        return server.start() if start else server

    def other(self, name):
        return Maildir(self.folder / "other" / name)

    def make_maildir(self, server, path):
        for part in ("", "tmp", "new", "cur"):
            (path / part).mkdir(mode=0o700)
            server.give(path / part)
        return Maildir(path)

    def deliver(self, server, *recipients, message=None):
        with server.connect() as wire:
            wire.hello()
            wire.deliver(message or simple_message(), *recipients)

    def rcpt(self, server, recipient):
        """What RCPT is answered: (code, the enhanced code)."""
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 250)
            wire.send(f"RCPT TO:<{recipient}>\r\n".encode())
            code, text = wire.reply()
            return code, text.split()[0]


class Aliases(RoutingCase):
    def test_to_mailboxes_of_any_domain(self):
        server = self.routed(other=("dave",), aliases=self.table(f"# who\ninfo: alice,\n carol, dave@{OTHER}\n"))
        self.deliver(server, INFO)
        for maildir, mailbox in ((server.maildir("alice"), ALICE), (server.maildir("carol"), CAROL),
                                 (self.other("dave"), f"dave@{OTHER}")):
            content = maildir.only()
            self.assertIn(f"\nDelivered-To: {mailbox}\nX-Original-To: {INFO}\nReceived: ", header(content))
            self.assertIn(f"for <{INFO}>", header(content))
            self.assertEqual(split_trace(content)[1], lf(simple_message()))
        events = server.wait_log("delivered", 3)
        self.assertEqual([event["mailbox"] for event in events], ["alice", "carol", "dave"])
        self.assertEqual({event["to"] for event in events}, {INFO})

    def test_one_copy_however_many_ways_lead_there(self):
        server = self.routed(aliases=self.table("info: alice, carol\nstaff: info, alice\n"))
        self.deliver(server, INFO, ALICE, f"staff@{DOMAIN}", f"alice+x@{DOMAIN}")
        self.assertIn(f"X-Original-To: {INFO}\n", header(server.maildir("alice").only()))
        server.maildir("carol").only()

    def test_what_has_its_own_name_is_not_told_another(self):
        server = self.routed(aliases=self.table("info: carol\n"))
        self.deliver(server, f"Alice@{DOMAIN}", INFO)
        self.assertNotIn("X-Original-To", header(server.maildir("alice").only()))
        self.assertNotIn(" for <", header(server.maildir("alice").only()))
        self.assertIn(f"X-Original-To: {INFO}\n", header(server.maildir("carol").only()))

    def test_over_lmtp_each_recipient_has_its_answer(self):
        server = self.routed(aliases=self.table("info: alice, carol\n"))
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(INFO, ALICE, INFO)
            wire.data(simple_message())
            for _ in range(3):
                wire.expect(250, "2.0.0")
            wire.command("NOOP", 250)
        server.maildir("alice").only()
        server.maildir("carol").only()

    def test_over_lmtp_a_recipient_fails_with_any_of_its_mailboxes(self):
        server = self.routed(aliases=self.table("info: alice, carol\n"))
        (server.maildirs / "carol" / "tmp").chmod(0o500)
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(INFO, ALICE)
            wire.data(simple_message())
            wire.expect(451, "4.3.0")
            wire.expect(250, "2.0.0")
        server.maildir("alice").only()  # for the second one
        self.assertEqual(server.maildir("carol").names(), [])

    def test_one_that_is_half_there_is_refused_as_a_recipient_and_holds_up_nobody(self):
        server = self.routed()
        (server.maildirs / "carol" / "tmp").rmdir()
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 250)
            wire.command(f"RCPT TO:<{CAROL}>", 451, "4.3.0")
            wire.command(f"RCPT TO:<{ALICE}>", 250)
            wire.data(simple_message())
            wire.expect(250, "2.0.0")
        server.maildir("alice").only()

    def test_links_that_lead_to_themselves_are_no_loop_of_aliases(self):
        server = self.routed()
        (server.maildirs / "round").symlink_to("round")
        for part in ("tmp", "new"):
            self.make_maildir(server, server.maildirs / f"round-{part}")
            (server.maildirs / f"round-{part}" / part).rmdir()
            (server.maildirs / f"round-{part}" / part).symlink_to(part)
        for name in ("round", "round-tmp", "round-new"):
            self.assertEqual(self.rcpt(server, f"{name}@{DOMAIN}"), (451, "4.3.0"))
        self.assertIn("Too many levels of symbolic links", server.wait_log("mailbox-lookup-failed", 3)[0]["error"])

    def test_a_worker_that_replaces_another_knows_what_has_changed(self):
        server = self.routed(aliases=self.table("info: alice\n"))
        server.may_lose_workers = True
        self.table("info: alice\nfresh: carol\n")
        server.wait_log("table-loaded")
        (before,) = server.workers()
        os.kill(before, signal.SIGKILL)
        server.workers(other_than=[before])
        self.assertEqual(self.rcpt(server, f"fresh@{DOMAIN}")[0], 250)

    def test_over_lmtp_it_is_told_why(self):
        server = self.routed(aliases=self.table("info: alice, carol\n"))
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(INFO, CAROL)
            wire.data(f"Delivered-To: {CAROL}\r\n".encode() + simple_message())
            wire.expect(554, "5.4.6")
            wire.expect(554, "5.4.6")
        server.wait_log("delivery-failed", to=CAROL, error="it was there before, by its Delivered-To")
        self.assertEqual(server.maildir("alice").names() + server.maildir("carol").names(), [])

    def test_one_that_leads_nowhere_is_tried_again(self):
        server = self.routed(aliases=self.table("info: alice, gone\n"))
        self.assertEqual(self.rcpt(server, INFO), (451, "4.3.0"))
        (event,) = server.wait_log("mailbox-lookup-failed")
        self.assertEqual((event["to"], event["error"]), (INFO, f"{INFO} leads to gone, which is no mailbox"))

    def checked(self, **given):
        """What `postern check` says: (exit status, standard error)."""
        server = self.routed(start=False, **given)
        server.command_line()  # writes the configuration
        ran = self.run_postern("check", "-c", server.config)
        return ran.returncode, ran.stderr

    def test_a_loop_that_only_the_disk_closes_is_tried_again(self):
        given = {"aliases": self.table("info: gone\n"), "catch_all": "info"}
        server = self.routed(**given)
        self.assertEqual(self.rcpt(server, INFO), (451, "4.4.6"))
        self.assertEqual(server.wait_log("mailbox-lookup-failed")[0]["error"], f"{INFO} leads to itself")
        ran = self.run_postern("check", "-c", server.config)
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        self.assertEqual(ran.stderr, f"{self.folder}/aliases:1: a circle: info -> gone -> (catch-all) info; "
                                     "expected each to end at mailboxes\n")

    def test_a_loop_in_one_file_is_told_before_the_start(self):
        status, said = self.checked(aliases=self.table("alice: alice\ninfo: staff\nstaff: all\nall: info\n"))
        self.assertEqual((status, said), (1, f"{self.folder}/aliases:2: a circle: info -> staff -> all -> info; "
                                             "expected each to end at mailboxes\n"))

    def test_a_loop_through_two_files_is_told_before_the_start(self):
        status, said = self.checked(aliases=self.table(f"# c\ninfo: info@{OTHER}\n"),
                                    other_rows={"aliases": self.table(f"info: {INFO}\n", "others")})
        self.assertEqual((status, said), (1, f"{self.folder}/aliases:2: a circle: info -> info@{OTHER} -> {INFO}; "
                                             "expected each to end at mailboxes\n"))

    def test_what_leads_to_no_mailbox_is_noted(self):
        status, said = self.checked(aliases=self.table("info: alice, gone\n"))
        self.assertEqual((status, said), (0, f"{self.folder}/aliases:1: note: info -> gone: there is no such mailbox; "
                                             "mail that would go there waits with its senders\n"))

    def test_ten_thousand_mailboxes_and_no_more(self):
        names = [f"box{n}" for n in range(10001)]
        server = self.routed(create="yes", aliases=self.table(
            f"most: {', '.join(names[:-1])}\nall: {', '.join(names)}\n"))
        self.assertEqual(self.rcpt(server, f"most@{DOMAIN}"), (250, "2.1.5"))
        self.assertEqual(self.rcpt(server, f"all@{DOMAIN}"), (451, "4.3.0"))


class ChangedTables(RoutingCase):
    def leads_to(self, server, recipient, *mailboxes):
        """Delivers, and asserts where the message went."""
        before = {name: set(server.maildir(name).names()) for name in ("alice", "carol")}
        self.deliver(server, recipient)
        self.assertEqual([name for name in before if set(server.maildir(name).names()) != before[name]], list(mailboxes))

    def test_a_changed_file_is_picked_up(self):
        server = self.routed(aliases=self.table("info: alice\n"))
        self.leads_to(server, INFO, "alice")
        self.table("info: carol\nnew: alice\n")
        server.wait_log("table-loaded")
        self.leads_to(server, INFO, "carol")
        self.leads_to(server, f"new@{DOMAIN}", "alice")

    @unless_sanitized("sanitizers keep what is freed")
    def test_what_old_versions_took_of_memory_is_given_back(self):
        rows = "".join(f"name{n}: mailbox{n}\n" for n in range(200_000))
        server = self.routed(aliases=self.table("info: alice\n" + rows))
        (worker,) = server.workers()
        loaded = len(server.events("table-loaded"))  # what was written just before the start is read again
        taken = []
        for _ in range(5):
            self.table("info: carol\n" + rows)
            loaded += 1
            server.wait_log("table-loaded", loaded)
            self.assertEqual(self.rcpt(server, INFO)[0], 250)
            taken.append(anonymous_memory(worker))
        self.assertLess(max(taken), 1.3 * taken[0] + 4 * MIB, taken)

    def test_a_file_that_is_written_in_place_is_picked_up(self):
        server = self.routed(aliases=self.table("info: alice\n"))
        (self.folder / "aliases").write_text("info: carol\n")
        server.wait_log("table-loaded")
        self.leads_to(server, INFO, "carol")

    def test_every_worker_picks_it_up(self):
        server = self.routed(start=False, aliases=self.table("info: alice\n"))
        server.sections["server"]["workers"] = 3
        server.start()
        self.table("info: carol\n")
        server.wait_log("table-loaded", 3)
        for _ in range(10):
            self.leads_to(server, INFO, "carol")

    def test_a_broken_file_keeps_the_old_one_and_is_told_with_its_line(self):
        path = self.table("info: alice\n")
        server = self.routed(aliases=path)
        self.table("info: carol\n\nstaff: alice, eve@example.com\n")
        (event,) = server.wait_log("table-broken")
        self.assertEqual(event["level"], "error")
        self.assertTrue(event["problem"].startswith(f"{path}:3: "), event["problem"])
        self.assertIn("eve@example.com", event["problem"])
        self.leads_to(server, INFO, "alice")
        self.table("info: carol\n")
        server.wait_log("table-loaded")
        self.leads_to(server, INFO, "carol")
        self.assertEqual(len(server.events("table-broken")), 1)

    def test_a_loop_that_is_written_keeps_the_old_one(self):
        path = self.table("info: alice\n")
        server = self.routed(aliases=path)
        self.table("info: staff\nstaff: info\n")
        (event,) = server.wait_log("table-broken")
        self.assertRegex(event["problem"], rf"^{path}:[12]: ")
        self.leads_to(server, INFO, "alice")

    def test_a_loop_through_two_files_that_is_written_keeps_the_old_one(self):
        server = self.routed(aliases=self.table("info: alice\n"),
                             other_rows={"aliases": self.table(f"info: {INFO}\n", "others")})
        path = self.table(f"# c\ninfo: info@{OTHER}\n")
        (event,) = server.wait_log("table-broken")
        self.assertEqual(event["problem"], f"{path}:2: a circle: info -> info@{OTHER} -> {INFO}; "
                                           "expected each to end at mailboxes")
        self.leads_to(server, INFO, "alice")
        self.table("info: carol\n", "others")  # where there is no carol: so both are in use
        wait_until(lambda: self.rcpt(server, INFO) == (451, "4.3.0"), "the file that was refused is used now")

    def test_a_file_that_is_removed_keeps_the_old_one(self):
        path = self.table("info: alice\n")
        server = self.routed(aliases=path)
        path.unlink()
        (event,) = server.wait_log("table-broken")
        self.assertIn(str(path), event["problem"])
        self.leads_to(server, INFO, "alice")
        self.table("info: carol\n")
        server.wait_log("table-loaded")
        self.leads_to(server, INFO, "carol")

    def test_a_worker_that_replaces_another_knows_the_last_good_file(self):
        path = self.table("first: alice\n")
        wait_until(lambda: time.time() - path.stat().st_ctime > 0.1, "the file is left alone, and so read once")
        server = self.routed(aliases=path)
        server.may_lose_workers = True
        (worker,) = server.workers()
        self.table("later: carol\n")
        wait_until(lambda: self.rcpt(server, f"later@{DOMAIN}")[0] == 250, "the new file is in use")
        server.wait_log("table-followed")  # by the master
        self.table("later: carol\nbroken line\n")
        server.wait_log("table-broken")
        os.kill(worker, signal.SIGKILL)
        server.workers(other_than=(worker,))
        for _ in range(3):
            self.assertEqual(self.rcpt(server, f"first@{DOMAIN}"), (550, "5.1.1"))
            self.leads_to(server, f"later@{DOMAIN}", "carol")
        told = server.wait_log("table-broken", 2)  # by each worker once
        self.assertTrue(all(event["problem"].startswith(f"{path}:2: ") for event in told), told)

    def test_a_broken_file_at_the_start_is_no_start(self):
        server = self.routed(start=False, aliases=self.table("info: alice\ninfo: |cat\n/x: alice\n"))
        server.command_line()
        ran = self.run_postern("check", "-c", server.config)
        self.assertEqual(ran.returncode, 1)
        lines = ran.stderr.splitlines()
        self.assertEqual({int(line.split(":")[1]) for line in lines}, {2, 3}, ran.stderr)
        self.assertTrue(all(line.startswith(f"{self.folder}/aliases:") for line in lines), ran.stderr)


class OtherWays(RoutingCase):
    def test_a_catch_all(self):
        server = self.routed(other=("dave",), catch_all="carol", other_rows={"catch-all": ALICE})
        self.deliver(server, f"nobody@{DOMAIN}")
        self.deliver(server, f"alice@{OTHER}")
        self.assertIn(f"Delivered-To: {CAROL}\nX-Original-To: nobody@{DOMAIN}\n", header(server.maildir("carol").only()))
        self.assertIn(f"Delivered-To: {ALICE}\nX-Original-To: alice@{OTHER}\n", header(server.maildir("alice").only()))

    def test_a_catch_all_gets_what_can_be_no_mailbox(self):
        server = self.routed(catch_all="carol")
        for local in ('"../../etc/passwd"', '"a b"', '"."', '".."', '""', 'a/b'):
            with self.subTest(local):
                before = set(server.maildir("carol").names())
                self.deliver(server, f"{local}@{DOMAIN}")
                (name,) = set(server.maildir("carol").names()) - before
                content = (server.maildirs / "carol" / "new" / name).read_bytes()
                self.assertIn(f"X-Original-To: {local}@{DOMAIN}\n", header(content))

    def test_a_subaddress_goes_into_its_folder(self):
        server = self.routed()
        lists = self.make_maildir(server, server.maildirs / "alice" / ".lists")
        deep = self.make_maildir(server, server.maildirs / "alice" / ".lists.2024")
        self.deliver(server, f"alice+Lists@{DOMAIN}")
        self.deliver(server, f"alice+lists.2024@{DOMAIN}")
        self.assertIn(f"Delivered-To: {ALICE}\nX-Original-To: alice+Lists@{DOMAIN}\n", header(lists.only()))
        deep.only()
        self.assertEqual(server.maildir().names(), [])
        self.assertEqual([event.get("folder") for event in server.wait_log("delivered", 2)], [".lists", ".lists.2024"])
        self.deliver(server, f"alice+other@{DOMAIN}")
        server.maildir().only()
        self.assertEqual(sorted(os.listdir(server.maildirs / "alice")), [".lists", ".lists.2024", "cur", "new", "tmp"])

    def test_a_subaddress_leads_nowhere_else(self):
        server = self.routed()
        for local in ('"alice+../carol"', '"alice+/../../carol"', '"+alice"'):
            with self.subTest(local):
                self.assertEqual(self.rcpt(server, f"{local}@{DOMAIN}"), (550, "5.1.1"))
        for local in ('"alice+.."', '"alice+."', "alice+"):
            with self.subTest(local):
                before = len(server.maildir().names())
                self.deliver(server, f"{local}@{DOMAIN}")
                self.assertEqual(len(server.maildir().names()), before + 1)

    def test_without_subaddresses(self):
        server = self.routed(subaddress="none")
        self.assertEqual(self.rcpt(server, f"alice+lists@{DOMAIN}"), (550, "5.1.1"))

    def test_domains_beneath_and_all_others(self):
        server = self.routed(start=False)
        for name in (f"*.{DOMAIN}", "*"):
            path = self.folder / f"of {name}"
            path.mkdir()
            server.give(path)
            self.make_maildir(server, path / "alice")
            server.sections[f"domain {name}"] = {"maildirs": path}
        server.start()
        self.deliver(server, ALICE, f"alice@a.b.{DOMAIN}", "alice@example.com")
        self.assertIn(f"Delivered-To: {ALICE}\n", header(server.maildir().only()))
        for name, address in ((f"*.{DOMAIN}", f"alice@a.b.{DOMAIN}"), ("*", "alice@example.com")):
            content = Maildir(self.folder / f"of {name}" / "alice").only()
            self.assertIn(f"\nDelivered-To: {address}\nReceived: ", header(content))

    def test_postmaster_always_has_a_home(self):
        server = self.routed()
        self.deliver(server, "postmaster")
        self.deliver(server, f"PostMaster@{OTHER}")
        self.deliver(server, f"postmaster@{DOMAIN}")
        self.assertEqual(len(server.maildir("postmaster").names()), 3)
        self.assertFalse((self.folder / "other" / "postmaster").exists())
        self.assertEqual(stat.S_IMODE((server.maildirs / "postmaster").stat().st_mode), 0o700)

    def check_home(self, **given):
        """Of postmaster, whom nobody else gets mail for."""
        server = self.routed(**given)
        addresses = "postmaster", f"postmaster@{DOMAIN}", f"postmaster@{OTHER}"
        for address in addresses:
            self.deliver(server, address)
        self.assertEqual(len(server.maildir("postmaster").names()), len(addresses))
        self.assertEqual(server.events("mailbox-lookup-failed"), [])
        return server

    def test_postmaster_has_a_home_where_the_catch_all_is_missing(self):
        server = self.check_home(catch_all="gone")
        self.assertEqual(self.rcpt(server, f"nobody@{DOMAIN}"), (451, "4.3.0"))

    def test_postmaster_has_a_home_where_its_alias_leads_nowhere(self):
        self.check_home(aliases=self.table("postmaster: nobody\n"))

    def test_postmaster_has_a_home_where_its_alias_leads_back(self):
        self.check_home(aliases=self.table(f"postmaster: postmaster@{OTHER}\n"))

    def test_a_missing_maildir_is_made_at_its_first_delivery(self):
        server = self.routed(create="yes")
        self.assertEqual(self.rcpt(server, f"new@{DOMAIN}"), (250, "2.1.5"))
        self.assertFalse((server.maildirs / "new").exists())
        self.deliver(server, f"New@{DOMAIN}", f"new+x@{DOMAIN}")
        server.maildir("new").only()
        for part in ("", "tmp", "new", "cur"):
            self.assertEqual(stat.S_IMODE((server.maildirs / "new" / part).stat().st_mode), 0o700)
        for local in ('"../up"', '".hidden"', 'a/b'):
            self.assertEqual(self.rcpt(server, f"{local}@{DOMAIN}"), (550, "5.1.1"))
        self.assertEqual(self.rcpt(server, f"new@{OTHER}"), (550, "5.1.1"))

    def test_mailboxes_of_a_table(self):
        server = self.routed(mailboxes=self.table("alice: alice\nc: carol\nnew: made\n", "mailboxes"), create="yes")
        self.deliver(server, ALICE, f"c@{DOMAIN}", f"new@{DOMAIN}")
        server.maildir("alice").only()
        self.assertIn(f"Delivered-To: {CAROL}\nX-Original-To: c@{DOMAIN}\n", header(server.maildir("carol").only()))
        server.maildir("made").only()
        self.assertEqual(self.rcpt(server, CAROL), (550, "5.1.1"))


class Loops(RoutingCase):
    """RFC 5321 6.3: what comes back is not sent round for ever."""

    def message(self, *fields, body=b"hello\r\n"):
        return b"".join(field.encode() + b"\r\n" for field in fields) + simple_message(body)

    def refused(self, server, message, *recipients, bdat=False):
        with server.connect() as wire:
            wire.hello()
            wire.envelope(*recipients)
            if bdat:
                wire.bdat(message, last=True)
            else:
                wire.data(message)
            wire.expect(554, "5.4.6")
            wire.command("NOOP", 250)
        self.assertEqual(server.staged(), [])

    def test_a_message_that_was_in_the_mailbox_before(self):
        server = self.routed()
        self.refused(server, self.message(f"Delivered-To: {ALICE}"), ALICE)
        self.refused(server, self.message("Subject: x", f"DELIVERED-TO:  Alice@{DOMAIN.upper()} "), ALICE)
        self.refused(server, self.message(f"Delivered-To: alice+x@{DOMAIN}"), ALICE)
        self.refused(server, self.message(f"Delivered-To:\r\n (for) <{ALICE}>"), ALICE)
        self.refused(server, self.message(f"Delivered-To: {ALICE}"), ALICE, bdat=True)
        self.refused(server, self.message(f"Delivered-To: {ALICE}"), CAROL, ALICE)  # SMTP: all or none
        self.refused(server, self.message(f"Delivered-To: {ALICE}", body=b"x" * 998 + b"\r\n" * 100000), ALICE)
        self.assertEqual(server.maildir("alice").names() + server.maildir("carol").names(), [])

    def test_a_message_that_was_elsewhere(self):
        server = self.routed(aliases=self.table("info: alice\n"))
        message = self.message(f"Delivered-To: {CAROL}", f"Delivered-To: alice@{OTHER}", f"Delivered-To: {INFO}",
                               "Delivered-To: alice", "X-Delivered-To: " + ALICE, body=f"Delivered-To: {ALICE}\r\n".encode())
        self.deliver(server, INFO, message=message)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(message))

    def test_what_an_alias_leads_to_was_there_before(self):
        server = self.routed(aliases=self.table("info: alice, carol\n"))
        self.refused(server, self.message(f"Delivered-To: {CAROL}"), INFO)
        self.assertEqual(server.maildir("alice").names(), [])

    def test_lmtp_refuses_only_who_had_it(self):
        server = self.routed()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, CAROL)
            wire.data(self.message(f"Delivered-To: {ALICE}"))
            wire.expect(554, "5.4.6")
            wire.expect(250, "2.0.0")
        self.assertEqual(server.maildir("alice").names(), [])
        server.maildir("carol").only()

    def test_what_we_delivered_comes_back(self):
        server = self.routed(aliases=self.table("info: alice\n"))
        self.deliver(server, INFO)
        came = server.maildir().only().replace(b"\n", b"\r\n")
        self.refused(server, came, INFO)
        self.deliver(server, CAROL, message=came)

    def test_a_hundred_servers_and_no_more(self):
        server = self.routed()
        self.deliver(server, ALICE, message=self.message(*["Received: from a by b"] * 100))
        self.refused(server, self.message(*["Received: from a by b"] * 101), ALICE)
        self.refused(server, self.message(*["Received: from a\r\n\tby b"] * 101), ALICE, bdat=True)
        self.deliver(server, ALICE, message=self.message(*["Received: from a\r\n\tby b; Received: c"] * 100,
                                                         body=b"Received: x\r\n" * 100))
        self.assertEqual(len(server.maildir().names()), 2)

    def test_over_lmtp_every_recipient_is_told(self):
        server = self.routed()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, CAROL)
            wire.data(self.message(*["Received: from a by b"] * 101))
            wire.expect(554, "5.4.6")
            wire.expect(554, "5.4.6")

    def test_another_limit(self):
        server = self.routed(start=False)
        server.sections["limits"] = {"received-fields": 2}
        server.start()
        self.deliver(server, ALICE, message=self.message(*["Received: from a by b"] * 2))
        self.refused(server, self.message(*["Received: from a by b"] * 3), ALICE)


class Quotas(RoutingCase):
    """What a full mailbox means is for its domain to say."""

    def test_one_that_may_have_room_later_keeps_a_message_for_others_from_bouncing(self):
        server = self.routed(other=("dave",), over_quota="reject", quota="1M", other_rows={"quota": 2000})
        message = simple_message(b"x" * 3000 + b"\r\n")
        for recipients in ((ALICE, f"dave@{OTHER}"), (f"dave@{OTHER}", ALICE)):
            with server.connect() as wire:
                wire.hello()
                wire.envelope(*recipients)
                wire.data(message)
                wire.expect(452, "4.2.2")
        self.assertEqual(server.maildir().names() + self.other("dave").names(), [])

    def test_one_that_refuses_for_good(self):
        server = self.routed(over_quota="reject", quota=2000, quotas=self.table("carol: 1M\n", "quotas"))
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net> SIZE=3000", 250)
            wire.command(f"RCPT TO:<{ALICE}>", 552, "5.2.2")
            wire.command(f"RCPT TO:<{CAROL}>", 250)
            wire.command("RSET", 250)
            wire.envelope(ALICE)
            wire.data(simple_message(b"x" * 3000 + b"\r\n"))
            wire.expect(552, "5.2.2")


class Databases(RoutingCase):
    def database(self, *rows):
        path = self.folder / "mail.db"
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE aliases (name TEXT, domain TEXT, target TEXT)")
            db.executemany("INSERT INTO aliases VALUES (?, ?, ?)", rows)
        db.close()
        return path

    def queried(self, path, query="SELECT target FROM aliases WHERE name = :name AND domain = :domain", **options):
        return self.routed(aliases=f"sqlite:{path} {query}", **options)

    def test_aliases_of_a_database(self):
        server = self.queried(self.database(("info", DOMAIN, "alice"), ("info", DOMAIN, "carol"), ("info", OTHER, "dave"),
                                            ("o'brien", DOMAIN, "carol")))
        self.deliver(server, f"INFO@{DOMAIN}")
        server.maildir("alice").only()
        server.maildir("carol").only()
        self.deliver(server, f"o'brien@{DOMAIN}")
        self.assertEqual(len(server.maildir("carol").names()), 2)
        for local in ("nobody", "'", "x' OR '1'='1", "%"):
            self.assertEqual(self.rcpt(server, f'"{local}"@{DOMAIN}'), (550, "5.1.1"))

    def test_the_whole_address(self):
        server = self.queried(self.database(("info", DOMAIN, CAROL)),
                              "SELECT target FROM aliases WHERE name || '@' || domain = :address")
        self.deliver(server, INFO)
        server.maildir("carol").only()

    def test_what_changes_is_seen(self):
        path = self.database(("info", DOMAIN, "alice"))
        server = self.queried(path)
        self.deliver(server, INFO)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE aliases SET target = 'carol'")
        db.close()

        def arrives():
            self.deliver(server, INFO)
            return server.maildir("carol").names()
        wait_until(arrives, "the change is seen")

    def test_a_database_that_is_locked_is_tried_again(self):
        path = self.database(("info", DOMAIN, "alice"))
        server = self.queried(path)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        self.assertEqual(self.rcpt(server, INFO), (451, "4.4.3"))
        (event,) = server.wait_log("mailbox-lookup-failed")
        self.assertTrue(event["error"].startswith(f"alias of {INFO}: "), event["error"])
        db.execute("COMMIT")
        db.close()
        self.deliver(server, INFO)

    def test_a_target_elsewhere_is_tried_again(self):
        server = self.queried(self.database(("info", DOMAIN, "eve@example.com")))
        self.assertEqual(self.rcpt(server, INFO), (451, "4.3.0"))
        self.assertEqual(server.wait_log("mailbox-lookup-failed")[0]["error"],
                         f"{INFO} leads to eve@example.com, which is no address in a domain of ours")

    def test_a_query_that_is_wrong_is_no_start(self):
        server = self.queried(self.database(), "SELECT nothing FROM aliases", start=False)
        server.command_line()
        ran = self.run_postern("check", "-c", server.config)
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, rf"^{server.config}:\d+: [^\n]*nothing[^\n]*\n$")


class SocketMap:
    """A server of Postfix's socketmap protocol, whose answers are `answer(key)`; None: it never answers."""

    def __init__(self, path, answer):
        self.answer = answer
        self.asked = []
        self.stopped = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.listener.listen(100)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.stopped.set()
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while match := re.fullmatch(rb"(\d+):", self.length(stream)):
                question = stream.read(int(match[1]) + 1)[:-1].decode()
                self.asked.append(question)
                answer = self.answer(question)
                if answer is None:
                    self.stopped.wait(PATIENCE)
                    return
                connection.sendall(b"%d:%s," % (len(answer.encode()), answer.encode()))

    @staticmethod
    def length(stream):
        digits = b""
        while not digits.endswith(b":"):
            octet = stream.read(1)
            if not octet:
                return b""
            digits += octet
        return digits


class Servers(RoutingCase):
    def served(self, answer, **options):
        path = self.folder / "map.sock"
        self.map = SocketMap(path, answer)
        self.addCleanup(self.map.close)
        return self.routed(aliases=f"socket:{path} aliases", **options)

    def ask_many(self, server):
        """More clients than are asked for at once, and than there are threads; each has said RCPT."""
        waiting = [server.connect() for _ in range(40)]
        for n, wire in enumerate(waiting):
            self.addCleanup(wire.close)
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 250)
            wire.send(f"RCPT TO:<info{n}@{DOMAIN}>\r\n".encode())
        return waiting

    def test_aliases_of_a_server(self):
        answers = {f"aliases {INFO}": f"OK alice,{CAROL}", f"aliases temp@{DOMAIN}": "TEMP not now",
                   f"aliases slow@{DOMAIN}": "TIMEOUT it took too long", f"aliases bad@{DOMAIN}": "PERM no such table",
                   f"aliases odd@{DOMAIN}": "what?"}
        server = self.served(lambda question: answers.get(question, "NOTFOUND "))
        self.deliver(server, INFO)
        server.maildir("alice").only()
        server.maildir("carol").only()
        self.assertEqual(self.rcpt(server, f"nobody@{DOMAIN}"), (550, "5.1.1"))
        for local in ("temp", "slow", "bad", "odd"):
            self.assertEqual(self.rcpt(server, f"{local}@{DOMAIN}"), (451, "4.4.3"))
        self.assertIn("not now", server.wait_log("mailbox-lookup-failed", 4)[0]["error"])
        self.assertEqual(self.map.asked[0], f"aliases {INFO}")

    def test_a_server_that_is_not_there(self):
        server = self.routed(aliases=f"socket:{self.folder}/none aliases")
        self.assertEqual(self.rcpt(server, ALICE), (451, "4.4.3"))
        self.map = SocketMap(self.folder / "none", lambda question: "NOTFOUND ")
        self.addCleanup(self.map.close)
        self.deliver(server, ALICE)

    def test_a_server_that_hangs_holds_up_nobody_else(self):
        hung = threading.Event()

        def answer(question):
            if question == f"aliases {ALICE}":
                return "NOTFOUND "
            hung.set()
            return None
        server = self.served(answer, other=("dave",))
        with server.connect() as ready:
            ready.hello()
            ready.envelope(ALICE)
            waiting = self.ask_many(server)
            self.assertTrue(hung.wait(PATIENCE))
            ready.data(simple_message())
            ready.expect(250)
            self.assertEqual(server.events("mailbox-lookup-failed"), [])  # so that was not after they had ended
            waiting[0].expect(451, "4.4.3")
        server.maildir().only()
        self.map.close()  # what hangs is answered by an end

    def test_a_table_that_hangs_does_not_hold_up_other_domains(self):
        server = self.served(lambda question: None, other=("dave",))
        waiting = self.ask_many(server)
        wait_until(lambda: len(self.map.asked) >= 16, "as many hang as are asked at once")
        self.deliver(server, f"dave@{OTHER}")
        self.other("dave").only()
        self.assertEqual(server.events("mailbox-lookup-failed"), [])  # so that was not after they had ended
        waiting[0].expect(451, "4.4.3")
        waiting[0].command("NOOP", 250)
        self.map.close()  # what hangs is answered by an end


if __name__ == "__main__":
    main()
