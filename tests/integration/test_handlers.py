"""Handlers in the daemon: what they decide and change is what clients are told and mailboxes hold."""
import os
import re
import shutil
import signal
import threading

from harness import Case, DOMAIN, TOOLS, lf, main, proc_name, simple_message, split_trace, wait_until

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
ACT = TOOLS / "handlers" / "act.so"


def message(*lines, body=b"hello\r\n", subject=b"a message"):
    """One whose handler does what the lines say."""
    return b"".join(b"X-Do: %s\r\n" % line.encode() for line in lines) + b"Subject: %s\r\n\r\n" % subject + body


class HandlersCase(Case):
    mailboxes = ("alice", "bob")

    def handled(self, *, handlers=None, sections=None, more=None, **options):
        """A daemon whose handler does what messages say."""
        handlers = handlers or {"handler act": {"load": ACT, "option.do": "by-header"}}
        options.setdefault("environment", {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0:use_sigaltstack=0"})  # a crash is one
        sections = {"handlers": {"timeout": "5s", **(more or {})}, **handlers, **(sections or {})}
        return self.postern(mailboxes=self.mailboxes, sections=sections, **options)

    def send(self, wire, text, *recipients):
        wire.envelope(*(recipients or (ALICE,)))
        wire.data(text)
        return wire.reply()

    def hosts(self, server):
        return [pid for pid in server.processes() if proc_name(pid) == "postern-host"]

    def only(self, server, name="alice"):
        return split_trace(server.maildir(name).only())


class Verdicts(HandlersCase):
    def test_an_unedited_message_is_as_it_came(self):
        server = self.handled()
        text = message("log 1 seen")
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, text)[0], 250)
        self.assertEqual(self.only(server)[1], lf(text))
        (event,) = server.wait_log("handler-log", text="seen")
        self.assertEqual(event["handler"], "act")
        (delivered,) = server.wait_log("delivered")
        self.assertEqual(event["id"], delivered["id"])

    def test_each_verdict_is_the_reply(self):
        server = self.handled()
        with server.connect() as wire:
            wire.hello()
            for lines, code, text in (
                    (["reject all 554 5.7.1 not here"], 554, "5.7.1 not here"),
                    (["defer all 450 4.2.1 come again"], 450, "4.2.1 come again"),
                    (["discard all"], 250, "2.0.0"),
                    (["return 1"], 550, "5.7.1"),
                    (["return 2"], 451, "4.7.1"),
                    (["return 3"], 250, "2.0.0"),
                    (["reject 0 550 5.1.1 only you"], 550, "5.1.1 only you")):
                with self.subTest(lines):
                    got = self.send(wire, message(*lines))
                    self.assertEqual(got[0], code)
                    self.assertTrue(got[1].startswith(text), got)
            self.assertEqual(server.maildir().names(), [])
            self.assertEqual(self.send(wire, message())[0], 250)
        self.assertEqual(len(server.maildir().names()), 1)

    def test_over_smtp_one_who_is_refused_keeps_it_from_all_and_defer_goes_first(self):
        server = self.handled()
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message("reject 1 550 5.7.1 no"), ALICE, BOB), (550, "5.7.1 no"))
            self.assertEqual(self.send(wire, message("reject 0 550 5.7.1 no", "defer 1 451 4.7.1 later"), ALICE, BOB),
                             (451, "4.7.1 later"))
            self.assertEqual(server.maildir("alice").names() + server.maildir("bob").names(), [])
            self.assertEqual(self.send(wire, message("discard 0"), ALICE, BOB)[0], 250)
        self.assertEqual(server.maildir("alice").names(), [])
        self.only(server, "bob")

    def test_over_lmtp_each_has_its_own(self):
        server = self.handled()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            self.assertEqual(self.send(wire, message("reject 0 550 5.7.1 no"), ALICE, BOB), (550, "5.7.1 no"))
            wire.expect(250)
            self.assertEqual(self.send(wire, message("discard 0", "defer 1 451 4.7.1 later"), ALICE, BOB)[0], 250)
            wire.expect(451, "4.7.1 later")
        self.assertEqual(server.maildir("alice").names(), [])
        self.only(server, "bob")

    def test_handlers_follow_each_other_until_one_decides(self):
        server = self.handled(handlers={
            "handler first": {"load": ACT, "option.do": "by-header"},
            "handler second": {"load": ACT, "option.do": "add X-Second yes"}})
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message("add X-First yes"))[0], 250)
            self.assertEqual(self.send(wire, message("reject all 550 5.7.1 no"))[0], 550)
        self.assertTrue(self.only(server)[1].startswith(b"X-Second: yes\nX-First: yes\nX-Do: "))

    def test_a_handler_of_a_domain_or_a_listener_sees_only_its_mail(self):
        server = self.handled(
            handlers={"handler act": {"load": ACT, "option.do": "reject all 550 5.7.1 no", "domains": "example.net", "listeners": "smtp"}},
            sections={"domain example.net": {}}, start=False)
        server.sections["domain example.net"] = {"maildirs": server.maildirs}
        server.start()
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message(), ALICE)[0], 250)
            self.assertEqual(self.send(wire, message(), "bob@example.net")[0], 550)
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            self.assertEqual(self.send(wire, message(), "bob@example.net")[0], 250)
            self.assertEqual(self.send(wire, message(), "bob@example.net")[0], 250)


class Edits(HandlersCase):
    def test_header_fields(self):
        server = self.handled()
        text = message("add X-New one two", "remove X-Old", "replace Subject another", subject=b"old").replace(
            b"Subject:", b"X-Old: 1\r\nx-old: 2\r\n 3\r\nSubject:")
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, text)[0], 250)
        got = self.only(server)[1]
        self.assertTrue(got.startswith(b"X-New: one two\nX-Do: add"), got)
        self.assertNotIn(b"X-Old:", got)
        self.assertNotIn(b"x-old:", got)
        self.assertIn(b"\nSubject: another\n\nhello\n", got)

    def test_large_messages_keep_their_octets(self):
        server = self.handled()
        body = b"".join(b"%07d\r\n" % number for number in range(60_000))
        for lines, front in ((["log 1 unedited"], b""), (["add X-New yes"], b"X-New: yes\n"), (["remove X-Old"], b"")):
            with self.subTest(lines), server.connect() as wire:
                wire.hello()
                text = message(*lines, body=body).replace(b"Subject:", b"X-Old: 1\r\nSubject:")
                self.assertEqual(self.send(wire, text, ALICE, BOB)[0], 250)
                wanted = front + lf(text if "remove X-Old" not in lines else text.replace(b"X-Old: 1\r\n", b""))
                for name in ("alice", "bob"):
                    self.assertEqual(self.only(server, name)[1], wanted)
                    (path,) = (server.maildir(name).path / "new").iterdir()
                    size, wire_size = map(int, re.search(r",S=(\d+),W=(\d+)$", path.name).groups())
                    content = path.read_bytes()
                    self.assertEqual((size, wire_size), (len(content), len(content) + content.count(b"\n")))
                    path.unlink()
            self.assertEqual(list((server.maildir().path / "tmp").iterdir()), [])

    def test_a_message_that_is_replaced(self):
        server = self.handled()
        with server.connect() as wire:
            wire.hello()
            for _ in range(3):
                self.assertEqual(self.send(wire, message(r"replace-text Subject: new\n\nanother\n"), ALICE, BOB)[0], 250)
        for name in ("alice", "bob"):
            self.assertEqual([split_trace(text)[1] for text in server.maildir(name).contents()],
                             [b"Subject: new\n\nanother\n"] * 3)

    def test_folders_and_flags(self):
        server = self.handled()
        for part in ("", "cur", "new", "tmp"):
            folder = server.maildir().path / ".Lists.Announce" / part
            folder.mkdir(mode=0o700)
            server.give(folder)
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message("folder all Lists/Announce", "flags all SF"))[0], 250)
            self.assertEqual(self.send(wire, message("folder all Nowhere"))[0], 250)
        (path,) = (server.maildir().path / ".Lists.Announce" / "cur").iterdir()
        self.assertRegex(path.name, r",S=\d+,W=\d+:2,FS$")
        self.only(server)
        server.wait_log("handler-folder-missing")

    def test_redirects_go_the_way_of_addresses(self):
        server = self.handled(start=False)
        (server.folder / "aliases").write_text("both: alice, bob\n")
        server.sections[f"domain {DOMAIN}"]["aliases"] = server.folder / "aliases"
        server.start()
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message(f"redirect all {BOB}"), ALICE)[0], 250)
            self.only(server, "bob")
            self.assertEqual(server.maildir("alice").names(), [])
            self.assertEqual(self.send(wire, message(f"redirect all both@{DOMAIN}"), ALICE)[0], 250)
            self.only(server, "alice")
            for nowhere in (f"nobody@{DOMAIN}", "alice@example.com"):
                self.assertEqual(self.send(wire, message(f"redirect all {nowhere}"), ALICE)[0], 451)
        told = server.wait_log("handler-redirect-refused", 2)
        self.assertEqual([e["value"] for e in told], [f"nobody@{DOMAIN}", "alice@example.com"])
        self.assertIn(b"X-Original-To: alice@", server.maildir("bob").contents()[0])

    def test_what_handlers_are_told(self):
        server = self.handled()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            self.assertEqual(self.send(wire, message("envelope"), ALICE, BOB)[0], 250)
            wire.expect(250)
        (delivered, _) = server.wait_log("delivered", 2)
        told = [e["text"] for e in server.wait_log("handler-log", 19)]
        self.assertEqual(told[:7], [delivered["session"], delivered["id"], "lmtp", "LMTP", "unix", "(none)", "client.example.net"])
        self.assertEqual(told[-2:], [f"{ALICE} {ALICE} (none) (none)", f"{BOB} {BOB} (none) (none)"])


    def test_what_the_client_said_about_notifications_is_told(self):
        server = self.handled()
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net> RET=HDRS ENVID=abc SIZE=500 BODY=8BITMIME", 250)
            wire.command(f"RCPT TO:<{ALICE}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;info@example.com", 250)
            wire.data(message("envelope"))
            wire.expect(250)
        told = [e["text"] for e in server.wait_log("handler-log", 18)]
        self.assertEqual(told[13:16], ["8BITMIME", "HDRS", "abc"])
        self.assertEqual(told[16].split()[:2], ["0", "500"])
        self.assertEqual(told[17], f"{ALICE} {ALICE} success,delay rfc822;info@example.com")


class Failures(HandlersCase):
    def test_a_host_that_fails_costs_its_own_message_a_delay_and_no_other_anything(self):
        server = self.handled(more={"timeout": "1s"})
        with server.connect() as wire:
            wire.hello()
            for line, reason in (("crash", "crashed"), ("exit 0", "exited"), ("exit 3", "exited"), ("hang", "timeout"), ("spin", "timeout"),
                                 ("overflow", "crashed"), ("rubbish abcdefghijklmnopqrstuvwxyz", "rubbish")):
                with self.subTest(line):
                    before = len(server.events("handler-failed"))
                    self.assertEqual(self.send(wire, message(line))[0], 451)
                    event = server.wait_log("handler-failed", before + 1)[before]
                    self.assertEqual((event.get("handler", "act"), event["reason"]), ("act", reason))
                    self.assertEqual(self.send(wire, message())[0], 250)
        self.assertEqual(len(server.maildir().names()), 7)

    def test_on_failure_deliver_delivers_unhandled(self):
        server = self.handled(more={"on-failure": "deliver"})
        text = message("add X-New yes", "crash")
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, text)[0], 250)
        self.assertEqual(self.only(server)[1], lf(text))

    def test_what_cannot_be_loaded_is_told_at_the_start_and_by_check(self):
        for name, word in (("wrong_abi", "ABI"), ("no_symbol", "postern_handler_entry"), ("act", "init")):
            with self.subTest(name):
                server = self.handled(start=False, handlers={
                    "handler bad": {"load": TOOLS / "handlers" / f"{name}.so", "option.init": "-1"}})
                server.spawn()
                self.assertNotEqual(server.wait(), 0)
                self.assertIn(word, server.log_text())
                checked = self.run_postern("check", "-c", server.config)
                self.assertEqual(checked.returncode, 1)
                self.assertIn(word, checked.stderr)
                self.assertRegex(checked.stderr, rf"{server.config}:\d+: ")

    def test_a_bomb_is_refused_before_any_parser_sees_it(self):
        server = self.handled()
        with server.connect() as wire:
            wire.hello()
            bomb = b"To: " + b"a:" * 400_000 + b"\r\n\r\nx\r\n"
            folded = re.sub(rb"(.{900})", rb"\1\r\n ", bomb)
            self.assertEqual(self.send(wire, folded)[0], 554)
            self.assertEqual(self.send(wire, message())[0], 250)
        self.assertEqual(server.events("handler-failed") + server.events("handler-choked"), [])

    def test_killed_hosts_lose_no_message(self):
        server = self.handled(more={"processes": 2})
        wire = server.connect()
        wire.hello()
        stop, taken = threading.Event(), []

        def kill():
            while not stop.wait(0.02):
                for pid in server.processes():
                    try:
                        with open(f"/proc/{pid}/comm", encoding="ascii") as name:
                            if name.read().startswith("postern-host"):
                                os.kill(pid, signal.SIGKILL)
                                break
                    except OSError:
                        continue

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for number in range(150):
                code, _ = self.send(wire, message(subject=b"number %d." % number))
                self.assertIn(code, (250, 451))
                if code == 250:
                    taken.append(number)
        finally:
            stop.set()
            killer.join()
        numbers = sorted(int(re.search(rb"number (\d+)\.", text)[1]) for text in server.maildir().contents())
        self.assertEqual(numbers, taken)
        self.assertGreater(len(taken), 0)


class Reload(HandlersCase):
    def test_a_new_object_is_loaded_and_the_former_one_finishes(self):
        server = self.handled(start=False)
        own = server.folder / "h.so"
        shutil.copy(TOOLS.parent / "contrib/handlers/example.so", own)
        server.sections["handler act"] = {"load": own}
        server.start()
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message())[0], 250)
        self.assertIn(b"X-Client: 127.0.0.1", self.only(server)[1])
        new = server.folder / "new.so"
        shutil.copy(ACT, new)
        new.rename(own)
        server.sections["handler act"]["option.do"] = "reject all 550 5.7.1 new"
        server.config.write_text(server.config_text())
        (former,) = server.workers()
        server.signal(signal.SIGHUP)
        server.wait_log("reloaded")
        wait_until(lambda: not os.path.exists(f"/proc/{former}"), "the former worker ends")
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message())[0], 550)

    def test_hosts_stand_back(self):
        """All processes of each, from their start: handlers are loaded in them when they are ready."""
        mine, priority = sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0)
        for spare, wanted in (None, mine[:-1] or mine), (0, mine):
            server = self.handled(more={} if spare is None else {"spare-processors": spare})
            wait_until(lambda server=server: len(self.hosts(server)) >= 4, "two hosts are there, with their guards")
            for pid in self.hosts(server):
                self.assertEqual(sorted(os.sched_getaffinity(pid)), wanted)
                self.assertEqual(os.getpriority(os.PRIO_PROCESS, pid), min(19, priority + 10))
            for pid in server.workers():
                self.assertEqual(sorted(os.sched_getaffinity(pid)), mine)
                self.assertEqual(os.getpriority(os.PRIO_PROCESS, pid), priority)
            server.stop()

    def test_no_process_stays(self):
        server = self.handled()
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(self.send(wire, message("fork", "fork far"))[0], 250)
        lingering = [int(e["text"].split()[1]) for e in server.wait_log("handler-log", 2)]
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in lingering), "what was left behind is gone")
        server.stop()
        self.assertEqual(server.processes(), [])

    def test_the_child_of_a_handler_s_thread_goes_with_its_host_and_no_message_suffers(self):
        server = self.handled(more={"processes": 1})
        with server.connect() as wire:
            wire.hello()
            for number in range(1, 6):
                self.assertEqual(self.send(wire, message("thread"))[0], 250)
                self.assertEqual(self.send(wire, message())[0], 250)
                child = int(server.wait_log("handler-log", 2 * number)[2 * number - 2]["text"].split()[1])
                wait_until(lambda child=child: not os.path.exists(f"/proc/{child}"), "the child is gone")
        self.assertEqual(len(server.maildir().names()), 10)


if __name__ == "__main__":
    main()
