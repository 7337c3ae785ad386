"""`postern route`: the way of an address, step by step, as people see it; and its exit status."""
import os

from harness import Case, DOMAIN, main

SENT_ON = "an address in a domain with a section: mail is not sent on to other servers"


class RouteCase(Case):
    def configured(self, aliases=None, **rows):
        """A server that does not run, with the mailboxes alice (and its folder .lists) and carol."""
        if aliases is not None:
            path = self.folder / "aliases"
            path.write_text(aliases)
            rows["aliases"] = path
        server = self.postern(start=False, mailboxes=("alice", "carol"), sections={f"domain {DOMAIN}": rows})
        for part in ("", "tmp", "new", "cur"):
            path = server.maildirs / "alice" / ".lists" / part
            path.mkdir()
            server.give(path)
        server.command_line()  # writes the configuration
        return server

    def route(self, server, address):
        """(exit status, what was said): the path of the maildirs is written as MAILDIRS."""
        ran = self.run_postern("route", address, "-c", server.config)
        self.assertEqual(ran.stderr, "")
        return ran.returncode, ran.stdout.replace(str(server.maildirs), "MAILDIRS")


class Ways(RouteCase):
    def check(self, server, address, status, *lines):
        self.assertEqual(self.route(server, address), (status, "\n".join((address, *lines, ""))))

    def test_a_mailbox(self):
        self.check(self.configured(), f"Alice@{DOMAIN}", 0,
                   "  domain      example.org: [domain example.org]",
                   "  mailbox     MAILDIRS/alice",
                   "-> MAILDIRS/alice",
                   "250 2.1.5 Recipient OK")

    def test_nobody(self):
        self.check(self.configured(), f"nobody@{DOMAIN}", 1,
                   "  domain      example.org: [domain example.org]",
                   "  mailbox     nobody: none",
                   "550 5.1.1 No such mailbox here")

    def test_a_domain_of_others(self):
        self.check(self.configured(), "alice@example.com", 1,
                   "  domain      none of ours",
                   "550 5.7.1 Mail for that domain is not taken here")

    def test_aliases_of_aliases(self):
        server = self.configured("info: staff, carol\nstaff: alice+lists, carol\n")
        self.check(server, f"info@{DOMAIN}", 0,
                   "  domain      example.org: [domain example.org]",
                   "  alias       info: staff",
                   "    address     staff@example.org",
                   "    alias       staff: alice+lists",
                   "      address     alice+lists@example.org",
                   "      alias       alice+lists: none",
                   "      mailbox     alice+lists: none",
                   "      subaddress  alice, folder .lists if it is there",
                   "      alias       alice: none",
                   "      mailbox     MAILDIRS/alice/.lists",
                   "    alias       staff: carol",
                   "      address     carol@example.org",
                   "      alias       carol: none",
                   "      mailbox     MAILDIRS/carol",
                   "  alias       info: carol",
                   "    address     carol@example.org",
                   "-> MAILDIRS/alice/.lists",
                   "-> MAILDIRS/carol",
                   "250 2.1.5 Recipient OK")

    def test_an_alias_that_leads_nowhere(self):
        server = self.configured("info: alice, gone\n")
        self.check(server, f"info@{DOMAIN}", 1,
                   "  domain      example.org: [domain example.org]",
                   "  alias       info: alice",
                   "    address     alice@example.org",
                   "    alias       alice: none",
                   "    mailbox     MAILDIRS/alice",
                   "  alias       info: gone",
                   "    address     gone@example.org",
                   "    alias       gone: none",
                   "    mailbox     gone: none",
                   "info@example.org leads to gone, which is no mailbox",
                   "451 4.3.0 Local error, try again later")

    def test_a_catch_all_of_what_can_be_no_name(self):
        self.check(self.configured(**{"catch-all": "carol"}), f'"a b"@{DOMAIN}', 0,
                   "  domain      example.org: [domain example.org]",
                   "  mailbox     that can be no mailbox's name",
                   "  catch-all   carol",
                   "    address     carol@example.org",
                   "    mailbox     MAILDIRS/carol",
                   "-> MAILDIRS/carol",
                   "250 2.1.5 Recipient OK")

    def test_a_maildir_that_would_be_made(self):
        server = self.configured(create="yes", quota="1M")
        self.check(server, f"new@{DOMAIN}", 0,
                   "  domain      example.org: [domain example.org]",
                   "  mailbox     new: none",
                   "  create      MAILDIRS/new, at its first delivery",
                   "-> MAILDIRS/new, quota 1048576 octets, which is made then",
                   "250 2.1.5 Recipient OK")
        self.assertFalse((server.maildirs / "new").exists())

    def test_a_bare_postmaster(self):
        self.check(self.configured(), "postmaster", 0,
                   "  domain      example.org: [domain example.org]",
                   "  mailbox     postmaster: none",
                   "  create      MAILDIRS/postmaster, at its first delivery",
                   "-> MAILDIRS/postmaster, which is made then",
                   "250 2.1.5 Recipient OK")

    def test_a_postmaster_whose_alias_leads_nowhere(self):
        self.check(self.configured("postmaster: gone\n"), "postmaster", 0,
                   "  domain      example.org: [domain example.org]",
                   "  alias       postmaster: gone",
                   "    address     gone@example.org",
                   "    alias       gone: none",
                   "    mailbox     gone: none",
                   "  postmaster  gone leads nowhere: on as if there were no alias",
                   "  mailbox     postmaster: none",
                   "  create      MAILDIRS/postmaster, at its first delivery",
                   "-> MAILDIRS/postmaster, which is made then",
                   "250 2.1.5 Recipient OK")

    def test_a_maildir_that_may_not_be_entered(self):
        server = self.configured()
        (server.maildirs / "alice").chmod(0)
        self.addCleanup((server.maildirs / "alice").chmod, 0o700)
        self.check(server, f"alice@{DOMAIN}", 1,
                   "  domain      example.org: [domain example.org]",
                   "  mailbox     MAILDIRS/alice: Permission denied",
                   "MAILDIRS/alice: Permission denied",
                   "451 4.3.0 Local error, try again later")


class Misuse(RouteCase):
    def misused(self, wanted, *arguments, status=os.EX_USAGE):
        ran = self.run_postern("route", *arguments)
        self.assertEqual((ran.returncode, ran.stdout), (status, ""), ran.stderr)
        self.assertIn(wanted, ran.stderr)

    def test_no_address(self):
        self.misused("expected one address", "-c", self.configured().config)

    def test_two_addresses(self):
        self.misused("expected one address", f"alice@{DOMAIN}", f"carol@{DOMAIN}", "-c", self.configured().config)

    def test_no_configuration(self):
        self.misused("expected -c FILE", f"alice@{DOMAIN}")

    def test_what_is_no_address(self):
        server = self.configured()
        for text in ("alice", "", "a b@example.org", "@example.org", "alice@", "<alice@example.org>", "alice@example.org> x",
                     "alice@example..org"):
            with self.subTest(text):
                self.misused(f'"{text}" is no address; expected one such as alice@example.org', text, "-c", server.config)

    def test_a_configuration_that_is_missing(self):
        self.misused("No such file or directory", f"alice@{DOMAIN}", "-c", self.folder / "none.conf", status=1)

    def test_a_broken_table(self):
        server = self.configured(f"# mine\ninfo: alice\nstaff: alice, eve@example.com\n")
        ran = self.run_postern("route", f"info@{DOMAIN}", "-c", server.config)
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        self.assertIn(f"{self.folder}/aliases:3: ", ran.stderr)
        self.assertIn(SENT_ON, ran.stderr)


if __name__ == "__main__":
    main()
