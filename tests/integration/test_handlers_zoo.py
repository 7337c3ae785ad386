#!/usr/bin/env python3
"""Handlers that misbehave in all ways that a handler can (tests/handlers/zoo), in a daemon that has other things to do.

Two listeners: through `zoo` come messages that the handler sees, whose field X-Zoo says what it shall do; through the
others come messages that no handler sees, all the time. What must be true: each bad message gets the one reply that
its row tells, and the next, good one is taken; none of the others is lost or comes twice; and at the end no process is
left, also none that has left its session.
"""
import ctypes
import os
import re
import shutil
import threading
from pathlib import Path

import harness
from harness import DOMAIN, POSTERN, TOOLS, Wire, wait_until

ZOO = TOOLS / "handlers"
LIMIT = 1    # seconds, for a message
AMPLE = 20   # for those that need no limit to end, also where hosts, which stand back, get little of the processors

FAILED = (451, "4.3.0")
TAKEN = (250, "2.0.0")
REJECTED = (550, "5.7.1")


def told(what, error):
    return (550, f"5.7.1 {what}: {error}")


DENIED = "Permission denied"
NOT_PERMITTED = "Operation not permitted"
INVALID = "Invalid argument"

# A sanitizer needs terabytes of address space: there is no limit on memory then.
UNLIMITED = {"4g", "raise-limits"} if harness.tap.is_sanitized(Path(POSTERN)) else set()

# What ends the host, or makes it end.
DEADLY = ["crash", "abort", "exit", "exit-at-once", "kill-itself", "stack", "4g", "confine-itself", "rubbish",
          "endless-frame", "close", "child-and-crash"]
DEADLY = [how for how in DEADLY if how not in UNLIMITED]
ENDLESS = ["loop", "sleep", "stop", "loop-without-signals", "half-a-frame", "flood-wire", "read-wire", "child-and-hang",
           "cpu"]
# What it leaves behind, and is none of the message's business.
HARMLESS = ["child", "session", "daemon", "many", "busy-thread", "thread-with-child", "descriptors", "memory",
            "standard", "signal-group", "field-value", "forge-log"]
# What is refused, and how the handler is told.
REFUSED = {
    "raise-limits": told("limits", NOT_PERMITTED),
    "scratch": told("scratch", "File too large"),
    "unknown-recipient": told("recipient", INVALID),
    "field-name": told("field", INVALID),
    "field-no-name": told("field", INVALID),
    "folder": told("folder", INVALID),
    "flags": told("flags", INVALID),
    "redirect": told("redirect", INVALID),
    "success-as-rejection": REJECTED,
    "two-lines": REJECTED,
    "beyond-ascii": REJECTED,
    "long-reply": REJECTED,
    "no-text": REJECTED,
    "unknown-verdict": (451, ""),
    "redirect-elsewhere": (451, ""),
}
REFUSED = {how: reply for how, reply in REFUSED.items() if how not in UNLIMITED}
# The same, where the kernel has Landlock; and where there is also seccomp, or a Landlock of that version.
REFUSED_FILES = {
    "open": told("open", DENIED),
    "make": told("make", DENIED),
    "execute": told("execute", DENIED),
}
REFUSED_CALLS = {
    "socket": told("socket", DENIED),
    "unix-socket": told("socket", DENIED),
    "signal-parent": told("signal", NOT_PERMITTED),
}
# What may end either way, but must end, and do no harm to others.
EITHER = ["free-message", "crashing-thread", "no-limits", "replace-nothing", "replace-endless", "flood-log",
          "change-process"]


def landlock_version():
    """As the host asks: landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)."""
    return max(ctypes.CDLL(None).syscall(444, None, 0, 1), 0)


def has_seccomp():
    return b"seccomp_load" in (Path(POSTERN).parent / "postern-host").read_bytes()


def message(how=None, subject="one"):
    field = f"X-Zoo: {how}\r\n" if how else ""
    return f"From: bob@example.net\r\nTo: alice@example.org\r\nSubject: {subject}\r\n{field}\r\nhello\r\n".encode()


def processes_with(path):
    """Those that have a file mapped: a host and all that it has forked, wherever they went."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if str(path) in Path(f"/proc/{entry}/maps").read_text():
                    found.append(int(entry))
            except OSError:
                pass  # gone, or not ours to look at
    return found


class Traffic:
    """Clients whose messages no handler sees, one after the other, until they are told to stop."""

    def __init__(self, server, clients=4):
        self.server = server
        self.stopping = threading.Event()
        self.taken, self.failures = [], []
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(clients)]

    def run(self, number):
        try:
            with self.server.connect() as wire:
                wire.hello()
                count = 0
                while not self.stopping.is_set():
                    subject = f"traffic-{number}-{count}"
                    count += 1
                    wire.deliver(message(subject=subject), f"bob@{DOMAIN}")
                    self.taken.append(subject)
                wire.command("QUIT", 221)
        except Exception as failure:  # told by whoever reads the list: this is a thread
            self.failures.append(repr(failure))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(harness.PATIENCE)


class Zoo(harness.Case):
    def setUp(self):
        super().setUp()
        if not (ZOO / "zoo.so").exists():
            self.skipTest(f"{ZOO}/zoo.so was not built")
        # A copy of this test's own: that is how its processes are known.
        self.handler = self.folder / "zoo.so"
        shutil.copy(ZOO / "zoo.so", self.handler)

    def zoo(self, processes=2, on_failure="defer", start=True, limit=LIMIT, **options):
        return self.postern(start, mailboxes=("alice", "bob"), sections={
            "listen zoo": {"address": "127.0.0.1:0", "protocol": "smtp"},
            "handlers": {"processes": processes, "timeout": f"{limit}s", "memory": "256M", "on-failure": on_failure},
            "handler zoo": {"load": self.handler, "listeners": "zoo", "option.how": "by-header",
                            **{f"option.{key}": value for key, value in options.items()}},
        })

    def send(self, server, how, recipient="alice"):
        """The reply to a message, over a connection of its own."""
        with Wire(server.listeners["zoo"]) as wire:
            wire.hello()
            wire.envelope(f"{recipient}@{DOMAIN}")
            wire.data(message(how, subject=how or "good"))
            reply = wire.reply()
            wire.command("QUIT", 221)
            return reply

    def assert_reply(self, reply, want, how):
        code, text = want
        self.assertEqual(reply[0], code, f"{how}: {reply}")
        self.assertTrue(reply[1].startswith(text), f"{how}: {reply}, expected {want}")
        self.assertNotIn("\n", reply[1], how)

    def assert_takes_good_ones(self, server, how):
        """Each host is asked, most likely: there are two."""
        for _ in range(3):
            self.assert_reply(self.send(server, None), TAKEN, f"a good message after {how}")

    def subjects(self, server, mailbox="alice"):
        return sorted(re.search(rb"^Subject: (.*)$", content, re.M)[1].decode()
                      for content in server.maildir(mailbox).contents())

    def check(self, rows, **options):
        """Each (how, replies that may be), with a good message behind it and other traffic all the while."""
        server = self.zoo(**options)
        good, stored = 0, []
        with Traffic(server) as traffic:
            for how, wants in rows:
                reply = self.send(server, how)
                self.assertIn(reply[0], [code for code, _ in wants], f"{how}: {reply}")
                self.assert_reply(reply, next(want for want in wants if want[0] == reply[0]), how)
                if reply[0] == 250:
                    stored.append(how)
                self.assert_takes_good_ones(server, how)
                good += 3
        self.assertEqual(traffic.failures, [])
        self.assertGreater(len(traffic.taken), 0)
        server.stop()
        self.assertEqual(self.subjects(server), sorted(stored + ["good"] * good))
        self.assertEqual(self.subjects(server, "bob"), sorted(traffic.taken))
        self.assert_nothing_is_left()
        return server

    def assert_nothing_is_left(self):
        wait_until(lambda: not processes_with(self.handler), "no process that a host has forked is left")

    # ---- one test a kind

    def test_what_kills_its_host_defers_its_message(self):
        self.check([(how, [FAILED]) for how in DEADLY], limit=AMPLE)

    def test_what_does_not_end_is_ended(self):
        self.check([(how, [FAILED]) for how in ENDLESS])

    def test_what_is_left_behind_goes(self):
        server = self.check([(how, [TAKEN]) for how in HARMLESS], limit=AMPLE)
        for content in server.maildir().contents():
            self.assertNotRegex(content, rb"(?m)^X-Forged:")
        self.assertFalse([e for e in server.events() if e.get("event") == "forged"])

    def test_what_cannot_be_is_refused(self):
        self.check([(how, [want]) for how, want in REFUSED.items()], limit=AMPLE)

    def test_files_are_out_of_reach(self):
        if landlock_version() == 0:
            self.skipTest("this kernel has no Landlock")
        self.check([(how, [want]) for how, want in REFUSED_FILES.items()], limit=AMPLE)

    def test_sockets_and_processes_are_out_of_reach(self):
        if not has_seccomp():
            self.skipTest("postern was built without libseccomp")
        self.check([(how, [want]) for how, want in REFUSED_CALLS.items()], limit=AMPLE)

    def test_what_may_end_either_way_ends(self):
        self.check([(how, [TAKEN, FAILED, REJECTED]) for how in EITHER])

    def test_no_message_is_blamed_for_what_a_handler_did_before(self):
        """The host has no memory left, and dies while it parses the next message: not to be refused."""
        server = self.zoo()
        fields = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(500))
        for how in ("no-limits", "memory", "descriptors"):
            self.send(server, how)
            with Wire(server.listeners["zoo"]) as wire:
                wire.hello()
                for _ in range(3):
                    wire.envelope(f"alice@{DOMAIN}")
                    wire.data(fields + message())
                    self.assertIn(wire.reply()[0], (250, 451), f"a message after {how}")

    def test_a_failure_may_deliver(self):
        self.check([(how, [TAKEN]) for how in ["crash", "sleep", "close", "rubbish"]], on_failure="deliver")

    def test_one_host_is_enough(self):
        # A longer limit, as nobody else can take what one slow moment of the machine has ended.
        self.check([("crash", [FAILED]), ("sleep", [FAILED]), ("many", [TAKEN])], processes=1, limit=5)

    # ---- before the first message, and behind the last one

    def assert_refuses_to_serve(self, handler, **options):
        """It ends, with a reason, and leaves nobody behind."""
        self.handler = self.folder / "other.so"
        shutil.copy(ZOO / handler, self.handler)
        server = self.zoo(start=False, **options)
        server.spawn()
        self.assertNotEqual(server.wait(), 0)
        self.assertRegex(server.log_text(), rf"{server.config}:\d+: ")
        self.assert_nothing_is_left()

    def test_death_while_it_is_loaded(self):
        for handler in ("crash_at_load.so", "exit_at_load.so", "hang_at_load.so"):
            with self.subTest(handler):
                self.assert_refuses_to_serve(handler)

    def test_death_in_init(self):
        for how in ("crash", "exit", "hang", "fail", "close", "rubbish"):
            with self.subTest(how):
                self.assert_refuses_to_serve("zoo.so", init=how)

    def test_a_child_of_init_goes_with_its_host(self):
        server = self.zoo(init="child")
        self.assert_takes_good_ones(server, "init")
        server.stop()
        self.assert_nothing_is_left()

    def test_no_shutdown_holds_the_daemon_up(self):
        for how in ("crash", "exit", "hang", "child"):
            with self.subTest(how):
                server = self.zoo(shutdown=how)
                self.assert_takes_good_ones(server, "shutdown")
                server.stop()
                self.assert_nothing_is_left()

    # ---- all at once

    def test_no_reply_is_lost_in_a_crowd(self):
        """Many clients at a time, each with a bad message and then a good one."""
        server = self.zoo(processes=4)
        bad = [how for how in DEADLY + HARMLESS for _ in range(2)]
        replies, lock = [], threading.Lock()

        def client(how):
            pair = (how, self.send(server, how), self.send(server, None))
            with lock:
                replies.append(pair)
        with Traffic(server) as traffic:
            threads = [threading.Thread(target=client, args=(how,)) for how in bad]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(harness.PATIENCE)
        self.assertEqual(traffic.failures, [])
        self.assertEqual(len(replies), len(bad))
        # One that waited for a host for longer than the limit is deferred, too.
        for how, reply, good in replies:
            self.assertIn(reply[0], (451,) if how in DEADLY else (250, 451), how)
            self.assertIn(good[0], (250, 451), how)
        server.stop()
        want = ([how for how, reply, _ in replies if reply[0] == 250]
                + ["good" for _, _, good in replies if good[0] == 250])
        self.assertEqual(self.subjects(server), sorted(want))
        self.assertEqual(self.subjects(server, "bob"), sorted(traffic.taken))
        self.assert_nothing_is_left()


if __name__ == "__main__":
    harness.main()
