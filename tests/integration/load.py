"""Clients that deliver messages all the time, while a test does its worst, and what must be true of their mail then."""
import collections
import contextlib
import random
import re
import threading

from harness import DOMAIN, PATIENCE, Wire, lf, simple_message, split_trace

KEPT, REFUSED, UNANSWERED = "250", "refused", "unanswered"
LINES = (0, 1, 50, 400, 8000, 30000)  # of a message, ten octets each: some are staged while they come


class Refused(Exception):
    """This session is over, and that is all right."""


class Letter:
    """A message with an own subject, and what its sender was told about each mailbox."""

    def __init__(self, subject, boxes, lines, mark):
        self.subject, self.boxes, self.mark = subject, boxes, mark
        body = b"".join(b"%08d\r\n" % n for n in range(lines))
        self.octets = mark + simple_message(body, subject)
        self.fates = {}  # none of a mailbox that nobody will look for

    def tell(self, boxes, fate):
        """Another dictionary: somebody may be counting what is in the former one."""
        self.fates = {**self.fates, **dict.fromkeys(boxes, fate)}


class Load:
    """`listeners`: (address, whether it speaks LMTP) each; without any, the server's `smtp`.

    `refusals`: codes that clients bear with. `mark`: a header field in front of each message; `edit` what a handler puts
    before it.
    """

    def __init__(self, server, clients, boxes=("alice",), listeners=None, refusals=(421,), lines=LINES, mark=b"", edit=b"",
                 seed=0):
        self.server, self.boxes, self.refusals = server, boxes, refusals
        self.listeners = listeners or [(server.smtp, False)]
        self.lines, self.mark, self.edit, self.seed = lines, mark, edit, seed
        self.stopping = False
        self.lock = threading.Condition()
        self.letters = []
        self.acknowledged = self.broken = 0
        self.failure = None
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    # -- a client

    def run(self, number):
        dice = random.Random(f"{self.seed} {number}")
        try:
            while not self.stopping and not self.failure:
                try:
                    self.session(number, dice)
                except (ConnectionError, EOFError, FileNotFoundError):
                    with self.lock:
                        self.broken += 1
                        # Nobody listens while a new process starts: no reason to storm the door.
                        self.lock.wait(0.01)
        except Exception as failure:  # noqa: BLE001 - told by check()
            self.fail(failure)

    def fail(self, failure):
        with self.lock:
            self.failure = self.failure or failure
            self.lock.notify_all()

    def session(self, number, dice):
        address, lmtp = dice.choice(self.listeners)
        with contextlib.suppress(Refused), Wire(address, greet=False) as wire:
            self.expect(wire, 220)
            self.say(wire, "LHLO client.example.net" if lmtp else "EHLO client.example.net", 250)
            for _ in range(dice.randrange(1, 4)):
                if self.stopping:
                    break
                self.deliver(wire, lmtp, self.letter(number, dice))
            self.say(wire, "QUIT", 221)

    def letter(self, number, dice):
        boxes = dice.sample(self.boxes, dice.randrange(1, len(self.boxes) + 1))
        letter = Letter(b"load-%d-%d" % (number, dice.getrandbits(64)), boxes, dice.choice(self.lines), self.mark)
        with self.lock:
            self.letters.append(letter)
        return letter

    def reply(self, wire, *codes):
        """Its code: one of these, or one that clients bear with, but for the one that ends a session."""
        code, text = wire.reply()
        if code == 421 and 421 in self.refusals:
            raise Refused
        assert code in codes or code in self.refusals, f"{code} {text}, and not {codes}"
        return code

    def expect(self, wire, code):
        if self.reply(wire, code) != code:
            raise Refused

    def say(self, wire, line, code):
        wire.send(line.encode() + b"\r\n")
        self.expect(wire, code)

    def deliver(self, wire, lmtp, letter):
        self.say(wire, "MAIL FROM:<bob@example.net>", 250)
        accepted = []
        for box in letter.boxes:
            wire.send(f"RCPT TO:<{box}@{DOMAIN}>\r\n".encode())
            if self.reply(wire, 250) == 250:
                accepted.append(box)
        if not accepted:
            self.say(wire, "RSET", 250)
            return
        self.say(wire, "DATA", 354)
        letter.tell(accepted, UNANSWERED)
        wire.send(letter.octets + b".\r\n")
        for boxes in [[box] for box in accepted] if lmtp else [accepted]:
            kept = self.reply(wire, 250) == 250
            letter.tell(boxes, KEPT if kept else REFUSED)
            self.count(kept)

    def count(self, kept):
        with self.lock:
            self.acknowledged += kept
            self.lock.notify_all()

    # -- who watches

    def acknowledged_count(self):
        with self.lock:
            return self.acknowledged

    def wait_for(self, count):
        with self.lock:
            done = self.lock.wait_for(lambda: self.acknowledged >= count or self.failure, PATIENCE)
        assert done and not self.failure, f"{self.acknowledged_count()} of {count} delivered; {self.failure!r}"

    def wait_for_more(self, count):
        self.wait_for(self.acknowledged_count() + count)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a client waits for ever"

    @contextlib.contextmanager
    def running(self):
        try:
            yield self
        finally:
            self.stop()

    def told(self):
        """{fate: mailboxes of letters}"""
        return collections.Counter(fate for letter in self.letters for fate in letter.fates.values())

    def contents(self, box):
        """What has come to a mailbox; for a test that has taken some of it away."""
        return self.server.maildir(box).contents()

    def check(self, case):
        """What was answered 250 is there once, what was refused is not, and what is there is whole; those are counted."""
        case.assertIsNone(self.failure)
        letters = {letter.subject: letter for letter in self.letters}
        return sum(self.check_box(case, box, letters) for box in self.boxes)

    def check_box(self, case, box, letters):
        arrived = set()
        for content in self.contents(box):
            _, message = split_trace(content)
            subject = re.search(rb"^Subject: (.*)$", message, re.M)[1]
            case.assertNotIn(subject, arrived, "delivered twice")
            arrived.add(subject)
            case.assertIn(letters[subject].fates.get(box), (KEPT, UNANSWERED), "delivered, though the client was told otherwise")
            case.assertEqual(message, self.edit + lf(letters[subject].octets), "partial, or damaged")
        for letter in letters.values():
            if letter.fates.get(box) == KEPT:
                case.assertIn(letter.subject, arrived, "lost, though it was answered 250")
        return len(arrived)
