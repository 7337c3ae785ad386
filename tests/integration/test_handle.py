"""`postern handle`: handlers on one message; and what is told of handlers that cannot be loaded."""
import json
import subprocess
from pathlib import Path

import tap
from harness import Case, DOMAIN, PATIENCE, POSTERN, TOOLS, main, processes_of_session

HANDLERS = (TOOLS / "handlers").resolve()
JUDGE, ZOO = HANDLERS / "judge.so", HANDLERS / "zoo.so"
MESSAGE = b"From: bob@example.net\r\nSubject: one\r\n two\r\nX-Odd: \x1b[1m\x07\xff \"q\" \\\r\n\r\nhello\r\n.\r\n"
STORED = MESSAGE.replace(b"\r\n", b"\n")
unless_sanitized = tap.unless_sanitized(Path(POSTERN))
DELIVER, REJECT, DEFER, DISCARD, FAILURE, USAGE, CONFIG = 0, 69, 75, 99, 70, 64, 78


class HandleCase(Case):
    def handle(self, *arguments, message=MESSAGE, status=DELIVER, load=JUDGE, **options):
        """(standard output, standard error), as bytes. `options` are the handler's."""
        words = [] if load is None else ["--load", str(load)]
        for name, value in options.items():
            words += ["--handler-option", f"{load.stem}.{name}={value}"]
        with subprocess.Popen([POSTERN, "handle", *words, *map(str, arguments)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
            out, err = process.communicate(message, timeout=PATIENCE)
        self.assertEqual(process.returncode, status, out + err)
        self.assertEqual(processes_of_session(process.pid), [])
        return out, err

    def text(self, *arguments, **options):
        return self.handle(*arguments, **options)[0].decode().splitlines()

    def json(self, *arguments, **options):
        return json.loads(self.handle("--json", *arguments, **options)[0])


class Verdicts(HandleCase):
    def test_each_has_its_exit_status(self):
        for verdict, status in (("deliver", DELIVER), ("reject", REJECT), ("defer", DEFER), ("discard", DISCARD)):
            with self.subTest(verdict):
                told = self.json(verdict=verdict, status=status)
                self.assertEqual(told["verdict"], verdict)
                (recipient,) = told["recipients"]
                self.assertEqual(recipient["address"], "recipient@example.org")
                self.assertEqual(recipient["verdict"], verdict)
                self.assertEqual(recipient["handler"], None if verdict == "deliver" else "judge")

    def test_the_reply(self):
        self.assertEqual(self.text(verdict="reject", status=REJECT),
                         ["recipient@example.org: reject 554 5.7.0 not like this (by judge)"])
        (recipient,) = self.json(verdict="defer", status=DEFER)["recipients"]
        self.assertEqual((recipient["code"], recipient["enhanced"], recipient["text"]), (452, "4.3.1", "not now"))

    def test_421_is_what_the_server_would_make_of_it(self):
        (recipient,) = self.json(load=HANDLERS / "act.so", do="defer all 421 4.3.2 later", status=DEFER)["recipients"]
        self.assertEqual((recipient["code"], recipient["enhanced"], recipient["text"]), (451, "4.3.2", "later"))

    def test_recipients_of_their_own(self):
        arguments = ("--to", "alice@example.org", "--to", "carol@example.org")
        self.assertEqual(self.text(*arguments, second="reject", folder="Lists/A", flags="FS", status=REJECT),
                         ["alice@example.org: deliver to alice@example.org, folder Lists/A, flags FS",
                          'carol@example.org: reject 550 5.1.1 nobody, "really" (by judge)'])
        told = self.json(*arguments, second="discard", redirect="eve@example.org", status=DELIVER)
        self.assertEqual([r["verdict"] for r in told["recipients"]], ["deliver", "discard"])
        self.assertEqual(told["recipients"][0]["redirects"], ["eve@example.org"])
        self.assertEqual(told["recipients"][0]["mailboxes"], ["alice@example.org"])

    def test_several_handlers_in_their_order(self):
        other = self.folder / "other.so"
        other.symlink_to(JUDGE)
        told = self.json("--handler", other, "--handler-option", "other.verdict=discard", add="X-A: 1", status=DISCARD)
        self.assertEqual((told["recipients"][0]["handler"], told["added"]), ("other", ["X-A: 1"]))

    def test_the_envelope(self):
        _, log = self.handle("--from", "", "--to", "a@x.example", "--to", "b@x.example", "--listener", "inner", "--client",
                             "2001:db8::1", "--helo", "mx.example.net", "--protocol", "LMTP", envelope=1)
        self.assertEqual(log.decode(), f"judge: info: inner LMTP 2001:db8::1 mx.example.net <> {len(STORED)} "
                                       "<a@x.example>=a@x.example <b@x.example>=b@x.example\n")

    def test_the_protocol_is_that_of_the_listener(self):
        for arguments, protocol in (((), b"in ESMTP"), (("--listener", "lm"), b"lm LMTP"),
                                    (("--listener", "lm", "--protocol", "ESMTP"), b"lm ESMTP")):
            _, log = self.handle("--listen", "in=smtp://127.0.0.1:0", "--listen", "lm=lmtp://127.0.0.1:0", *arguments,
                                 envelope=1)
            self.assertIn(b"judge: info: " + protocol + b" ", log)

    def test_a_client_that_is_no_address(self):
        _, err = self.handle("--client", "here", status=USAGE)
        self.assertIn(b"--client here: expected an IP address, or unix", err)

    def test_what_is_logged_is_one_line(self):
        _, log = self.handle(log="one\ntwo\x1b[1m")
        self.assertEqual(log, b"judge: warning: one two?[1m\n")


class Edits(HandleCase):
    def test_nothing(self):
        told = self.json()
        self.assertEqual((told["added"], told["removed"], told["replaced"], told["size"]), ([], [], False, len(STORED)))

    def test_fields(self):
        out, _ = self.handle(add="X-New: a", replace="Subject: three", remove="X-Odd")
        self.assertEqual(out.decode().splitlines(), ["recipient@example.org: deliver to recipient@example.org",
                                                     "- Subject: one", "-  two", "- X-Odd: \\u001b[1m\\u0007\ufffd \"q\" \\",
                                                     "+ X-New: a", "+ Subject: three"])
        told = self.json(add="X-New: a", replace="Subject: three", remove="X-Odd")
        self.assertEqual(told["removed"], ["Subject: one\n two", 'X-Odd: \x1b[1m\x07\ufffd "q" \\'])
        self.assertEqual(told["added"], ["X-New: a", "Subject: three"])

    def test_the_message_as_it_would_be_stored(self):
        wanted = b"X-New: a\n" + STORED
        out, _ = self.handle("--output", "-", add="X-New: a")
        self.assertEqual(out, wanted)
        path = self.folder / "stored"
        out, _ = self.handle("--output", path, add="X-New: a")
        self.assertEqual((path.read_bytes(), out.splitlines()[1:]), (wanted, [b"+ X-New: a"]))

    def test_nobody_gets_it_so_nothing_is_written(self):
        path = self.folder / "stored"
        self.handle("--output", path, verdict="discard", status=DISCARD)
        self.assertFalse(path.exists())

    def test_over_lmtp_some_get_it(self):
        path = self.folder / "stored"
        arguments = ("--output", path, "--to", "alice@example.org", "--to", "carol@example.org")
        self.handle(*arguments, second="reject", status=REJECT)
        self.assertFalse(path.exists())
        self.handle(*arguments, "--protocol", "LMTP", second="reject", status=REJECT)
        self.assertEqual(path.read_bytes(), STORED)

    def test_another_message(self):
        other = "From: bob@example.net\nTo: x\n\nwholly\n"
        path = self.folder / "stored"
        out = self.text("--output", path, "--handler-option", f"judge.message={other}", add="X-New: a")
        self.assertEqual(path.read_text(), "X-New: a\n" + other)
        self.assertEqual(out[1:], [f"the message is replaced by one of {len(other) + 9} octets", "- Subject: one", "-  two",
                                   "- X-Odd: \\u001b[1m\\u0007\ufffd \"q\" \\", "+ X-New: a", "+ To: x"])

    def test_a_large_message_from_a_pipe(self):
        message = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 2_000_000 + b"\r"
        out, _ = self.handle("--output", "-", message=message)
        self.assertTrue(out == message.replace(b"\r\n", b"\n"))

    def test_no_message(self):
        self.assertEqual(self.json(message=b"")["size"], 0)


class Failures(HandleCase):
    def failure(self, load, *arguments, **options):
        told = self.json("--set", "handlers.timeout=2s", *arguments, load=load, status=FAILURE, **options)
        self.assertEqual((told["verdict"], told["reply"]), ("failure", "451 4.3.0"))
        return told["failure"]

    def test_with_the_message(self):
        for how, what in (("abort", "handler zoo died of signal 6 (Aborted) while it had the message"),
                          ("exit", "handler zoo ended with status 0 while it had the message"),
                          ("sleep", "handler zoo took longer than 2 s while it had the message")):
            with self.subTest(how):
                self.assertEqual(self.failure(ZOO, how=how), what)

    def test_rubbish_on_the_wire(self):
        self.assertEqual(self.failure(ZOO, how="rubbish"), "the host said what makes no sense: a handler wrote on its wire")

    def test_children_that_linger(self):
        for how in ("child", "session", "daemon", "many"):
            with self.subTest(how):
                self.handle(load=ZOO, how=how)

    def test_it_would_be_delivered_unhandled(self):
        told = self.text("--set", "handlers.on-failure=deliver", load=ZOO, how="abort", status=FAILURE)
        self.assertEqual(told[1], "the server would deliver the message as it is")

    def test_a_message_that_no_parser_may_see(self):
        for message in (b"To: " + b"a:" * 100_000 + b"\r\n\r\n", b"A: b\r\n" * 200_000 + b"\r\n"):
            told = self.json(message=message, status=FAILURE)
            self.assertEqual(told["reply"], "554 5.6.0")
            self.assertIn("exceeds the limit", told["failure"])

    def test_before_the_message(self):
        self.assertEqual(self.failure(JUDGE, fail="option.queue is missing"), "handler judge: option.queue is missing")
        self.assertEqual(self.failure(HANDLERS / "crash_at_load.so"),
                         "handler crash_at_load died of signal 6 (Aborted) while it was loaded")

    @unless_sanitized("their shadow is too large for any limit")
    def test_too_little_memory(self):
        self.assertIn("; is memory of [handlers] enough?", self.failure(JUDGE, "--set", "handlers.memory=8M"))


class Configured(HandleCase):
    def configured(self, **sections):
        aliases = self.folder / "aliases"
        aliases.write_text("info: alice, carol\n")
        server = self.postern(start=False, mailboxes=("alice", "carol"),
                              sections={f"domain {DOMAIN}": {"aliases": aliases},
                                        **{name.replace("_", " "): rows for name, rows in sections.items()}})
        server.sections["domain example.net"] = {"maildirs": server.maildirs}
        server.command_line()  # writes the configuration
        return server

    def test_mailboxes_and_the_first_listener(self):
        server = self.configured(handler_h={"load": JUDGE, "option.envelope": 1})
        _, log = self.handle("-c", server.config, "--to", "info@example.org", load=None)
        self.assertIn(b"h: info: smtp ESMTP 127.0.0.1 localhost <sender@example.org>", log)
        self.assertIn(b"<info@example.org>=alice@example.org,carol@example.org\n", log)

    def test_a_recipient_that_is_nobody(self):
        server = self.configured(handler_h={"load": JUDGE})
        _, log = self.handle("-c", server.config, "--to", "nobody@example.org", load=None)
        self.assertEqual(log, b"postern: warning: the server would not take mail for nobody@example.org\n")

    def test_a_redirect_to_nobody(self):
        for nowhere in ("nobody@example.org", "alice@example.com"):
            server = self.configured(handler_h={"load": JUDGE, "option.redirect": nowhere})
            told = self.json("-c", server.config, "--to", "alice@example.org", load=None, status=FAILURE)
            self.assertEqual((told["failure"], told["reply"]),
                             (f"a redirect to {nowhere}, which the server would not take mail for", "451 4.3.0"))
        server = self.configured(handler_h={"load": JUDGE, "option.redirect": "info@example.org"})
        self.handle("-c", server.config, "--to", "alice@example.org", load=None)

    def test_only_some_domains_and_listeners(self):
        server = self.configured(handler_h={"load": JUDGE, "option.verdict": "reject", "domains": "example.net",
                                            "listeners": "lmtp"})
        arguments = ("-c", server.config, "--to", "alice@example.org", "--to", "carol@example.net")
        told = self.json(*arguments, "--listener", "lmtp", load=None, status=REJECT)
        self.assertEqual([r["verdict"] for r in told["recipients"]], ["deliver", "reject"])
        told = self.json(*arguments, load=None)
        self.assertEqual([r["verdict"] for r in told["recipients"]], ["deliver", "deliver"])

    def test_mistakes(self):
        for wrong in (("--from", "a b"), ("--to", "x@"), ("-c", self.configured().config, "--listener", "elsewhere")):
            with self.subTest(wrong[-1]):
                _, told = self.handle(*wrong, status=USAGE)
                self.assertIn(str(wrong[-1]).encode(), told)
        _, told = self.handle(load=None, status=USAGE)
        self.assertIn(b"expected --load FILE", told)
        _, told = self.handle(load=self.folder / "none.so", status=CONFIG)
        self.assertIn(b"none.so: No such file or directory", told)


class Checks(HandleCase):
    def configured(self):
        """With handlers that cannot be loaded, and one that can."""
        text = self.folder / "text.so"
        text.write_text("no object at all\n")
        rows = {"good": {"load": JUDGE}, "init": {"load": JUDGE, "option.fail": "no queue"},
                "crash": {"load": HANDLERS / "crash_at_load.so"}, "exit": {"load": HANDLERS / "exit_at_load.so"},
                "text": {"load": text}}
        server = self.postern(start=False, sections={f"handler {name}": row for name, row in rows.items()})
        server.command_line()
        lines = server.config.read_text().splitlines()
        self.lines = {name: lines.index(f"[handler {name}]") + 2 for name in rows}
        return server

    def wanted(self, server):
        return [f"{server.config}:{self.lines['init']}: handler init: no queue",
                f"{server.config}:{self.lines['crash']}: handler crash died of signal 6 (Aborted) while it was loaded",
                f"{server.config}:{self.lines['exit']}: handler exit ended with status 0 while it was loaded",
                f"{server.config}:{self.lines['text']}: handler text: "]

    def assert_told(self, told, server):
        wanted = self.wanted(server)
        self.assertEqual(len(told), len(wanted), told)
        self.assertEqual([line[:len(w)] for line, w in zip(told, wanted)], wanted)

    def test_check_tells_all_in_one_run(self):
        server = self.configured()
        ran = self.run_postern("check", "-c", server.config)
        self.assertEqual(ran.returncode, 1)
        self.assert_told(ran.stderr.splitlines(), server)

    def test_serve_does_not_start(self):
        server = self.configured()
        ran = self.run_postern("serve", "-c", server.config, "--log-format", "json")
        self.assertEqual(ran.returncode, 1)
        events = [json.loads(line) for line in ran.stderr.splitlines()]
        self.assert_told([e["problem"] for e in events if e["event"] == "bad-configuration"], server)

    def test_all_is_well(self):
        (self.folder / "maildirs").mkdir()
        ran = self.run_postern("check", "--hostname", "mx.example.org", "--listen", "smtp://127.0.0.1:0", "--domain",
                               f"example.org={self.folder}/maildirs", "--handler", JUDGE, "--handler-option", "judge.add=X: y")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))


if __name__ == "__main__":
    main()
