"""Every system call of a delivery on the real disk fails in turn, is interrupted, cut short, or the process is killed there.

The daemon is tests/integration/postern_faulty: postern, whose system calls on files the test commands (disk_faulty.c). Each
time, what the client is told, new/ and tmp/ agree. FAULT_FULL=1 tries each error at each call, and not just one or two.
"""
import contextlib
import errno
import fcntl
import itertools
import os
import re
import shutil
import struct
import tempfile
import termios
from pathlib import Path

from faults import DAY, FAIL, KILL, NONE, SHORT, Clock, Control, faulty_postern
from harness import (Case, DOMAIN, POSTERN, TOOLS, Maildir, Wire, lf, main, print_diagnostics, simple_message, wait_until)

FULL = "FAULT_FULL" in os.environ
OTHER = "example.net"  # its mailboxes lie in another file system, where there is one
REFUSALS = {errno.EIO: (451, "4.3.0"), errno.ENOSPC: (452, "4.3.1"), errno.EACCES: (451, "4.3.0")}
ACTIONS = ("nothing", "fails with", "is cut short", "is where the worker is killed")


class Delivery:
    """What a client delivers, and to how many; with two disks, the last one's mailbox lies on the other.

    `boxes` says whether the mailboxes are there before, `handled` whether a handler adds a field.
    """

    def __init__(self, recipients=1, size=300, lmtp=False, disks=1, boxes=True, handled=False):
        self.recipients, self.lmtp, self.disks, self.boxes, self.handled = recipients, lmtp, disks, boxes, handled
        self.message = (b"X-Do: add X-Edited yes\r\n" if handled else b"") + simple_message(b"".join(b"%d %s\r\n" % (n, b"x" * (n % 70)) for n in range(size // 40)))


SMALL = Delivery()
LARGE = Delivery(size=200_000)
HANDLERS = {"handlers": {"processes": 1}, "handler act": {"load": TOOLS / "handlers/act.so", "option.do": "by-header"}}


class FaultCase(Case):
    numbers = itertools.count(1)  # of mailboxes: each delivery gets new ones, which no worker remembers

    def setUp(self):
        super().setUp()
        self.control = Control(self.folder / "control")
        self.clock = Clock(self.folder / "clock")
        self.runs = 0
        self.addCleanup(lambda: print_diagnostics(f"{self.runs} deliveries"))

    def faulty(self, delivery=None, domain=None, handled=False):
        """The first disk is memory, which is fast and can be synced as a whole wherever this runs; the other one is real."""
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.folder
        self.disks = [Path(tempfile.mkdtemp(dir=folder, prefix="postern-test.")) for folder in (memory, self.folder)]
        self.addCleanup(shutil.rmtree, self.disks[0], ignore_errors=True)
        # The master keeps a unix socket open: who connects does not notice that a worker was killed.
        program = faulty_postern(TOOLS, POSTERN, self.folder / "bin") if handled else str(TOOLS / "integration/postern_faulty")
        server = self.postern(start=False, program=program, mailboxes=(),
                              environment={"POSTERN_FAULTS": str(self.folder / "control"), **self.clock.environment()},
                              sections={**(HANDLERS if handled else {}),
                                        "listen smtp": {"address": f"unix:{self.folder}/postern0/smtp.sock"},
                                        f"domain {DOMAIN}": {"maildirs": self.disks[0], **(domain or {})},
                                        f"domain {OTHER}": {"maildirs": self.disks[1]}, "delivery": delivery or {}})
        for disk in self.disks:
            server.give(disk)
        server.start()
        self.workers = server.workers()
        if handled:
            self.wait_for_hosts(server, 1)
        return server

    def wait_for_hosts(self, server, count):
        """The worker makes none of the calls that starting them takes any more."""
        server.wait_log("handler-host-started", count)

    def connect(self, server, delivery):
        wire = Wire(server.listeners["lmtp" if delivery.lmtp else "smtp"])
        wire.hello(lmtp=delivery.lmtp)
        return wire

    # -- a delivery

    def make_boxes(self, server, delivery):
        """[(address, Maildir)], one for each recipient."""
        self.runs += 1
        boxes = []
        for n in range(delivery.recipients):
            elsewhere = delivery.disks == 2 and n == delivery.recipients - 1
            name = f"box{next(self.numbers)}"
            folder = self.disks[elsewhere] / name
            for part in (folder, folder / "tmp", folder / "new", folder / "cur") if delivery.boxes else ():
                part.mkdir(mode=0o700)
                server.give(part)
            boxes.append((f"{name}@{OTHER if elsewhere else DOMAIN}", Maildir(folder)))
        return boxes

    def remove(self, boxes):
        for _, box in boxes:
            shutil.rmtree(box.path, ignore_errors=True)

    def envelope(self, wire, boxes):
        """{number of the box: the reply}, of those that were refused."""
        replies = {}
        wire.command("MAIL FROM:<bob@example.net>", 250)
        for number, (address, _) in enumerate(boxes):
            wire.send(f"RCPT TO:<{address}>\r\n".encode())
            reply = wire.reply()
            if reply[0] != 250:
                replies[number] = reply
        return replies

    def last_replies(self, wire, delivery, boxes, replies):
        """Adds those that decide about the recipients who were accepted: LMTP has one for each, SMTP one for all."""
        reply = None
        for number in range(len(boxes)):
            if number not in replies:
                reply = wire.reply() if reply is None or delivery.lmtp else reply
                replies[number] = reply

    def deliver(self, wire, delivery, boxes):
        """{number of the box: the reply that decided about it}; only those that came, if the worker dies."""
        replies = {}
        with contextlib.suppress(EOFError, ConnectionError):
            replies |= self.envelope(wire, boxes)
            if len(replies) < len(boxes):
                wire.data(delivery.message)
                self.last_replies(wire, delivery, boxes, replies)
            else:
                wire.command("RSET", 250)
        return replies

    def begin(self, wire, boxes):
        """Up to DATA."""
        replies = self.envelope(wire, boxes)
        wire.command("DATA", 354)
        return replies

    def send_as_batch(self, wires, witness, hold):
        """The first one's commit waits at call `hold` until the others' messages have come; these are committed together."""
        wires[0].send(SMALL.message + b".\r\n")
        wait_until(lambda: self.control.get(Control.HELD) == hold, "the first one's commit waits")
        for wire in wires[1:]:
            wire.send(SMALL.message + b".\r\n")
            wait_until(lambda: not unread(wire.socket), "it has been read")
            witness.command("NOOP", 250)  # the worker has one loop, which has dealt with it by now
        self.control.release()

    # -- what must be true then

    def check_new(self, delivery, boxes, replies, exact=True):
        """Whole messages only; one for each 250, and, if `exact`, none without."""
        for number, (_, box) in enumerate(boxes):
            kept = replies.get(number, (0,))[0] == 250
            names = names_in(box, "new")
            self.assertEqual(len(names), kept if kept or exact else min(len(names), 1))
            self.check_whole(delivery, box, names)

    def check_whole(self, delivery, box, names):
        edit = b"X-Edited: yes\n" if delivery.handled else b""
        for name in names:
            content = (box.path / "new" / name).read_bytes()
            self.assertTrue(content.startswith(b"Return-Path: <bob@example.net>\n"))
            self.assertTrue(content.endswith(b"\n" + edit + lf(delivery.message)))
            self.assertIn(f",S={len(content)},", name)

    def check_codes(self, replies, error):
        for code, said in replies.values():
            self.assertIn((code, said[:5]), ((250, "2.0.0"), (451, "4.3.0"), REFUSALS.get(error)))

    def staged(self, boxes):
        return sum(len(names_in(box, "tmp")) for _, box in boxes)

    def open_files(self, boxes):
        """What the worker has open in these maildirs."""
        folders = tuple(str(box.path) for _, box in boxes)
        found = []
        for pid in self.workers:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):
                    if (path := os.readlink(entry.path)).startswith(folders):
                        found.append(path)
        return found

    def check_nothing_left(self, boxes):
        self.assertLessEqual(self.staged(boxes), self.control.struck() == "unlinkat")
        self.assertEqual(self.open_files(boxes), [])

    # -- one after the other

    @contextlib.contextmanager
    def armed(self, strike, action, error=0, hold=0):
        """For one delivery. A failure is told with the call that was struck."""
        self.control.arm(strike, action, error, hold)
        try:
            yield
        except AssertionError as failure:
            what = f"call {strike} ({self.control.struck()}) of {' '.join(self.control.made())}: {ACTIONS[action]} {error}"
            raise AssertionError(f"{what}: {failure}") from failure
        self.made = self.control.made()
        self.control.arm(0)

    def calls(self, run):
        """[(number, name)] of those that `run` makes when nothing happens to any."""
        run(0, NONE, 0)
        self.assertGreater(len(self.made), 5)
        return list(enumerate(self.made, 1))

    def sweep(self, run):
        """Each call fails; `run(number of the call, action, error)` looks at what comes of it."""
        for strike, name in self.calls(run):
            for error in REFUSALS if FULL else (list(REFUSALS)[strike % len(REFUSALS)],):
                run(strike, FAIL, error)

    def one(self, server, wire, delivery, strike, action, error):
        boxes = self.make_boxes(server, delivery)
        with self.armed(strike, action, error):
            replies = self.deliver(wire, delivery, boxes)
            self.check_new(delivery, boxes, replies)
            self.check_nothing_left(boxes)
            self.check_codes(replies, error)
            if action != FAIL or error == errno.EINTR:  # that is nobody's business but ours
                self.assertEqual({code for code, _ in replies.values()}, {250})
        self.remove(boxes)

    def check_every_call(self, delivery, lacks=(), sync="group", single_instance="no", **domain):
        server = self.faulty({"sync": sync, "single-instance": single_instance}, domain, delivery.handled)
        self.control.lack(*lacks)
        with self.connect(server, delivery) as wire:
            def run(*what):
                self.one(server, wire, delivery, *what)
            self.sweep(run)
            for strike, name in self.calls(run):
                if name != "close":
                    run(strike, FAIL, errno.EINTR)
                if name in ("writev", "pread", "copy_file_range"):
                    run(strike, SHORT, 0)


class Failures(FaultCase):
    def test_one_message(self):
        self.check_every_call(SMALL)

    def test_three_recipients(self):
        self.check_every_call(Delivery(recipients=3))

    def test_three_recipients_synced_one_by_one(self):
        self.check_every_call(Delivery(recipients=3), sync="each")

    def test_three_recipients_over_lmtp_on_two_disks(self):
        self.check_every_call(Delivery(recipients=3, lmtp=True, disks=2))

    def test_a_large_message(self):
        self.check_every_call(LARGE)

    def test_a_large_message_for_three_over_lmtp_on_two_disks(self):
        self.check_every_call(Delivery(recipients=3, lmtp=True, disks=2, size=200_000))

    def test_a_large_message_where_the_system_lacks_newer_calls(self):
        """An old kernel's, or a network's file system: other calls do what these would."""
        self.check_every_call(Delivery(recipients=2, size=200_000), lacks=("openat2", "renameat2", "copy_file_range", "syncfs"),
                              sync="each")

    def test_maildirs_that_are_missing_and_have_quotas_over_lmtp(self):
        self.check_every_call(Delivery(recipients=2, lmtp=True, boxes=False), create="yes", quota="1M")

    def test_one_file_for_three(self):
        self.check_every_call(Delivery(recipients=3), single_instance="yes")

    def test_an_edit_by_a_handler(self):
        self.check_every_call(Delivery(recipients=2, handled=True))

    def test_an_edit_of_a_large_message_by_a_handler(self):
        self.check_every_call(Delivery(recipients=2, size=200_000, handled=True))

    def test_an_abandoned_message(self):
        server = self.faulty()

        def run(*what):
            boxes = self.make_boxes(server, LARGE)
            wire = self.connect(server, LARGE)
            with self.armed(*what):
                replies = self.envelope(wire, boxes)
                if not replies:
                    wire.command("DATA", 354)
                    wire.send(LARGE.message[:len(LARGE.message) // 2])
                    wait_until(lambda: self.staged(boxes) or self.control.struck(), "some of it has arrived")
                wire.close()
                wait_until(lambda: not self.open_files(boxes), "its files are closed")
                wait_until(lambda: self.staged(boxes) <= (self.control.struck() == "unlinkat"), "nothing is left")
                self.check_new(LARGE, boxes, replies)
                self.check_codes(replies, what[-1])
            self.remove(boxes)
        self.sweep(run)

    def test_two_messages_in_one_batch(self):
        server = self.faulty()
        wires = [self.connect(server, SMALL) for _ in range(3)]
        witness = self.connect(server, SMALL)

        def run(strike, action, error, hold=1):
            boxes = [self.make_boxes(server, SMALL) for _ in wires]
            replies = [self.begin(wire, box) for wire, box in zip(wires, boxes)]
            with self.armed(strike, action, error, hold):
                self.send_as_batch(wires, witness, hold)
                for wire, box, reply in zip(wires, boxes, replies):
                    self.last_replies(wire, SMALL, box, reply)
                for box, reply in zip(boxes, replies):
                    self.check_new(SMALL, box, reply)
                    self.check_codes(reply, error)
                self.check_nothing_left(sum(boxes, []))
            for box in boxes:
                self.remove(box)
        self.sweep(run)
        run(0, NONE, 0)
        self.assertEqual(self.made.count("syncfs"), 2, self.made)
        for wire in (*wires, witness):
            wire.close()


class Kills(FaultCase):
    """Whoever was told nothing comes again. What the dead have left is swept, 37 hours later."""

    def start(self, *options):
        server = self.faulty(*options)
        server.may_lose_workers = True
        self.all_boxes = []
        return server

    def kept(self, boxes):
        return [names_in(box, "new") for _, box in boxes]

    def die_late(self, server):
        """Else the master would take the worker for one that cannot live, and the next one would come late."""
        self.clock.stand_still(2)

    def wait_for_successor(self, server, delivery):
        self.workers = server.workers(other_than=self.workers)
        if delivery.handled:
            self.wait_for_hosts(server, 1 + len(server.events("worker-died")))

    def come_again(self, server, delivery, boxes):
        """To those who have it, it comes once more: its sender does not know."""
        before = self.kept(boxes)
        with self.connect(server, delivery) as wire:
            replies = self.deliver(wire, delivery, boxes)
        self.assertEqual({code for code, _ in replies.values()}, {250})
        self.assertEqual(len(replies), len(boxes))
        for (_, box), names in zip(boxes, before):
            now = names_in(box, "new")
            self.assertEqual(len(now), len(names) + 1)
            self.assertLessEqual(set(names), set(now))
            self.check_whole(delivery, box, now)

    def check_swept(self, server):
        before, left = self.kept(self.all_boxes), self.staged(self.all_boxes)
        self.clock.set_wall(DAY + 13 * 60 * 60)
        self.connect(server, SMALL).close()  # the worker is there, and waits for its first minute to be over
        self.clock.stand_still(61)
        self.connect(server, SMALL).close()
        self.assertEqual(server.wait_log("swept")[-1]["removed"], str(left))
        self.assertEqual(self.staged(self.all_boxes), 0)
        self.assertEqual(self.kept(self.all_boxes), before)
        print_diagnostics(f"{left} files were left in tmp/, and swept")

    def check_every_call(self, delivery, sync="group", single_instance="no", **domain):
        server = self.start({"sync": sync, "single-instance": single_instance}, domain, delivery.handled)

        def run(strike, action, _=0):
            boxes = self.make_boxes(server, delivery)
            self.die_late(server)
            with self.connect(server, delivery) as wire, self.armed(strike, action):
                replies = self.deliver(wire, delivery, boxes)
                self.assertEqual(len(replies) < len(boxes), action == KILL)
                self.check_new(delivery, boxes, replies, exact=False)
            if action == KILL:
                self.wait_for_successor(server, delivery)
                self.come_again(server, delivery, boxes)
            self.all_boxes += boxes
        for strike, _ in self.calls(run):
            run(strike, KILL)
        self.check_swept(server)

    def test_one_message(self):
        self.check_every_call(SMALL)

    def test_three_recipients(self):
        self.check_every_call(Delivery(recipients=3))

    def test_three_recipients_synced_one_by_one(self):
        self.check_every_call(Delivery(recipients=3), sync="each")

    def test_three_recipients_over_lmtp_on_two_disks(self):
        self.check_every_call(Delivery(recipients=3, lmtp=True, disks=2))

    def test_a_large_message_for_two(self):
        self.check_every_call(Delivery(recipients=2, size=200_000))

    def test_maildirs_that_are_missing_and_have_quotas_over_lmtp(self):
        self.check_every_call(Delivery(recipients=2, lmtp=True, boxes=False), create="yes", quota="1M")

    def test_one_file_for_three(self):
        self.check_every_call(Delivery(recipients=3), single_instance="yes")

    def test_an_edit_of_a_large_message_by_a_handler(self):
        self.check_every_call(Delivery(recipients=2, size=200_000, handled=True))

    def test_two_messages_in_one_batch(self):
        server = self.start()

        def run(strike, action, _=0, hold=1):
            wires = [self.connect(server, SMALL) for _ in range(3)]
            boxes = [self.make_boxes(server, SMALL) for _ in wires]
            replies = [self.begin(wire, box) for wire, box in zip(wires, boxes)]
            self.die_late(server)
            with self.connect(server, SMALL) as witness, self.armed(strike, action, hold=hold):
                self.send_as_batch(wires, witness, hold)
                for wire, box, reply in zip(wires, boxes, replies):
                    with contextlib.suppress(EOFError, ConnectionError):
                        self.last_replies(wire, SMALL, box, reply)
                    self.check_new(SMALL, box, reply, exact=False)
                self.assertEqual(len(sum(map(list, replies), [])) < len(wires), action == KILL)
            if action == KILL:
                self.wait_for_successor(server, SMALL)
            for wire, box, reply in zip(wires, boxes, replies):
                wire.close()
                if not reply:
                    self.come_again(server, SMALL, box)
            self.all_boxes += sum(boxes, [])
        for strike, _ in self.calls(run):
            run(strike, KILL)
        self.check_swept(server)


class Completeness(Case):
    def test_every_system_call_of_the_disk_is_in_the_test_s_hand(self):
        source = Path(__file__).parent
        calls = set(re.findall(r"RETRY\((\w+)\(", (source / "../../src/disk/disk_posix.c").read_text()))
        in_hand = set(re.findall(r"^#define (\w+)\(", (source / "disk_faulty.c").read_text(), re.MULTILINE))
        self.assertGreater(len(calls), 10)
        self.assertEqual(calls - in_hand, set())


def names_in(box, folder):
    return box.names(folder) if (box.path / folder).exists() else []


def unread(socket):
    """Octets that the peer, on a unix socket, has not read yet."""
    return struct.unpack("i", fcntl.ioctl(socket, termios.TIOCOUTQ, bytes(4)))[0]


if __name__ == "__main__":
    main()
