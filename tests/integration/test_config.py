"""What is wrong with a configuration is told, all of it, with file and line; and what the log looks like."""
import json
import re
import shutil

from harness import Case, DOMAIN, ROOT, TOOLS, main, parse_logfmt, simple_message, wait_until

ALICE = f"alice@{DOMAIN}"

BAD = """\
[server]
hostname = mx.example.org
workerz = 2

[limits]
message-size = plenty
recipients = 1
no equals sign here

[listen inbound]
address = 127.0.0.1:99999
protocol = pop3

[nonsense]
key = value

[domain example.org]
maildirs = /nonexistent/maildirs
"""


def path_of_mute(folder):
    """A file that is no shared object."""
    path = folder / "mute.so"
    path.write_text("nothing")
    return path


class Problems(Case):
    def setUp(self):
        super().setUp()
        self.maildirs = self.folder / "maildirs"
        self.maildirs.mkdir()

    def write(self, text, name="postern.conf"):
        path = self.folder / name
        path.write_text(text)
        return path

    def good(self):
        return (f"# a comment\n[server]\nhostname = mx.example.org\n\n[listen inbound]\naddress = 127.0.0.1:0\n\n"
                f"[domain example.org]\nmaildirs = {self.maildirs}\n")

    def check(self, text):
        """(path, the lines that check printed on standard error); it ended with status 1, and so does serve."""
        path = self.write(text)
        done = self.run_postern("check", "-c", path)
        self.assertEqual(done.returncode, 1, done.stderr)
        served = self.run_postern("serve", "-c", path)
        self.assertEqual(served.returncode, 1, served.stderr)
        self.assertNotIn("listening", served.stderr)
        for line in done.stderr.splitlines():
            self.assertIn(line, served.stderr)
        return path, done.stderr.splitlines()

    def only_problem(self, text):
        path, lines = self.check(text)
        self.assertEqual(len(lines), 1, lines)
        return lines[0].removeprefix(str(path))

    def test_a_good_configuration_is_good(self):
        done = self.run_postern("check", "-c", self.write(self.good()))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_lies_behind_the_file_is_told_in_the_same_run(self):
        """Files that it names and handlers are looked at though values are wrong."""
        path = self.write(f"""\
[server]
workers = few
[tls]
certificate = {self.folder}/no.pem
private-key = {self.folder}/no.key
[listen inbound]
address = 127.0.0.1:0
tls = optional
auth = optional
[auth]
passwords = {self.folder}/nobody
[domain example.org]
maildirs = {self.folder}/nowhere
[handler mute]
load = {path_of_mute(self.folder)}
""")
        done = self.run_postern("check", "-c", path)
        self.assertEqual(done.returncode, 1)
        told = [int(line.removeprefix(f"{path}:").split(":")[0]) for line in done.stderr.splitlines()]
        self.assertEqual(sorted(told), [2, 4, 5, 10, 13, 15], done.stderr)

    def test_all_problems_are_told_in_one_run_with_file_and_line(self):
        path, lines = self.check(BAD)
        told = {}
        for line in lines:
            match = re.match(re.escape(str(path)) + r":(\d+): (.*)", line)
            self.assertTrue(match, line)
            told.setdefault(int(match[1]), []).append(match[2])
        self.assertEqual(sorted(told), [3, 6, 7, 8, 11, 12, 14, 18])
        self.assertEqual([len(problems) for problems in told.values()], [1] * len(told), told)

    def test_a_misspelt_key_is_answered_with_the_nearest_known_one(self):
        problem = self.only_problem(self.good() + "[limits]\nmesage-size = 1M\n")
        self.assertRegex(problem, r"^:\d+: .*mesage-size.*message-size")

    def test_a_bad_value_is_answered_with_what_was_expected(self):
        problem = self.only_problem(self.good() + "[limits]\ncommand-timeout = soon\n")
        self.assertRegex(problem, r"^:\d+: .*soon.*expected a duration such as 5m|expected a duration")

    def test_an_overlong_line_is_named_and_nothing_of_it_is_used(self):
        problem = self.only_problem(self.good().replace("mx.example.org", "mx.example.org" + " " * 100_000))
        self.assertRegex(problem, r"^:3: ")

    def test_a_missing_directory_is_named(self):
        problem = self.only_problem(self.good().replace(str(self.maildirs), "/nonexistent/maildirs"))
        self.assertRegex(problem, r"^:9: .*/nonexistent/maildirs")

    def test_root_without_a_user_has_no_more_rights_than_its_workers(self):
        if not ROOT:
            self.skipTest("only root has rights to lose")
        shutil.chown(self.maildirs, "nobody")
        self.maildirs.chmod(0o700)
        problem = self.only_problem(self.good())
        self.assertRegex(problem, r"^:9: .*Permission denied")

    def test_a_missing_file_is_named(self):
        done = self.run_postern("check", "-c", self.folder / "none.conf")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.folder}/none.conf", done.stderr)

    def test_an_empty_file_says_what_is_missing(self):
        _, lines = self.check("")
        self.assertIn("listen", "\n".join(lines))
        self.assertIn("domain", "\n".join(lines))

    def test_the_command_line_is_judged_alike(self):
        done = self.run_postern("serve", "--listen", "smtp://127.0.0.1:99999", "--domain", "example.org=/nonexistent")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("99999", done.stderr)

    def test_help_and_version(self):
        done = self.run_postern("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("serve", "check"):
            self.assertIn(word, done.stdout)
        done = self.run_postern("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^postern \d")

    def test_an_unknown_option_or_command_is_refused(self):
        for arguments in (["--nonsense"], ["nonsense"], ["serve", "--nonsense"], ["check", "--nonsense"], ["serve"]):
            with self.subTest(arguments):
                done = self.run_postern(*arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertNotEqual(done.stderr, "")


class Installed(Case):
    def test_no_place_is_left_to_be_filled_in(self):
        for name in ("systemd/postern.service", "postern.pc"):
            text = (TOOLS.parent / "contrib" / name).read_text()
            self.assertNotRegex(text, r"@\w+@")
            self.assertIn("/postern", text)


class Logs(Case):
    events = ("started", "listening", "delivered", "stopping", "stopped")

    def deliver(self, server):
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
            wire.command('RCPT TO:<quo"te\\>', 503)
            wire.send(b"NO\xffSUCH \"x\\ =y\x07\x1b[31m\r\n")
            wire.reply()
        server.stop()

    def check_fields(self, events):
        names = [event["event"] for event in events]
        for name in self.events:
            self.assertIn(name, names)
        for event in events:
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
            self.assertIn(event["level"], ("debug", "info", "warning", "error"))

    def test_logfmt_is_one_event_a_line_and_escapes_what_peers_wrote(self):
        server = self.postern()
        self.deliver(server)
        for line in server.log:
            self.assertTrue(line.isascii() and line.isprintable(), line)
            whole = " ".join(re.findall(r'[a-zA-Z0-9_.-]+=(?:"(?:[^"\\]|\\.)*"|[^ "]*)', line))
            self.assertEqual(whole, line)
        self.check_fields(server.events())

    def test_json_is_one_object_a_line(self):
        server = self.postern(sections={"log": {"format": "json"}})
        self.deliver(server)
        self.check_fields([json.loads(line) for line in server.log])

    def test_a_session_can_be_followed_by_its_id(self):
        server = self.postern()
        self.deliver(server)
        (delivered,) = server.events("delivered")
        of_session = [event["event"] for event in server.events() if event.get("session") == delivered["session"]]
        self.assertGreater(len(of_session), 2)

    def test_a_file_takes_the_log_and_stderr_stays_quiet(self):
        server = self.postern(start=False)
        path = server.folder / "postern.log"
        server.sections["log"]["target"] = f"file:{path}"
        server.sections["listen smtp"] = {}
        server.spawn()
        wait_until(lambda: path.exists() and "listening" in path.read_text(), "the log file says listening")
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.deliver(simple_message(), ALICE)
        server.stop()
        self.assertEqual(server.log, [])
        self.check_fields([parse_logfmt(line) for line in path.read_text().splitlines()])

    def test_the_level_hides_what_is_below_it(self):
        server = self.postern(start=False, sections={"log": {"level": "error"}})
        server.spawn()
        wait_until(server.lmtp.exists, "the socket is there")
        server.stop()
        self.assertEqual(server.log, [])

    def test_a_log_file_that_cannot_be_is_told_before_anything_starts(self):
        server = self.postern(start=False, sections={"log": {"target": "file:/nonexistent/postern.log"}})
        server.spawn()
        self.assertEqual(server.wait(), 1)
        self.assertIn("/nonexistent/postern.log", server.log_text())


if __name__ == "__main__":
    main()
