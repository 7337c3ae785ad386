"""`postern try`: a session on standard input and output, which answers as the daemon does and leaves no trace."""
import contextlib
import json
import os
import pwd
import socket
import subprocess
import threading
import time

from harness import Case, DOMAIN, HOSTNAME, PATIENCE, POSTERN, ROOT, WORKER_USER, main, parse_logfmt, proc_status, simple_message
from tls import USER, certificate_of_host, give_to_workers, passwords, plain, tls_rows

ALICE = f"alice@{DOMAIN}"
KEPT_NOTHING = "250 2.0.0 Would be delivered; this was a try, nothing is kept"
ENVELOPE = ["EHLO client.example.net", "MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>"]
MESSAGE = [*simple_message().decode().split("\r\n")[:-1], "..two dots", "."]


def script(*lines, end="\r\n"):
    return "".join(line + end for line in lines).encode()


def snapshot(folder):
    """All that a write could change, also one that is undone: directories keep their time."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            st = os.lstat(os.path.join(path, name))
            found[os.path.join(path, name)] = (st.st_mode, st.st_uid, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return found


class TryCase(Case):
    def configured(self, **options):
        server = self.postern(start=False, **options)
        server.config.write_text(server.config_text())
        return server

    def command(self, server, *arguments):
        return [POSTERN, "try", "-c", str(server.config), *map(str, arguments)]

    def run_try(self, server, sent, *arguments, status=0):
        """(the lines that the client was told, the events of the log); nothing has changed in the maildirs."""
        before = snapshot(server.maildirs)
        done = subprocess.run(self.command(server, *arguments), input=sent, capture_output=True, timeout=PATIENCE)
        said, log = done.stdout.decode("ascii"), done.stderr.decode()
        self.assertEqual(done.returncode, status, said + log)
        self.assertEqual(snapshot(server.maildirs), before)
        self.assertTrue(said.endswith("\r\n"), said)
        lines = said.split("\r\n")[:-1]
        self.assertNotIn("\n", "".join(lines))
        return lines, [json.loads(line) if line.startswith("{") else parse_logfmt(line) for line in log.splitlines()]

    @contextlib.contextmanager
    def dialogue(self, server, *arguments):
        """A process with pipes; one that never answers is ended, so that reading from it fails."""
        with subprocess.Popen(self.command(server, "--quiet", *arguments), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            patience = threading.Timer(PATIENCE, process.kill)
            patience.start()
            try:
                yield process
            finally:
                patience.cancel()

    def say(self, process, *lines):
        process.stdin.write(script(*lines))
        process.stdin.flush()

    def code(self, process):
        line = process.stdout.readline()
        while line[3:4] == b"-":
            line = process.stdout.readline()
        return line[:3].decode()

    def event(self, events, name):
        (event,) = [event for event in events if event["event"] == name]
        return event


class Sessions(TryCase):
    def test_a_whole_transaction_keeps_nothing(self):
        server = self.configured()
        said, events = self.run_try(server, script(*ENVELOPE, "DATA", *MESSAGE, "QUIT"))
        self.assertEqual(said[0], f"220 {HOSTNAME} ESMTP postern")
        self.assertEqual([line[:9] for line in said[-5:-2]], ["250 2.1.0", "250 2.1.5", "354 End t"])
        self.assertEqual(said[-2:], [KEPT_NOTHING, "221 2.0.0 Bye"])
        opened = self.event(events, "session-opened")
        self.assertEqual((opened["client"], opened["listener"]), ("127.0.0.1", "smtp"))
        kept = self.event(events, "would-be-delivered")
        self.assertEqual((kept["from"], kept["to"], kept["mailbox"], kept["maildirs"], kept["session"]),
                         ("bob@example.net", ALICE, "alice", str(server.maildirs), opened["session"]))
        self.assertEqual(int(kept["octets"]), len(script(*MESSAGE[:-1])) - 1)
        closed = self.event(events, "session-closed")
        self.assertEqual((closed["reason"], closed["phase"]), ("bye", "ready"))

    def test_a_refused_recipient_is_told_where_it_was_looked_for(self):
        server = self.configured()
        said, events = self.run_try(server, script(*ENVELOPE[:2], f"RCPT TO:<nobody@{DOMAIN}>",
                                                   "RCPT TO:<alice@example.com>", "DATA", "QUIT"))
        self.assertEqual([line[:9] for line in said[-4:]], ["550 5.1.1", "550 5.7.1", "503 5.5.1", "221 2.0.0"])
        self.assertEqual([(event["depth"], event["step"], event["result"]) for event in events if event["event"] == "route"],
                         [("0", "domain", f"{DOMAIN}: [domain {DOMAIN}]"), ("0", "mailbox", "nobody: none")])
        self.assertEqual([event["reason"] for event in events if event["event"] == "rcpt-refused"],
                         ["no-such-mailbox", "no-such-domain"])

    def test_an_accepted_recipient_is_told_with_its_mailbox(self):
        server = self.configured()
        _, events = self.run_try(server, script(*ENVELOPE[:2], f"RCPT TO:<ALICE@{DOMAIN.upper()}>", "QUIT"))
        accepted = self.event(events, "rcpt-accepted")
        self.assertEqual((accepted["mailbox"], accepted["maildirs"]), ("alice", str(server.maildirs)))

    def test_lmtp_answers_once_for_each_recipient(self):
        server = self.configured(mailboxes=("alice", "carol"))
        rcpt = [f"RCPT TO:<{name}@{DOMAIN}>" for name in ("alice", "nobody", "carol", "alice")]
        said, events = self.run_try(server, script("LHLO client.example.net", ENVELOPE[1], *rcpt, "DATA", *MESSAGE,
                                                   "QUIT"), "--listener", "lmtp")
        self.assertEqual(said[0], f"220 {HOSTNAME} LMTP postern")
        self.assertEqual(said[-5:], ["354 End the message with CR LF . CR LF", *[KEPT_NOTHING] * 3, "221 2.0.0 Bye"])
        self.assertEqual([e["mailbox"] for e in events if e["event"] == "would-be-delivered"],
                         ["alice", "carol", "alice"])
        self.assertEqual(self.event(events, "session-opened")["client"], "unix")

    def test_lmtp_with_very_many_recipients(self):
        server = self.configured()
        said, _ = self.run_try(server, script("LHLO client.example.net", ENVELOPE[1], *[ENVELOPE[2]] * 1000, "DATA",
                                              *MESSAGE, "QUIT"), "--listener", "lmtp")
        self.assertEqual(said.count(KEPT_NOTHING), 1000)
        self.assertEqual(said[-1], "221 2.0.0 Bye")

    def test_several_transactions_and_a_reset(self):
        server = self.configured()
        said, events = self.run_try(server, script(*ENVELOPE, "RSET", *ENVELOPE[1:], "DATA", *MESSAGE, *ENVELOPE[1:],
                                                   ENVELOPE[2], "DATA", *MESSAGE, "QUIT"))
        self.assertEqual(said.count(KEPT_NOTHING), 2)
        self.assertEqual(len([e for e in events if e["event"] == "would-be-delivered"]), 2)
        self.assertEqual(len({e["id"] for e in events if e["event"] == "would-be-delivered"}), 2)

    def test_each_reply_comes_before_the_next_command_is_waited_for(self):
        server = self.configured()
        with self.dialogue(server) as process:
            self.assertEqual(self.code(process), "220")
            for line, code in [*zip(ENVELOPE, ["250"] * 3), ("DATA", "354")]:
                self.say(process, line)
                self.assertEqual(self.code(process), code)
            self.say(process, *MESSAGE)
            self.assertEqual(self.code(process), "250")
            self.say(process, "QUIT")
            self.assertEqual(self.code(process), "221")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_the_end_of_the_input_is_a_client_that_hangs_up(self):
        server = self.configured()
        for lines, phase in (([], "start"), (ENVELOPE[:1], "ready"), (ENVELOPE, "mail"),
                             ([*ENVELOPE, "DATA", "Subject: cut"], "data")):
            with self.subTest(lines):
                _, events = self.run_try(server, script(*lines))
                closed = self.event(events, "session-closed")
                self.assertEqual((closed["reason"], closed["phase"]), ("peer-ended", phase))
                self.assertNotIn("would-be-delivered", [event["event"] for event in events])

    def test_a_client_that_stops_reading_is_no_signal(self):
        server = self.configured()
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as out:
            done = subprocess.run(self.command(server), input=script("QUIT"), stdout=out, stderr=subprocess.PIPE,
                                  timeout=PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"reason=connection-lost", done.stderr)

    def test_a_silent_client_is_told_when_its_time_is_over(self):
        server = self.configured()
        with self.dialogue(server, "--set", "limits.command-timeout=1s") as process:
            said = process.stdout.read().decode()
            self.assertEqual(process.wait(PATIENCE), 0)
        self.assertIn("\r\n421 4.4.2 ", said)

    def test_the_log_tells_why_the_session_ended_and_what_was_refused(self):
        server = self.configured()
        for lines, reason, phase, refused in (
                (["BANANA"] * 20, "too-many-errors", "start", ["BANANA"] * 20),
                (["EHLO x", "GET / HTTP/1.1"], "foreign-protocol", "ready", ["GET / HTTP/1.1"]),
                ([*ENVELOPE, "BDAT 1x"], "out-of-step", "mail", ["BDAT 1x"]),
                ([*ENVELOPE, "mail FROM:<>", "RCPT TO:<@>", "QUIT"], "bye", "mail", ["mail FROM:<>", "RCPT TO:<@>"])):
            with self.subTest(reason):
                _, events = self.run_try(server, script(*lines))
                closed = self.event(events, "session-closed")
                self.assertEqual((closed["reason"], closed["phase"]), (reason, phase))
                self.assertEqual([event["line"] for event in events if event["event"] == "command-refused"], refused)

    def test_a_large_message_takes_no_memory(self):
        server = self.configured(sections={"limits": {"message-size": "1G"}})
        peaks = []
        for blocks in (1, 100):
            with self.dialogue(server) as process:
                process.stdin.write(script(*ENVELOPE, "DATA"))
                block = b"x" * 78 + b"\r\n"
                for _ in range(blocks):
                    process.stdin.write(block * 16384)
                process.stdin.write(script(".", "QUIT"))
                process.stdin.close()
                said = process.stdout.read().decode()
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            self.assertIn(KEPT_NOTHING, said)
            peaks.append(usage.ru_maxrss * 1024)
        self.assertLess(peaks[1] - peaks[0], 8 * 1024 * 1024)


    def test_bdat_and_an_address_in_utf_8(self):
        server = self.configured()
        body = script("Subject: x", "", "a\nb")
        said, events = self.run_try(server, script("EHLO client.example.net", "MAIL FROM:<b\u00f6b@example.net> SMTPUTF8",
                                                   ENVELOPE[2], f"BDAT {len(body)}") + body + script("BDAT 0 LAST", "QUIT"))
        self.assertEqual(said[-2:], [KEPT_NOTHING, "221 2.0.0 Bye"])
        kept = self.event(events, "would-be-delivered")
        self.assertEqual((kept["from"], int(kept["octets"])), ("b\u00f6b@example.net", len(body)))


class LineEnds(TryCase):
    def test_the_end_of_a_typed_line_is_two_octets_of_a_chunk(self):
        server = self.configured()
        said, events = self.run_try(server, script(*ENVELOPE, "BDAT 14 LAST", "Subject: x", "", "QUIT", end="\n"))
        self.assertEqual(said[-2:], [KEPT_NOTHING, "221 2.0.0 Bye"])
        self.assertEqual(int(self.event(events, "would-be-delivered")["octets"]), 14)

    def test_typed_lines_may_end_in_lf(self):
        server = self.configured()
        said, _ = self.run_try(server, script(*ENVELOPE, "DATA", *MESSAGE, "QUIT", end="\n"))
        self.assertEqual(said[-2:], [KEPT_NOTHING, "221 2.0.0 Bye"])

    def test_what_begins_with_cr_lf_is_taken_as_it_is(self):
        server = self.configured()
        said, events = self.run_try(server, script(*ENVELOPE, "DATA", "Subject: x", "", "a\n.\nb", ".", "QUIT"))
        self.assertEqual([line[:9] for line in said[-2:]], ["550 5.6.0", "221 2.0.0"])
        self.assertEqual(self.event(events, "message-refused")["reason"], "bare-cr-or-lf")

    def test_a_bare_lf_ends_no_command_then(self):
        server = self.configured()
        said, _ = self.run_try(server, script("NOOP", "NOOP\nQUIT"))
        self.assertEqual([line[:3] for line in said], ["220", "250", "500"])

    def test_a_bare_cr_stays_one_in_typed_lines(self):
        server = self.configured()
        said, _ = self.run_try(server, script(*ENVELOPE, "DATA", "Subject: x", "", "a\rb", ".", "QUIT", end="\n"))
        self.assertEqual([line[:9] for line in said[-2:]], ["550 5.6.0", "221 2.0.0"])


class Options(TryCase):
    def test_the_client_is_who_it_is_told_to_be(self):
        server = self.configured()
        for client, told in (("192.0.2.7", "192.0.2.7"), ("2001:DB8::1", "2001:db8::1"), ("::ffff:192.0.2.7", "192.0.2.7"),
                             ("unix", "unix")):
            with self.subTest(client):
                _, events = self.run_try(server, script("QUIT"), "--client", client)
                self.assertEqual(self.event(events, "session-opened")["client"], told)

    def test_the_client_decides_who_may_say_xclient(self):
        server = self.configured(sections={"listen smtp": {"xclient": "192.0.2.0/24"}})
        lines = script("EHLO client.example.net", "XCLIENT ADDR=198.51.100.7", "QUIT")
        said, events = self.run_try(server, lines, "--client", "192.0.2.7")
        self.assertIn("XCLIENT", "\n".join(said))
        self.assertEqual([line[:3] for line in said[-2:]], ["220", "221"])
        self.assertEqual(self.event(events, "xclient")["client"], "198.51.100.7")
        said, _ = self.run_try(server, lines)
        self.assertEqual([line[:9] for line in said[-2:]], ["550 5.7.0", "221 2.0.0"])
        self.assertNotIn("XCLIENT", "\n".join(said))

    def test_behind_a_proxy_and_without_delay_which_it_says(self):
        server = self.configured(sections={"listen smtp": {"proxy": "127.0.0.1", "greeting-delay": "60s"}})
        said, events = self.run_try(server, script("NOOP", "QUIT"))
        self.assertEqual([line[:3] for line in said], ["220", "250", "221"])
        self.event(events, "proxy-left-out")

    def test_a_bad_client_is_told_with_what_was_expected(self):
        server = self.configured()
        for client in ("", "localhost", "192.0.2.7:25", "[::1]", "192.0.2", "::g", "unix:/x", "1.2.3.4 "):
            with self.subTest(client):
                done = self.run_postern(*self.command(server, "--client", client)[1:])
                self.assertEqual((done.returncode, done.stdout), (64, ""))
                self.assertIn("expected an address such as 192.0.2.1", done.stderr)

    def test_an_unknown_listener_is_told_with_those_that_there_are(self):
        server = self.configured(sections={"listen smtp": {"address": "127.0.0.1:0, 127.0.0.2:0"}})
        done = self.run_postern(*self.command(server, "--listener", "smpt")[1:])
        self.assertEqual((done.returncode, done.stdout), (64, ""))
        self.assertIn('"smpt" is no listener; expected one of smtp, lmtp;', done.stderr)

    def test_a_bad_configuration_is_told_as_check_does(self):
        server = self.configured(extra_config="[limits]\nmesage-size = 1M\n")
        done = self.run_postern(*self.command(server)[1:])
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, self.run_postern("check", "-c", server.config).stderr)
        self.assertIn("message-size", done.stderr)

    def test_the_configuration_can_be_all_on_the_command_line(self):
        server = self.configured()
        done = subprocess.run([POSTERN, "try", "--listen", "lmtp://127.0.0.1:0", "--domain", f"{DOMAIN}={server.maildirs}"],
                              input=script("QUIT"), capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b" LMTP ", done.stdout)
        self.assertEqual(self.run_postern("try").returncode, 64)

    def test_quiet_says_nothing_beside_the_session(self):
        server = self.configured()
        self.assertEqual(self.run_try(server, script(*ENVELOPE, "BAD", "QUIT"), "--quiet")[1], [])

    def test_the_log_has_the_configured_format_but_goes_to_standard_error(self):
        server = self.configured()
        path = self.folder / "postern.log"
        _, events = self.run_try(server, script("QUIT"), "--log", f"file:{path}", "--log-format", "json")
        self.assertEqual(self.event(events, "session-closed")["messages"], 0)
        self.assertFalse(path.exists())


class Secure(TryCase):
    """TLS is left out, and what it changes is not."""

    def configured_with(self, means=None, limits=None, **rows):
        return self.configured(sections={"tls": tls_rows(certificate_of_host(HOSTNAME)), "listen smtp": rows,
                                         "auth": means or {"passwords": passwords()}, "limits": limits or {}})

    def codes(self, server, *lines):
        said, events = self.run_try(server, script(*lines, "QUIT"))
        return [line[:3] for line in said if line[3:4] == " "], events

    def test_where_TLS_is_required_nothing_is_done_without(self):
        server = self.configured_with(tls="required")
        codes, events = self.codes(server, *ENVELOPE, "STARTTLS", *ENVELOPE)
        self.assertEqual(codes, ["220", "250", "530", "530", "220", "250", "250", "250", "221"])
        self.event(events, "tls-left-out")

    def test_behind_STARTTLS_all_is_offered_that_needs_it(self):
        server = self.configured_with(tls="optional", auth="optional")
        said, _ = self.run_try(server, script("EHLO x", "STARTTLS", "EHLO x", "QUIT"))
        first, second = "\n".join(said).split("220 2.0.0", 1)
        self.assertIn("STARTTLS", first)
        self.assertNotIn("AUTH", first)
        self.assertIn("REQUIRETLS", second)
        self.assertRegex(second, "AUTH .*PLAIN")

    def test_who_must_log_in_can(self):
        server = self.configured_with(tls="implicit", auth="required")
        codes, events = self.codes(server, *ENVELOPE[:2], f"AUTH PLAIN {plain()}", *ENVELOPE[1:])
        self.assertEqual(codes, ["220", "250", "530", "235", "250", "250", "221"])
        self.assertEqual(self.event(events, "authenticated")["user"], USER)

    def test_a_wrong_password_is_refused_and_a_challenge_can_be_cancelled(self):
        server = self.configured_with({"passwords": passwords(), "failure-delay": "10ms"}, tls="implicit", auth="optional")
        codes, events = self.codes(server, "EHLO x", f"AUTH PLAIN {plain(password='wrong one')}", "AUTH LOGIN", "*", "AUTH PLAIN", plain())
        self.assertEqual(codes, ["220", "250", "535", "334", "501", "334", "235", "221"])
        failed = self.event(events, "auth-failed")
        self.assertEqual((failed["client"], failed["reason"]), ("127.0.0.1", "wrong-credentials"))

    def test_quiet_says_nothing_of_a_login_either(self):
        server = self.configured_with({"passwords": passwords(), "failure-delay": "10ms"}, tls="implicit", auth="optional")
        lines = script("EHLO x", f"AUTH PLAIN {plain(password='wrong one')}", f"AUTH PLAIN {plain()}", "QUIT")
        self.assertEqual(self.run_try(server, lines, "--quiet")[1], [])

    def test_who_has_failed_is_whom_xclient_told(self):
        server = self.configured_with({"passwords": passwords(), "failure-delay": "10ms"}, tls="implicit", auth="optional",
                                      xclient="127.0.0.1")
        codes, events = self.codes(server, "EHLO x", "XCLIENT ADDR=198.51.100.7", "EHLO x",
                                   f"AUTH PLAIN {plain(password='wrong one')}")
        self.assertEqual(codes, ["220", "250", "220", "250", "535", "221"])
        self.assertEqual(self.event(events, "auth-failed")["client"], "198.51.100.7")

    def test_passwords_are_those_that_are_there_by_now(self):
        path = self.folder / "passwords"
        path.write_text("")
        give_to_workers(path)
        server = self.configured_with({"passwords": path, "failure-delay": "10ms"}, {"auth-failures": 1000}, tls="implicit",
                                      auth="optional")
        with self.dialogue(server) as process:
            self.assertEqual(self.code(process), "220")
            self.say(process, "EHLO x")
            self.assertEqual(self.code(process), "250")
            path.write_text(passwords().read_text())
            deadline, said = time.monotonic() + PATIENCE, None
            while said != "235" and time.monotonic() < deadline:
                time.sleep(0.1)
                self.say(process, "RSET", f"AUTH PLAIN {plain()}")
                self.assertEqual(self.code(process), "250")
                said = self.code(process)
            self.assertEqual(said, "235")
            self.say(process, "QUIT")
            self.assertEqual(self.code(process), "221")

    def test_the_end_in_the_middle_of_an_exchange_is_one(self):
        server = self.configured_with(tls="implicit", auth="optional")
        said, _ = self.run_try(server, script("EHLO x", "AUTH LOGIN"))
        self.assertEqual(said[-1][:3], "334")

    def test_dovecot_is_not_asked(self):
        server = self.configured_with(tls="implicit", auth="required")
        path = server.folder / "auth.sock"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            server.sections["auth"] = {"dovecot": path}
            server.config.write_text(server.config_text())
            codes, events = self.codes(server, "EHLO x", f"AUTH PLAIN {plain()}", ENVELOPE[1])
        self.assertEqual(codes, ["220", "250", "454", "530", "221"])
        self.event(events, "auth-left-out")


class Access(TryCase):
    def test_it_works_with_the_rights_of_the_server(self):
        if not ROOT:
            self.skipTest("only root can become another user")
        server = self.configured()
        uid = str(pwd.getpwnam(WORKER_USER).pw_uid)
        with self.dialogue(server) as process:
            self.assertTrue(process.stdout.readline().startswith(b"220 "))
            self.assertEqual(proc_status(process.pid, "Uid"), [uid] * 4)
            self.assertEqual(proc_status(process.pid, "CapPrm"), ["0" * 16])
            process.communicate(script("QUIT"), PATIENCE)
        self.assertEqual(process.returncode, 0)

    def test_a_maildir_of_another_user_would_fail_and_is_said_to(self):
        server = self.configured(mailboxes=("alice", "carol"))
        (server.maildirs / "alice").chmod(0)
        (server.maildirs / "carol" / "tmp").chmod(0o500)
        said, events = self.run_try(server, script(*ENVELOPE, f"RCPT TO:<carol@{DOMAIN}>", "DATA", *MESSAGE, "QUIT"))
        self.assertEqual([line[:9] for line in said[-5:]], ["451 4.3.0", "250 2.1.5", "354 End t", "451 4.3.0", "221 2.0.0"])
        self.assertEqual(self.event(events, "mailbox-lookup-failed")["error"], f"{server.maildirs}/alice: Permission denied")
        self.assertEqual(self.event(events, "delivery-failed")["error"], "Permission denied")

    def test_a_maildir_without_tmp_is_refused_as_a_recipient(self):
        server = self.configured(mailboxes=("alice", "carol"))
        (server.maildirs / "carol" / "tmp").rmdir()
        said, _ = self.run_try(server, script(*ENVELOPE, f"RCPT TO:<carol@{DOMAIN}>", "DATA", *MESSAGE, "QUIT"))
        self.assertEqual([line[:3] for line in said[-4:]], ["451", "354", "250", "221"])

    def test_a_maildir_whose_tmp_takes_nothing_would_fail_alone_in_lmtp_and_with_all_others_in_smtp(self):
        server = self.configured(mailboxes=("alice", "carol"))
        (server.maildirs / "carol" / "tmp").chmod(0o500)
        lines = [*ENVELOPE[1:], f"RCPT TO:<carol@{DOMAIN}>", "DATA", *MESSAGE, "QUIT"]
        said, _ = self.run_try(server, script(ENVELOPE[0], *lines))
        self.assertEqual([line[:3] for line in said[-3:]], ["354", "451", "221"])
        said, _ = self.run_try(server, script("LHLO client.example.net", *lines), "--listener", "lmtp")
        self.assertEqual([line[:3] for line in said[-4:]], ["354", "250", "451", "221"])


if __name__ == "__main__":
    main()
