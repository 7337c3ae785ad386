"""What the delivery writes in front of a message, and that its id is one and the same everywhere."""
import email.utils
import re
import time

from harness import Case, DOMAIN, HOSTNAME, lf, main, simple_message, split_trace

ALICE = f"alice@{DOMAIN}"


def header_fields(trace):
    """[(name, value without folding)]"""
    unfolded = re.sub(r"\n[ \t]+", " ", trace.decode("ascii"))
    return [tuple(line.split(": ", 1)) for line in unfolded.splitlines()]


def id_of(reply):
    match = re.search(r"\bid ([A-Za-z0-9._-]+)$", reply)
    assert match, f"the reply tells no id: {reply}"
    return match[1]


class Trace(Case):
    def deliver(self, wire, *recipients, hello="EHLO client.example.net", sender="bob@example.net"):
        wire.command(hello, 250)
        return id_of(wire.deliver(simple_message(), *recipients, sender=sender))

    def received(self, server, name="alice"):
        trace, _ = split_trace(server.maildir(name).only())
        return dict(header_fields(trace))["Received"]

    def test_return_path_then_delivered_to_then_received(self):
        server = self.postern()
        with server.connect() as wire:
            self.deliver(wire, ALICE)
        trace, rest = split_trace(server.maildir().only())
        self.assertEqual([name for name, _ in header_fields(trace)], ["Return-Path", "Delivered-To", "Received"])
        self.assertEqual(header_fields(trace)[:2], [("Return-Path", "<bob@example.net>"), ("Delivered-To", ALICE)])
        self.assertEqual(rest, lf(simple_message()))

    def test_received_tells_client_host_protocol_id_recipient_and_date(self):
        server = self.postern()
        with server.connect() as wire:
            message_id = self.deliver(wire, ALICE)
        words, _, date = self.received(server).rpartition("; ")
        self.assertEqual(words, f"from client.example.net ([127.0.0.1]) by {HOSTNAME} with ESMTP id {message_id} "
                                f"for <{ALICE}>")
        self.assertLess(abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()), 3600)

    def test_received_lines_are_short(self):
        server = self.postern()
        with server.connect() as wire:
            self.deliver(wire, ALICE, hello="EHLO " + "a" * 60 + ".example.net")
        trace, _ = split_trace(server.maildir().only())
        self.assertLessEqual(max(map(len, trace.expandtabs(8).splitlines())), 100)

    def test_helo_is_smtp(self):
        server = self.postern()
        with server.connect() as wire:
            self.deliver(wire, ALICE, hello="HELO client.example.net")
        self.assertIn(" with SMTP id ", self.received(server))

    def test_lhlo_on_a_unix_socket_is_lmtp(self):
        server = self.postern()
        with server.connect_lmtp() as wire:
            message_id = self.deliver(wire, ALICE, hello="LHLO client.example.net")
        self.assertIn(f"from client.example.net by {HOSTNAME} with LMTP id {message_id} ", self.received(server))

    def test_null_sender_is_an_empty_return_path(self):
        server = self.postern()
        with server.connect() as wire:
            self.deliver(wire, ALICE, sender="")
        trace, _ = split_trace(server.maildir().only())
        self.assertEqual(header_fields(trace)[0], ("Return-Path", "<>"))

    def test_no_for_clause_when_there_are_two_recipients(self):
        server = self.postern(mailboxes=("alice", "carol"))
        with server.connect() as wire:
            message_id = self.deliver(wire, ALICE, f"carol@{DOMAIN}")
        for name in ("alice", "carol"):
            with self.subTest(name):
                received = self.received(server, name)
                self.assertNotIn(" for ", received)
                self.assertIn(f" id {message_id};", received)
                trace, _ = split_trace(server.maildir(name).only())
                self.assertEqual(header_fields(trace)[1], ("Delivered-To", f"{name}@{DOMAIN}"))
                self.assertNotIn({"alice": b"carol", "carol": b"alice"}[name], trace)

    def test_the_id_of_the_reply_stands_in_log_and_received(self):
        server = self.postern()
        with server.connect() as wire:
            message_id = self.deliver(wire, ALICE)
        self.assertIn(f" id {message_id} ", self.received(server))
        server.wait_log("delivered", id=message_id)

    def test_two_messages_of_a_session_have_two_ids(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            ids = {id_of(wire.deliver(simple_message(), ALICE)) for _ in range(20)}
        self.assertEqual(len(ids), 20)

    def test_the_file_name_tells_the_sizes(self):
        server = self.postern()
        with server.connect() as wire:
            self.deliver(wire, ALICE)
        (name,) = server.maildir().names()
        content = server.maildir().only()
        self.assertRegex(name, rf",S={len(content)},W={len(content) + content.count(10)}$")

    def test_a_first_line_with_a_blank_is_no_more_of_received(self):
        server = self.postern()
        for blank in (b" ", b"\t"):
            for rest in (b"(from bank.example [192.0.2.1])\r\n", b"\r\n" + b"x" * 900 + b"\r\n" * 200):
                for binary in (False, True):
                    with self.subTest(blank=blank, octets=len(rest), binary=binary), server.connect() as wire:
                        wire.command("EHLO client.example.net", 250)
                        if binary:
                            wire.command("MAIL FROM:<bob@example.net> BODY=BINARYMIME", 250)
                            wire.command(f"RCPT TO:<{ALICE}>", 250)
                            wire.send(b"BDAT %d LAST\r\n" % len(blank + rest) + blank + rest)
                            wire.expect(250)
                        else:
                            wire.deliver(blank + rest, ALICE)
                        stored = server.maildir().only()
                        self.assertTrue(stored.endswith(b"\n\n" + blank + (rest if binary else lf(rest))), stored[:600])
                        for name in server.maildir().names():
                            (server.maildir().path / "new" / name).unlink()

    def test_no_helo_name_reaches_received_that_is_no_domain(self):
        server = self.postern()
        for name in ("client\tX-Evil: 1", "a\rb", "a\nReceived: evil", "<script>", "(comment)", "a b", "ünicode"):
            with self.subTest(name), server.connect() as wire:
                wire.send(f"EHLO {name}\r\n".encode())
                self.assertIn(wire.reply()[0], (500, 501))

    def test_a_literal_as_helo_is_kept(self):
        server = self.postern()
        with server.connect() as wire:
            self.deliver(wire, ALICE, hello="EHLO [192.0.2.1]")
        self.assertIn("from [192.0.2.1] ([127.0.0.1]) by ", self.received(server))


if __name__ == "__main__":
    main()
