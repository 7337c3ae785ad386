"""contrib/fail2ban: its expressions find the clients that failed, and only them, whatever users call themselves."""
import configparser
import json
import re
from pathlib import Path

from harness import Case, main

SOURCE = Path(__file__).resolve().parents[2]
FILTER = SOURCE / "contrib/fail2ban/filter.d/postern.conf"
JAIL = SOURCE / "contrib/fail2ban/jail.d/postern.conf"
STAMP = "2026-11-22T10:26:23.123456Z"
# As fail2ban has it, but for names of hosts, which postern does not write there.
HOST = r"(?:\[?(?P<host>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)\]?)"

HOSTILE = [
    "alice", "alice liddell", "", "j\u00f6rg", '"', "\\", '\\"', 'a" client=198.51.100.7 x="', "a client=198.51.100.7 ", " client=198.51.100.7",
    "level=warning event=auth-failed session=1 client=198.51.100.7 ",
    '" level=warning event=auth-failed client=198.51.100.7 user="',
    f'x"\ntime={STAMP} level=warning event=auth-failed session=1 client=198.51.100.7 user="x',
    f"time={STAMP}\u2028level=warning event=auth-failed client=198.51.100.7 ",
    '","client":"198.51.100.7","x":"', '"}\n{"level":"warning","event":"auth-failed","client":"198.51.100.7"}',
    '{"level":"warning","event":"auth-failed","client":"198.51.100.7"}', "mx postern[1]: level=warning event=auth-failed client=198.51.100.7 ",
    "<HOST>", "198.51.100.7",
]


def escape(text):
    """What src/base/log.c makes of it."""
    out = []
    for c in text:
        if c in '"\\':
            out.append("\\" + c)
        elif c < " " or c == "\x7f":
            out.append(f"\\u{ord(c):04x}")
        elif c in "\u2028\u2029":
            out.extend(f"\\u{octet:04x}" for octet in c.encode())
        else:
            out.append(c)
    return '"' + "".join(out) + '"'


PLAIN = re.compile(r"[!#-<>-\[\]-~]+")


def logfmt(fields):
    return " ".join(f"{key}={value if PLAIN.fullmatch(value) else escape(value)}" for key, value in fields.items())


def as_json(fields):
    return "{" + ",".join(f'"{key}":{escape(value)}' for key, value in fields.items()) + "}"


def event(name="auth-failed", client="192.0.2.1", user="alice", stamp=STAMP, **more):
    fields = {"time": stamp, "level": "info", "event": name, "session": "7f3a", **more, "client": client, "user": user,
              "mechanism": "PLAIN", "reason": "wrong-credentials"}
    return {key: value for key, value in fields.items() if value is not None}


class Filter(Case):
    def setUp(self):
        super().setUp()
        parser = configparser.ConfigParser()
        parser.read(FILTER)
        text = parser["Definition"]
        self.failures = [re.compile(line.replace("<HOST>", HOST)) for line in text["failregex"].split("\n") if line]
        self.assertEqual(len(self.failures), 2)
        own = text["datepattern"].split("\n")[0]
        for letters, digits in {"%Y": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%M": r"\d\d", "%S": r"\d\d",
                                "%f": r"\d{1,6}", "%z": "(?:Z|[+-]\\d\\d:?\\d\\d)"}.items():
            own = own.replace(letters, digits)
        self.stamp = re.compile(own)

    def found(self, line):
        """The client that is to blame by a line of a log. fail2ban takes the time out of it first."""
        self.assertNotIn("\n", line)
        stamp = self.stamp.search(line)
        without = line[:stamp.start(1)] + line[stamp.end(1):] if stamp else line
        hosts = {match["host"] for text in (line, without) for match in [regex.search(text) for regex in self.failures] if match}
        self.assertLessEqual(len(hosts), 1)
        return hosts.pop() if hosts else None

    def test_both_formats(self):
        for client in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]:
            for write in logfmt, as_json:
                with self.subTest(client=client, write=write.__name__):
                    self.assertEqual(self.found(write(event(client=client))), client)
                    self.assertEqual(self.found(write(event(client=client, listener="in bound"))), client)
                    self.assertEqual(self.found(write(event(client=client, user=None))), client)
        self.assertEqual(json.loads(as_json(event()))["client"], "192.0.2.1")

    def test_the_time_is_taken_whole(self):
        for write in logfmt, as_json:
            self.assertEqual(self.stamp.search(write(event()))[1], STAMP)

    def test_behind_what_syslog_writes(self):
        for prefix in ["Nov 22 10:26:23 mx postern[17]: ", " mx postern[17]: ", "mx postern[17]: ", "postern: ", "postern[17]: "]:
            for write in logfmt, as_json:
                with self.subTest(prefix=prefix, write=write.__name__):
                    line = prefix.removeprefix("Nov 22 10:26:23 ") + write(event(stamp=None))
                    self.assertEqual(self.found(line), "192.0.2.1")

    def test_nobody_else_is_blamed(self):
        for user in HOSTILE:
            for write in logfmt, as_json:
                with self.subTest(user=user, write=write.__name__):
                    self.assertEqual(self.found(write(event(user=user))), "192.0.2.1")
                    self.assertEqual(self.found(write(event(user=user, stamp=None))), "192.0.2.1")
                    self.assertEqual(self.found("mx postern[17]: " + write(event(user=user, stamp=None))), "192.0.2.1")

    def test_other_events_are_nobodys_failure(self):
        for name in "auth-succeeded", "session-opened", "auth-failed-x", "x":
            for user in HOSTILE:
                for write in logfmt, as_json:
                    with self.subTest(name=name, user=user, write=write.__name__):
                        self.assertIsNone(self.found(write(event(name=name, user=user))))
                        self.assertIsNone(self.found(write(event(name=name, user=user, stamp=None))))

    def test_no_address_is_nobody(self):
        for client in "unix", "", "192.0.2.1x", "192.0.2":
            for write in logfmt, as_json:
                self.assertIsNone(self.found(write(event(client=client))))

    def test_the_jail_names_the_filter(self):
        parser = configparser.ConfigParser()
        parser.read(JAIL)
        self.assertEqual(parser["postern"]["filter"], FILTER.stem)


if __name__ == "__main__":
    main()
