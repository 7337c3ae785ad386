"""Clocks that are set by a day, forward and back, and machines that stood still for one, with sessions under way."""
import contextlib
import email.utils
import os
import random
import re
import signal
import time

from faults import DAY, Clock
from harness import DOMAIN, TOOLS, Case, Wire, lf, main, print_diagnostics, simple_message, split_trace, wait_until
from load import KEPT, Load

ALICE = f"alice@{DOMAIN}"
STEPS = int(os.environ.get("CLOCK_STEPS", 20))
LARGE = simple_message(b"".join(b"%08d\r\n" % n for n in range(30000)))
HOUR = 60 * 60


class ClockCase(Case):
    def clocked(self, **options):
        self.clock = Clock(self.folder / "clock")
        return self.postern(program=str(TOOLS / "integration/postern_faulty"), environment=self.clock.environment(), **options)

    def stand_still(self, server, seconds):
        """The worker was there before, and has noticed."""
        server.connect_lmtp().close()
        self.clock.stand_still(seconds)
        server.connect_lmtp().close()

    def staged_by(self, server):
        return wait_until(server.staged, "some of a large message is staged")


class Steps(ClockCase):
    def open_sessions(self, server):
        """One in each phase, each with what it says next, and how often it is told 250 then."""
        small, half = simple_message(), len(LARGE) // 2
        rows = [
            # said and answered before the clock is set; said before; said after it
            (False, [], b"", b"NOOP\r\n", 1),
            (False, ["MAIL FROM:<bob@example.net>"], b"", f"RCPT TO:<{ALICE}>\r\n".encode(), 1),
            (False, ["MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>"], b"", b"BDAT %d LAST\r\n" % len(small) + small, 1),
            (False, ["MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>", "DATA"], small[:10], small[10:] + b".\r\n", 1),
            (False, ["MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>", "DATA"], LARGE[:half], LARGE[half:] + b".\r\n", 1),
            (True, ["MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>", f"RCPT TO:<carol@{DOMAIN}>", "DATA"], small[:50],
             small[50:] + b".\r\n", 2),
        ]
        sessions = []
        for lmtp, lines, before, after, replies in rows:
            wire = Wire(server.lmtp if lmtp else server.smtp)
            wire.hello(lmtp)
            for line in lines:
                wire.command(line, 354 if line == "DATA" else 250)
            wire.send(before)
            sessions.append((wire, after, replies))
        return sessions

    def go_on(self, sessions):
        for wire, after, replies in sessions:
            wire.send(after)
            for _ in range(replies):
                wire.expect(250)
            wire.close()

    def check_step(self, ahead):
        server = self.clocked(mailboxes=("alice", "carol"))
        sessions = self.open_sessions(server)
        self.staged_by(server)
        self.clock.set_wall(ahead)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(subject=b"behind the step"), ALICE)
        self.go_on(sessions)
        stored = sorted(split_trace(content)[1] for content in server.maildir().contents())
        small = lf(simple_message())
        self.assertEqual(stored, sorted([small, small, small, lf(LARGE), lf(simple_message(subject=b"behind the step"))]))
        self.assertEqual(split_trace(server.maildir("carol").only())[1], small)
        self.check_dates(server, ahead)
        self.assertEqual({event["reason"] for event in server.events("session-closed")} - {"bye", "peer-ended"}, set())

    def check_dates(self, server, ahead):
        """What came behind the step tells of the new time, in its field, its name, and the log."""
        (name,) = [name for name in server.maildir().names()
                   if b"behind the step" in (server.maildir().path / "new" / name).read_bytes()]
        trace, _ = split_trace((server.maildir().path / "new" / name).read_bytes())
        received = email.utils.parsedate_to_datetime(re.search(rb";\s+(.*)\n$", trace)[1].decode()).timestamp()
        for told in (received, int(re.match(r"\d+", name)[0])):
            self.assertLess(abs(told - time.time() - ahead), HOUR)

    def test_a_day_forward(self):
        self.check_step(DAY)

    def test_a_day_back(self):
        self.check_step(-DAY)

    def test_forward_and_back_under_load(self):
        """Nobody is refused or cut off, and no name comes twice."""
        server = self.clocked(mailboxes=("alice", "carol"), workers=2, sections={f"domain {DOMAIN}": {"quota": "10G"}})
        load = Load(server, 6, ("alice", "carol"), [(server.smtp, False), (server.lmtp, True)], refusals=())
        dice = random.Random(STEPS)
        with load.running():
            for _ in range(STEPS):
                load.wait_for_more(dice.randrange(1, 30))
                self.clock.set_wall(dice.choice((-DAY, 0, DAY)))
            load.wait_for_more(20)
        self.assertEqual(load.check(self), load.told()[KEPT])
        self.assertEqual(load.broken, 0)
        print_diagnostics(f"{STEPS} steps, {load.told()[KEPT]} copies")


class Sweeps(ClockCase):
    def test_what_is_under_way_survives_a_day_and_what_was_left_goes_after_36_hours(self):
        server = self.clocked()
        server.may_lose_workers = True
        with self.begin(server):
            self.staged_by(server)
            os.kill(server.workers()[0], signal.SIGKILL)
        left = server.staged()
        self.assertEqual(len(left), 1)
        with self.begin(server) as wire:
            wait_until(lambda: len(server.staged()) == 2, "another one is staged")
            self.clock.set_wall(DAY)
            self.stand_still(server, 61)
            self.assertEqual(self.swept(server, 1)["removed"], "0")
            wire.send(LARGE + b".\r\n")
            wire.expect(250)
        self.clock.set_wall(37 * HOUR)
        self.stand_still(server, DAY)
        self.assertEqual(self.swept(server, 2)["removed"], "1")
        self.assertEqual(server.staged(), [])
        self.assertEqual(split_trace(server.maildir().only())[1], lf(LARGE + LARGE))

    @contextlib.contextmanager
    def begin(self, server):
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            wire.send(LARGE)
            yield wire

    def swept(self, server, count):
        return server.wait_log("swept", count)[-1]


class StandStill(ClockCase):
    def test_who_was_silent_for_a_day_gets_421_and_leaves_nothing(self):
        server = self.clocked()
        idle, busy = server.connect(), server.connect()
        for wire in (idle, busy):
            wire.hello()
        busy.envelope(ALICE)
        busy.command("DATA", 354)
        busy.send(LARGE)
        self.staged_by(server)
        self.stand_still(server, DAY)
        for wire in (idle, busy):
            wire.expect(421, "4.4.2")
            self.assertTrue(wire.at_end())
            wire.close()
        wait_until(lambda: server.staged() == [], "nothing of it is left")
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))


if __name__ == "__main__":
    main()
