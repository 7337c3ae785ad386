"""Limits hold, and what runs into one costs neither memory nor the service."""
import contextlib
import select
import socket

from harness import Case, DOMAIN, MemoryCase, PATIENCE, main, simple_message, split_trace, wait_until

ALICE = f"alice@{DOMAIN}"
MIB = 1 << 20


class Lines(MemoryCase):
    def send_endless_line(self, server, wire, start):
        """In a message, and measures what it costs; what is said to its end is still to come."""
        wire.hello()
        wire.envelope(ALICE)
        wire.command("DATA", 354)
        self.start_measuring(server)
        wire.send(start)
        for _ in range(64):
            wire.send(b"x" * MIB)
        wire.send(b"\r\n.\r\n")

    def test_512_octets_are_a_command_and_one_more_is_too_long(self):
        server = self.postern()
        with server.connect() as wire:
            wire.command("NOOP " + "x" * (512 - 7), 250)
            wire.command("NOOP " + "x" * (4096 - 7), 500, "5.5.2")
            wire.command("NOOP", 250)

    def test_an_endless_line_costs_no_memory_and_the_session_lives_on(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            self.start_measuring(server)
            for _ in range(64):
                wire.send(b"x" * MIB)
            wire.send(b"\r\n")
            wire.expect(500, "5.5.2")
            self.assert_memory_is_bounded()
            wire.command("NOOP", 250)

    def test_an_endless_line_in_a_message_costs_no_memory(self):
        server = self.postern(sections={"limits": {"message-size": "1G"}})
        with server.connect() as wire:
            self.send_endless_line(server, wire, b"Subject: long\r\n\r\n")
            wire.expect(250)
            self.assert_memory_is_bounded()
        longest = max(server.maildir().contents(), key=len)
        self.assertEqual(split_trace(longest)[1], b"Subject: long\n\n" + b"x" * 64 * MIB + b"\n")

    def test_an_endless_line_of_the_header_is_refused_and_costs_no_memory(self):
        server = self.postern(sections={"limits": {"message-size": "1G"}})
        with server.connect() as wire:
            self.send_endless_line(server, wire, b"Subject: ")
            wire.expect(552, "5.3.4")
            self.assert_memory_is_bounded()
        self.assertLess(max(map(len, server.maildir().contents())), 3 * MIB)  # only those that came before


class Messages(Case):
    def test_size_is_offered_and_a_larger_one_declared_is_refused_at_mail(self):
        server = self.postern(sections={"limits": {"message-size": "100K"}})
        with server.connect() as wire:
            self.assertIn(f"SIZE {100 * 1024}", wire.hello().splitlines())
            wire.command(f"MAIL FROM:<bob@example.net> SIZE={100 * 1024 + 1}", 552, "5.3.4")
            wire.command(f"MAIL FROM:<bob@example.net> SIZE={100 * 1024}", 250)

    def test_a_message_that_grows_beyond_the_limit_is_refused_at_its_end(self):
        server = self.postern(sections={"limits": {"message-size": "100K"}})
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.data(simple_message(b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 200_000)
            wire.expect(552, "5.3.4")
            self.assertEqual(server.staged(), [])
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(len(server.maildir().names()), 1)

    def test_a_message_of_just_the_limit_is_taken(self):
        server = self.postern(sections={"limits": {"message-size": "100K"}})
        message = simple_message()
        message += b"z" * (100 * 1024 - len(message) - 2) + b"\r\n"
        with server.connect() as wire:
            wire.hello()
            wire.deliver(message, ALICE)
            wire.envelope(ALICE)
            wire.data(message.replace(b"zz", b"zzz", 1))
            wire.expect(552, "5.3.4")
        self.assertEqual(len(server.maildir().names()), 1)

    def test_one_recipient_too_many_is_refused_and_the_others_get_the_message(self):
        server = self.postern(sections={"limits": {"recipients": 100}},
                              mailboxes=[f"box{n}" for n in range(101)])
        with server.connect() as wire:
            wire.hello()
            wire.envelope(*[f"box{n}@{DOMAIN}" for n in range(100)])
            wire.command(f"RCPT TO:<box100@{DOMAIN}>", 452, "4.5.3")
            wire.data(simple_message())
            wire.expect(250)
        self.assertEqual([len(server.maildir(f"box{n}").names()) for n in range(101)], [1] * 100 + [0])


class Sessions(MemoryCase):
    def test_too_many_bad_commands_end_the_session(self):
        server = self.postern(sections={"limits": {"errors": 5}})
        with server.connect() as wire:
            codes = []
            for _ in range(5):
                wire.send(b"BANANA\r\n")
                codes.append(wire.reply()[0])
                if codes[-1] == 421:
                    break
            if codes[-1] != 421:
                codes.append(wire.reply()[0])
            self.assertEqual(codes[-1], 421)
            self.assertEqual(codes[:4], [500] * 4)
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="too-many-errors", phase="start")

    def test_a_silent_client_gets_421(self):
        server = self.postern(sections={"limits": {"command-timeout": "1s"}})
        with server.connect() as wire:
            wire.expect(421, "4.4.2")
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="timeout", phase="start")

    def test_a_client_silent_within_a_message_gets_421_and_leaves_nothing(self):
        server = self.postern(sections={"limits": {"data-timeout": "1s"}})
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            wire.send(b"x" * 200_000)
            wire.expect(421, "4.4.2")
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="timeout", phase="data")
        server.stop()
        self.assertEqual(server.maildir().names(), [])

    def test_one_connection_too_many_gets_421(self):
        server = self.postern(sections={"limits": {"connections": 3}})
        wires = [server.connect() for _ in range(3)]
        for wire in wires:  # who is in the middle of a message does not give way to a newcomer
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
        with server.connect(greet=False) as wire:
            wire.expect(421, "4.3.2")
            self.assertTrue(wire.at_end())
        wires.pop().close()

        def is_free():
            with server.connect(greet=False) as again:
                return again.reply()[0] == 220
        wait_until(is_free, "a place is free again")
        for wire in wires:
            wire.send(simple_message() + b".\r\n")
            wire.expect(250)
            wire.close()

    def test_who_has_not_said_helo_gives_way_at_once(self):
        server = self.postern(sections={"limits": {"connections": 1}})
        strangers = [server.connect() for _ in range(3)]  # all of them greeted, so that each took the place of the one before
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        for stranger in strangers:  # told why, where it costs no place
            with stranger, contextlib.suppress(ConnectionResetError, EOFError):
                stranger.expect(421, "4.3.2")
        server.wait_log("session-closed", 3, reason="shed", phase="start")

    def test_a_client_that_never_reads_costs_a_bounded_buffer(self):
        server = self.postern(sections={"limits": {"commands-per-session": "100000000"}})
        with server.connect() as idle, server.connect() as wire:
            wire.hello()
            self.start_measuring(server)
            commands = b"NOOP\r\n" * 10_000
            sent = 0
            wire.socket.setblocking(False)
            # Until the server reads no more, and both sides' socket buffers are full.
            while select.select([], [wire.socket], [], 0.5)[1]:
                sent += wire.socket.send(commands[sent % len(b"NOOP\r\n"):])
                self.assertLess(sent, 200 * MIB, "the server reads on although nobody takes its replies")
            self.assert_memory_is_bounded()
            idle.command("NOOP", 250)
            wire.socket.settimeout(PATIENCE)
            wire.socket.shutdown(socket.SHUT_WR)
            for _ in range(sent // len(b"NOOP\r\n")):
                wire.expect(250)

    def test_a_client_that_reads_nothing_of_a_message_does_not_stop_the_others(self):
        server = self.postern()
        stuck = [server.connect() for _ in range(10)]
        for wire in stuck:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            wire.send(b"x" * 300_000)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        for wire in stuck:
            wire.close()


if __name__ == "__main__":
    main()
