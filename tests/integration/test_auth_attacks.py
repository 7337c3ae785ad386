"""AUTH by clients that mean no good, or just send what they should not: whoever is not who it says is never let in, nobody else
notices, and what clients have sent as credentials is in no line of the log.
"""
import base64
import select
import signal
import time

from harness import (DOMAIN, SANITIZED, Wire, anonymous_memory, descriptors, main, parse_logfmt, raise_own_descriptor_limit,
                     simple_message, wait_until)
from scram import Scram, b64
from tap import print_diagnostics
from tls import PASSWORD, USER, TlsCase, plain
from tls_by_hand import by_hand

ALICE = f"alice@{DOMAIN}"
MIB = 1 << 20


class AuthCase(TlsCase):
    """A daemon that lets clients authenticate on a loopback listener without TLS; when the test is over, its log is searched for
    all that was ever said to it in an exchange."""

    def authenticating(self, rows=None, auth=None, limits=None, log=None):
        sections = {"listen plain": {"address": "127.0.0.1:0", "protocol": "smtp", "auth": "optional", "auth-without-tls": "yes",
                                     **(rows or {})},
                    "limits": {"auth-failures": 1000, "errors": 1000, **(limits or {})}, "log": log or {}}
        self.server = self.secured(auth=auth, sections=sections)
        self.secrets = {PASSWORD, b64(PASSWORD.encode()), plain()}
        self.addCleanup(self.assert_no_secret_in_log)
        return self.server

    def assert_no_secret_in_log(self):
        log = "\n".join(self.server.log)
        for secret in self.secrets:
            self.assertNotIn(secret, log)
            self.assertNotIn(secret[:-4] if len(secret) > 20 else secret, log)

    def said(self, octets):
        """It holds credentials, or might."""
        text = octets.decode("latin-1").strip()
        if len(text) >= 8:
            self.secrets.add(text)
        return octets

    def connected(self, listener="plain", hello=True, source=None):
        wire = Wire(self.server.listeners[listener], **({"source_address": (source, 0)} if source else {}))
        if hello:
            wire.hello()
        return wire

    def say(self, wire, text, code=None, status=""):
        """A line that may hold credentials; the challenge, or another reply."""
        octets = text if isinstance(text, bytes) else text.encode()
        for word in octets.split(b" ")[-1:] if octets[:4].upper() == b"AUTH" else (octets,):
            if word.upper() not in (b"PLAIN", b"LOGIN", b"SCRAM-SHA-256"):
                self.said(word)
        wire.send(octets + b"\r\n")
        if code is not None:
            return wire.expect(code, status)
        return wire.reply()

    def log_in(self, wire, code=235, user=USER, password=PASSWORD):
        return self.say(wire, f"AUTH PLAIN {plain(user, password)}", code)

    def begin_scram(self, wire, scram):
        """The server's first message."""
        return base64.b64decode(self.say(wire, "AUTH SCRAM-SHA-256 " + b64(scram.first()), 334))

    def assert_still_good(self, wire):
        """After whatever it was, the session goes on, and whoever says the right thing is let in."""
        wire.command("NOOP", 250)
        wire.command("MAIL FROM:<bob@example.net>", 250)
        wire.command("RSET", 250)
        self.log_in(wire)
        wire.close()


# ---- grammar ---------------------------------------------------------------------------------------------------------------------------

class Malformed(AuthCase):
    BAD_BASE64 = [b"a", b"ab", b"abc", b"abcde", b"====", b"===", b"==", b"=AAA", b"AAAA=", b"AAAA====", b"AA=A", b"A===", b"AAA!", b"AA-_",
                  b"AAAA BBBB", b"AAAA\tBBBB", b"AAA\xc3\xa9", b"AAA\xff", b"AAA*", b"**", b"* ", b"AAAA=BBBB", b"\x16\x03\x01\x00",
                  b"AAAA\x7f", b"QUIT", b"GET / HTTP/1.1", b"AUTH PLAIN AAAA"]

    def test_base64_that_is_none_with_AUTH(self):
        self.authenticating()
        for bad in self.BAD_BASE64:
            if bad in (b"QUIT", b"AUTH PLAIN AAAA"):
                continue  # base64, or two words of it
            with self.subTest(bad=bad), self.connected() as wire:
                code, text = self.say(wire, b"AUTH PLAIN " + bad)
                self.assertIn(code, (500, 501), text)
                self.assert_still_good(wire)

    def test_base64_that_is_none_as_a_response(self):
        self.authenticating()
        for begin in (b"AUTH PLAIN", b"AUTH LOGIN", b"AUTH LOGIN " + b64(USER.encode()).encode(),
                      b"AUTH SCRAM-SHA-256 " + b64(Scram(USER, PASSWORD).first()).encode()):
            for bad in self.BAD_BASE64:
                with self.subTest(begin=begin, bad=bad), self.connected() as wire:
                    self.say(wire, begin, 334)
                    code, text = self.say(wire, bad)
                    if bad == b"QUIT" and code == 334:  # base64, as a name
                        code, text = self.say(wire, b"*")
                    self.assertIn(code, (500, 501, 535) if bad == b"QUIT" else (500, 501), text)
                    self.assert_still_good(wire)

    def test_NUL_CR_and_LF_alone_in_a_response(self):
        self.authenticating()
        for bad in (b"AAAA\0", b"\0", b"AAAA\rAAAA", b"AAAA\nAAAA", b"\n", b"\r", b"AAAA\n"):
            with self.subTest(bad=bad), self.connected() as wire:
                self.say(wire, b"AUTH PLAIN", 334)
                self.assertIn(self.say(wire, bad)[0], (500, 501))
                self.assert_still_good(wire)

    def test_messages_that_are_not_of_the_mechanism(self):
        """None lets anybody in, each is answered, and the session goes on."""
        self.authenticating()
        name, word = USER.encode(), PASSWORD.encode()
        good = b"\0" + name + b"\0" + word
        rows = {"PLAIN": [b"", b"\0", b"\0\0", b"\0\0\0", b"\0" * 100, name, name + b"\0" + word, b"\0" + name + b"\0", b"\0\0" + word,
                          good + b"\0", good + b"\0x", b"\0" + good, good[:-1], good + b"x", b"root" + good, b"\xff" + good,
                          b"\0" + name + b"\0" + b"\xff\xfe", b"\0" + name + b"x\0" + word, b"\0" + name + b" \0" + word,
                          b"\0" + name + b"\r\n\0" + word, b"\0" + name + b"\0" + word + b"\n", b"x" * 9000,
                          b"\0" + b"u" * 256 + b"\0" + word, b"\0" + b"u" * 4000 + b"\0" + b"p" * 4000, b"\0" + name + b"\0" + b"p" * 9000]}
        scram = Scram(USER, PASSWORD)
        first = scram.first()
        rows["SCRAM-SHA-256"] = [b"", b"n", b"n,", b"n,,", b"n,,n=alice", b"n,,r=abc", b"y,,", b"p=tls-unique,,n=alice,r=abc", b"x,,n=alice,r=abc",
                                 b"n,a=root,n=alice,r=abc", b"n,,m=ext,n=alice,r=abc", b"n,,n=al=ice,r=abc", b"n,,n=,r=abc", b"n,,n=alice,r=",
                                 b"n,,n=alice,r=a\0b", first + b"\0", b"n,,r=abc,n=alice", b"n" * 9000, b"n,,n=" + b"x" * 9000 + b",r=abc",
                                 b"n,,n=\xff\xfe,r=abc"]
        with self.connected() as wire:
            for mechanism, messages in rows.items():
                for message in messages:
                    with self.subTest(mechanism=mechanism, message=message[:60]):
                        code, text = self.say(wire, f"AUTH {mechanism} {b64(message) or '='}")
                        if code == 334:  # so far it is one
                            code, text = self.say(wire, b64(b"c=biws,r=abc,p=" + b"A" * 44))
                        self.assertIn(code, (501, 535), text)
            self.assert_still_good(wire)

    def test_a_nonce_is_not_repeated_at_any_length(self):
        self.authenticating()
        with self.connected() as wire:
            for size in (500, 1000, 8000):
                code, _ = self.say(wire, "AUTH SCRAM-SHA-256 " + b64(b"n,,n=alice,r=" + b"x" * size))
                if code == 334:
                    self.say(wire, b"*", 501)
                self.assertEqual(code, 334 if size == 500 else 500)
            self.assert_still_good(wire)

    def test_every_octet_of_a_proof_is_another(self):
        self.authenticating()
        with self.connected() as wire:
            scram = Scram(USER, PASSWORD)
            final = scram.final(self.begin_scram(wire, scram))
            self.say(wire, b"*", 501)
            for at in range(len(final) - 2):  # the last two are padding, or may be half of it
                scram = Scram(USER, PASSWORD)
                final = bytearray(scram.final(self.begin_scram(wire, scram)))
                final[at] ^= 4
                code, _ = self.say(wire, b64(bytes(final)))
                self.assertIn(code, (501, 535), bytes(final))
            scram = Scram(USER, PASSWORD)
            final = scram.final(self.begin_scram(wire, scram))
            self.assertEqual(base64.b64decode(self.say(wire, b64(final), 334)), scram.verifier)
            self.say(wire, b"", 235)

    def test_what_was_said_before_proves_nothing(self):
        """A proof is of one exchange, whatever nonce the client chooses."""
        self.authenticating()
        with self.connected() as wire, self.connected() as eve:
            scram = Scram(USER, PASSWORD, nonce="the-same-each-time")
            final = scram.final(self.begin_scram(wire, scram))
            again = Scram(USER, "unknown", nonce="the-same-each-time")
            self.begin_scram(eve, again)
            self.assertIn(self.say(eve, b64(final))[0], (501, 535))
            self.say(wire, b64(final), 334)
            self.say(wire, b"", 235)
            self.begin_scram(eve, again)
            self.assertIn(self.say(eve, b64(final))[0], (501, 535))
            eve.command("NOOP", 250)

    def test_binding_the_channel_is_said_in_the_mechanism_or_not_at_all(self):
        self.authenticating()
        with self.connected() as wire:
            for gs2 in ("p=tls-exporter,,", "p=tls-unique,,"):
                self.assertIn(self.say(wire, "AUTH SCRAM-SHA-256 " + b64(Scram(USER, PASSWORD, gs2).first()))[0], (501, 535))
            self.say(wire, "AUTH SCRAM-SHA-256-PLUS " + b64(Scram(USER, PASSWORD, "p=tls-unique,,").first()), 504)
            scram = Scram(USER, PASSWORD)
            final = scram.final(self.begin_scram(wire, scram), binding=b"p=tls-exporter,,xxxx")
            self.assertIn(self.say(wire, b64(final))[0], (501, 535))
            self.log_in(wire)
        with by_hand(self.tls_wire()) as wire:  # with a binding to be had, "y" tells of somebody in the middle who has hidden it
            self.assertIn("SCRAM-SHA-256-PLUS", wire.hello())
            scram = Scram(USER, PASSWORD, "y,,")
            code, text = self.say(wire, "AUTH SCRAM-SHA-256 " + b64(scram.first()))
            if code == 334:
                code, text = self.say(wire, b64(scram.final(base64.b64decode(text))))
            self.assertIn(code, (501, 535))

    def tls_wire(self):
        wire = self.connected("smtp")
        wire.command("STARTTLS", 220)
        return wire


# ---- size -------------------------------------------------------------------------------------------------------------------------------

class Oversized(AuthCase):
    """RFC 4954 4: lines of 12,288 octets, with their CR LF; not more."""
    MAX = 12288

    def answer_to(self, wire, length):
        """To AUTH PLAIN in a line that long."""
        line = b"AUTH PLAIN " + b"A" * (length - len(b"AUTH PLAIN \r\n"))
        return self.say(wire, line)[0]

    def test_lines_up_to_the_limit_and_beyond(self):
        self.authenticating()
        with self.connected() as wire:
            start = len(b"AUTH PLAIN \r\n")
            fits = self.MAX - (self.MAX - start) % 4
            self.assertIn(self.answer_to(wire, fits), (501, 535))
            for length in (fits + 4, self.MAX + 1, 13 * 1024, 100_000):
                self.assertEqual(self.answer_to(wire, length), 500, length)
            for length in (fits - 11, 13 * 1024, 100_000):
                for begin in (b"AUTH PLAIN", b"AUTH LOGIN", b"AUTH LOGIN " + b64(USER.encode()).encode()):
                    self.say(wire, begin, 334)
                    code, text = self.say(wire, b"A" * (length // 4 * 4))
                    if length < self.MAX and code == 334:
                        code, text = self.say(wire, b"*")
                    self.assertIn(code, (501, 535) if length < self.MAX else (500,), (begin, length, text))
            self.assert_still_good(wire)

    def test_a_megabyte_without_a_line_end_costs_no_memory(self):
        self.authenticating()
        (worker,) = self.server.workers()
        with self.connected() as wire:
            self.log_in(wire, 535, password="wrong")
        held = [self.connected() for _ in range(20)]
        before = anonymous_memory(worker)
        for number, wire in enumerate(held):
            if number % 2:
                self.say(wire, b"AUTH PLAIN", 334)
            wire.send((b"" if number % 2 else b"AUTH PLAIN ") + b"A" * MIB)
        for wire in held:
            wire.send(b"\r\n")
            self.assertEqual(wire.reply()[0], 500)
        after = anonymous_memory(worker)
        for wire in held:
            self.assert_still_good(wire)
        if not SANITIZED:
            self.assertLess(after - before, 2 * MIB)

    def test_the_longer_line_is_for_AUTH_alone(self):
        self.authenticating()
        with self.connected() as wire:
            for line in (b"NOOP " + b"x" * 5000, b"AUTHOR PLAIN " + b"x" * 13000, b"MAIL FROM:<" + b"x" * 5000 + b">"):
                wire.send(line + b"\r\n")
                wire.expect(500)
            self.assert_still_good(wire)

    def test_who_is_not_offered_AUTH_may_not_say_more_either(self):
        self.authenticating()
        with self.connected("smtp") as wire:
            for length in (13 * 1024, 3 * MIB):
                self.assertIn(self.answer_to(wire, length), (500, 538))
            wire.command("NOOP", 250)


# ---- sequence ----------------------------------------------------------------------------------------------------------------------------

class OutOfPlace(AuthCase):
    def test_before_hello_inside_a_transaction_and_twice(self):
        self.authenticating()
        with self.connected(hello=False) as wire:
            self.log_in(wire, 503)
            wire.hello()
            wire.command("MAIL FROM:<bob@example.net>", 250)
            self.log_in(wire, 503)
            wire.command(f"RCPT TO:<{ALICE}>", 250)
            self.log_in(wire, 503)
            self.say(wire, "AUTH LOGIN", 503)
            wire.data(simple_message())
            wire.expect(250)
            wire.envelope(ALICE)
            wire.bdat(b"Subject: x\r\n")
            wire.expect(250)
            self.log_in(wire, 503)
            wire.bdat(b"\r\n", last=True)
            wire.expect(250)
            self.log_in(wire)
            self.log_in(wire, 503)
            self.log_in(wire, 503, user="bob")
            wire.deliver(simple_message(subject=b"authenticated"), ALICE)
        contents = self.server.maildir().contents()
        self.assertEqual(len(contents), 3)
        self.assertEqual([b"with ESMTPA" in c for c in contents].count(True), 1)

    def test_credentials_are_not_taken_in_the_clear(self):
        self.authenticating()
        with self.connected("smtp") as wire:
            self.log_in(wire, 538)
            wire.command("STARTTLS", 220)
            by_hand(wire)
            wire.hello()
            self.log_in(wire)

    def test_who_has_authenticated_before_STARTTLS_has_not_inside_it(self):
        """RFC 3207 4.2. Where AUTH without TLS is permitted, and TLS offered as well."""
        self.authenticating(rows={"tls": "optional"})
        with self.connected() as wire:
            self.log_in(wire)
            wire.command("STARTTLS", 220)
            by_hand(wire)
            wire.hello()
            wire.deliver(simple_message(), ALICE)
            self.assertIn(b"with ESMTPS ", self.server.maildir().only())
            self.log_in(wire)

    def test_AUTH_right_behind_STARTTLS_is_thrown_away(self):
        self.authenticating()
        with self.connected("smtp") as wire:
            self.said(plain().encode())
            wire.send(f"STARTTLS\r\nAUTH PLAIN {plain()}\r\n".encode())
            wire.expect(220)
            by_hand(wire)
            wire.hello()
            self.log_in(wire)

    def test_cancelled_at_every_step(self):
        self.authenticating()
        with self.connected() as wire:
            for begin in ("AUTH PLAIN", "AUTH LOGIN", "AUTH LOGIN " + b64(b"alice"), "AUTH SCRAM-SHA-256"):
                self.say(wire, begin, 334)
                self.say(wire, "*", 501)
            self.begin_scram(wire, Scram(USER, PASSWORD))
            self.say(wire, "*", 501)
            scram = Scram(USER, PASSWORD)
            self.say(wire, b64(scram.final(self.begin_scram(wire, scram))), 334)
            self.say(wire, "*", 501)  # proven, but not finished: it has not happened
            wire.deliver(simple_message(), ALICE)
            self.assertIn(b"with ESMTP ", self.server.maildir().only())
            self.assert_still_good(wire)

    def test_commands_behind_AUTH_wait_for_its_answer(self):
        self.authenticating(auth={"failure-delay": "50ms"})
        with self.connected() as wire:
            bad = plain(password="not this one")
            self.said(bad.encode())
            lines = (f"AUTH PLAIN {bad}", "MAIL FROM:<bob@example.net>", "RSET", f"AUTH PLAIN {plain()}", f"AUTH PLAIN {plain()}", "MAIL FROM:<>", "QUIT")
            wire.send("".join(line + "\r\n" for line in lines).encode())
            self.assertEqual([wire.reply()[0] for _ in range(7)], [535, 250, 250, 235, 503, 250, 221])

    def test_what_is_pipelined_behind_a_challenge_is_the_response_and_nothing_else(self):
        self.authenticating()
        with self.connected() as wire:
            self.said(plain().encode())
            wire.send(f"AUTH PLAIN\r\n{plain()}\r\nNOOP\r\nRCPT TO:<x@y>\r\n".encode())
            self.assertEqual([wire.reply()[0] for _ in range(4)], [334, 235, 250, 503])

    def test_failures_are_counted_over_the_session_and_end_it(self):
        self.authenticating(limits={"auth-failures": 3})
        with self.connected() as wire:
            for mechanism in ("PLAIN", "SCRAM-SHA-256"):
                if mechanism == "PLAIN":
                    self.log_in(wire, 535, password="wrong password")
                else:
                    scram = Scram(USER, "wrong password")
                    self.say(wire, b64(scram.final(self.begin_scram(wire, scram))), 535)
            wire.command("RSET", 250)
            wire.hello()
            self.log_in(wire, 535, user="nobody-here")
            wire.expect(421, "4.7.0")
            self.assertTrue(wire.at_end())
        self.assertEqual(len(self.server.wait_log("auth-failed", 3)), 3)

    def test_required_authentication_is_required(self):
        self.authenticating(rows={"auth": "required"})
        with self.connected() as wire:
            for line in ("MAIL FROM:<bob@example.net>", f"RCPT TO:<{ALICE}>", "DATA", "BDAT 0 LAST"):
                wire.command(line, 530)
            self.log_in(wire, 535, password="wrong password")
            wire.command("MAIL FROM:<bob@example.net>", 530)
            self.say(wire, "AUTH LOGIN", 334)
            self.say(wire, "*", 501)
            wire.command("MAIL FROM:<bob@example.net>", 530)
            self.log_in(wire)
            wire.deliver(simple_message(), ALICE)

    def test_a_hang_up_at_every_step_leaves_nothing(self):
        self.authenticating()
        (worker,) = self.server.workers()
        with self.connected() as wire:
            scram = Scram(USER, PASSWORD)
            self.say(wire, b64(scram.final(self.begin_scram(wire, scram))), 334)
            self.say(wire, b"", 235)
        self.server.wait_log("session-closed")
        before = len(descriptors(worker))
        count = 1
        for reset in (False, True):
            for step in range(7):
                for wire in [self.connected() for _ in range(5)]:
                    self.hang_up_at(wire, step)
                    wire.reset() if reset else wire.close()
                    count += 1
        self.server.wait_log("session-closed", count)
        wait_until(lambda: len(descriptors(worker)) == before, "as many descriptors are open as at first")
        with self.connected() as wire:
            self.assert_still_good(wire)

    def test_who_hangs_up_rather_than_wait_is_told_of(self):
        """Right passwords are answered at once, so nobody who guesses need ever wait for a refusal: at no moment."""
        self.authenticating(auth={"failure-delay": "60s"})
        for pause in (0, 0.005, 0.3):  # in the job, or in the delay
            with self.connected() as wire:
                self.said(plain(password="wrong one").encode())
                wire.send(f"NOOP\r\nAUTH PLAIN {plain(password='wrong one')}\r\n".encode())
                wire.expect(250)  # both were read
                self.assertEqual(select.select([wire.socket], [], [], pause)[0], [])
                wire.reset()
        for told in self.server.wait_log("auth-failed", 3):
            self.assertEqual((told["user"], told["reason"], told["client"]), (USER, "wrong-credentials", "127.0.0.1"))

    def test_who_guesses_does_not_hold_up_the_end(self):
        """Failures are answered late, but nobody waits for that when the server stops."""
        self.authenticating(auth={"failure-delay": "60s"})
        with self.connected() as wire:
            self.said(plain(password="wrong one").encode())
            wire.send(f"NOOP\r\nAUTH PLAIN {plain(password='wrong one')}\r\n".encode())
            wire.expect(250)  # both were read
            self.server.signal(signal.SIGTERM)
            wire.expect(535)  # in the job, or in the delay
            wire.expect(421, "4.3.2")
            self.assertTrue(wire.at_end())

    def test_who_knows_the_password_is_not_refused_at_the_end(self):
        self.authenticating()
        with self.connected() as wire:
            wire.send(f"NOOP\r\nAUTH PLAIN {plain()}\r\n".encode())
            wire.expect(250)  # both were read
            self.server.signal(signal.SIGTERM)
            wire.expect(235)  # in the job, most probably
            wire.expect(421, "4.3.2")

    def hang_up_at(self, wire, step):
        scram = Scram(USER, PASSWORD)
        first = f"AUTH SCRAM-SHA-256 {b64(scram.first())}\r\n".encode()
        if step == 0:
            wire.send(first[:30])
        elif step == 1:
            wire.send(first)  # perhaps while it is looked up
        elif step == 2:
            wire.send(b"AUTH SCRAM-SHA-256\r\n")
            wire.expect(334)
        elif step == 6:
            self.said(plain(password="wrong one").encode())
            wire.send(f"AUTH PLAIN {plain(password='wrong one')}\r\n".encode())  # in the job, or in the delay
        else:
            final = scram.final(self.begin_scram(wire, scram))
            if step == 4:
                wire.send(b64(final).encode() + b"\r\n")
            elif step == 5:
                self.say(wire, b64(final), 334)


# ---- others ------------------------------------------------------------------------------------------------------------------------------

class Others(AuthCase):
    def test_exchanges_side_by_side_do_not_mix(self):
        """One user's failures are not another's, nor are those of one session another session's of the same user."""
        self.authenticating()
        good, bad = [self.connected() for _ in range(8)], [self.connected() for _ in range(8)]
        scrams = [Scram(USER, PASSWORD) for _ in good]
        wrong = [Scram(USER, "wrong password") for _ in bad]
        firsts = [self.begin_scram(wire, scram) for wire, scram in zip(good, scrams)]
        bad_firsts = [self.begin_scram(wire, scram) for wire, scram in zip(bad, wrong)]
        for wire, scram, first in zip(bad, wrong, bad_firsts):
            self.say(wire, b64(scram.final(first)), 535)
        for wire, scram, first in list(zip(good, scrams, firsts))[::-1]:
            self.say(wire, b64(scram.final(first)), 334)
        for wire in good:
            self.say(wire, b"", 235)
        for wire in bad:
            wire.command("NOOP", 250)
            self.log_in(wire)
            wire.close()
        for wire in good:
            wire.close()

    def test_two_hundred_who_fail_do_not_delay_one_who_does_not(self):
        """They come from one address, and guess; the good client from another. It is answered before most of them, for clients have
        their passwords looked at in turn."""
        raise_own_descriptor_limit()
        self.authenticating(auth={"failure-delay": "1ms"})
        (worker,) = self.server.workers()
        with self.connected() as wire:
            begin = time.monotonic()
            self.log_in(wire)
            alone = time.monotonic() - begin
        held = [self.connected(source="127.0.0.2") for _ in range(200)]
        before = anonymous_memory(worker)
        with self.connected() as wire:
            for number, other in enumerate(held):
                guess = plain(USER if number % 2 else "nobody-here", f"guess {number:04}")
                self.said(guess.encode())
                other.send(f"AUTH PLAIN {guess}\r\n".encode())
            begin = time.monotonic()
            self.log_in(wire)
            beside = time.monotonic() - begin
            answered = len(select.select([other.socket for other in held], [], [], 0)[0])
            wire.deliver(simple_message(), ALICE)
        print_diagnostics(f"a login takes {alone:.3f} s alone, and {beside:.3f} s beside 200 that fail: {answered} of them were answered")
        self.assertLess(answered, 100)
        for other in held:
            other.expect(535)
            other.close()
        if not SANITIZED:
            self.assertLess(anonymous_memory(worker) - before, 16 * MIB)

    def test_failures_of_one_address_delay_itself_alone(self):
        self.authenticating(auth={"failure-delay": "200ms"})
        with self.connected(source="127.0.0.2") as bad, self.connected(source="127.0.0.3") as good:
            for _ in range(3):
                self.log_in(bad, 535, password="wrong password")
            begin = time.monotonic()
            self.log_in(bad, 535, password="wrong password")
            self.assertGreater(time.monotonic() - begin, 0.2)
            self.log_in(good)
            self.log_in(bad)


# ---- the log -----------------------------------------------------------------------------------------------------------------------------

class Log(AuthCase):
    FORGED = "auth-failed session=000000000000 client=192.0.2.99 user=eve mechanism=PLAIN reason=wrong-credentials"
    NAMES = ["alice\nINFO " + FORGED, "alice\r\n" + FORGED, f'x" {FORGED} y="', FORGED, "x client=192.0.2.99", 'x" client="192.0.2.99',
             "\\", '\\"', '\\" client=192.0.2.99 z="', "a\tb", "\x1b[2Jclear", "\x7f", "\u0085next", "\u2028line", "\u202eright to left",
             "n\u00fcll", "\U0001f600", "%s%n%d", "$(touch x)", "../../etc/passwd", "a" * 255, "a" * 256, "user=alice", "alice:", "alice,", "=",
             "<HOST>", "alice\x00bob", " ", "  alice", "\ufeff", "\u00a0"]
    RAW = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"alice\xff", b"\x80" * 50]

    def try_names(self, wire):
        """With each mechanism; how many tries that were."""
        names = [name.encode() for name in self.NAMES] + self.RAW
        tries = 0
        for name in names:
            for exchange in ([b"AUTH PLAIN " + base64.b64encode(b"\0" + name + b"\0guess of PLAIN")],
                             [b"AUTH LOGIN", base64.b64encode(name), base64.b64encode(b"guess of LOGIN")],
                             [b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=" + name.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=abcdef")]):
                code = 334
                for line in exchange:
                    if code == 334:
                        code, _ = self.say(wire, line)
                if code == 334:
                    code, _ = self.say(wire, b64(b"c=biws,r=abcdef,p=" + b"A" * 44))
                with self.subTest(name=name, exchange=exchange):
                    self.assertIn(code, (501, 535))
                tries += 1
        return tries

    def test_no_name_forges_a_line(self):
        self.authenticating()
        with self.connected() as wire:
            tries = self.try_names(wire)
            self.log_in(wire)
        self.server.wait_log("session-closed")
        told = 0
        for line in list(self.server.log):
            self.assertRegex(line, r"\A[\x20-\x7e\u00a1-\U0010ffff]*\Z")
            self.assertNotRegex(line, "[\u0080-\u009f\u2028\u2029\u202a-\u202e]")
            fields = parse_logfmt(line)
            if fields.get("event", "").startswith("auth-"):
                told += 1
                self.assertEqual(fields["client"], "127.0.0.1")
                self.assertNotEqual(fields["session"], "000000000000")
        self.assertEqual(told, tries)

    def test_in_JSON_neither(self):
        self.authenticating(log={"format": "json"})
        with self.connected() as wire:
            tries = self.try_names(wire)
        self.server.wait_log("session-closed")
        events = [e for e in self.server.events() if e["event"].startswith("auth-")]
        self.assertEqual(len(events), tries)
        self.assertEqual({e["client"] for e in events}, {"127.0.0.1"})

    def test_names_of_which_nothing_is_left_cost_no_memory(self):
        """SASLprep leaves soft hyphens out."""
        self.authenticating()
        (worker,) = self.server.workers()
        message = "n,,n=" + "\u00ad" * 3000 + ",r=abcdef"
        with self.connected() as wire:
            for number in range(220):
                if number == 60:
                    before = anonymous_memory(worker)
                self.say(wire, f"AUTH SCRAM-SHA-256 {b64(message.encode())}", 501)
        if not SANITIZED:
            self.assertLess(anonymous_memory(worker) - before, MIB // 2)

    def test_clients_that_do_not_notice_a_refusal_do_not_tell_the_log_their_password(self):
        """They send name and password whatever the answer was."""
        self.authenticating(limits={"errors": 10000})
        name, word = b64(b"carol@example.org").encode(), b64(b"not for the log at all").encode()
        whole = base64.b64encode(b"\0carol@example.org\0not for the log at all")
        self.secrets.add("not for the log at all")
        refused = [b"AUTH LOGIN", b"AUTH NTLM", b"AUTH", b"auth login", b"AUTH  LOGIN", b"AUTH\tLOGIN", b" AUTH LOGIN", b"AUTH LOGIN ", b"AUTH CRAM-MD5",
                   b"AUTH XOAUTH2", b"AUTHLOGIN", b"AUTH=LOGIN", b"AUTH LOGIN \xff", b"AUTH LOGIN !", b"AUTH PLAIN !"]
        for listener, hello in (("plain", True), ("plain", False), ("smtp", True)):
            for line in refused:
                with self.connected(listener, hello=hello) as wire:
                    wire.send(line + b"\r\n" + self.said(name) + b"\r\n" + self.said(word) + b"\r\n" + self.said(whole) + b"\r\nQUIT\r\n")
                    read_all(wire)
                with self.connected(listener, hello=hello) as wire:
                    for spoilt in (b" " + whole, b"  " + whole, b"\t" + whole, b" " + whole + b" ", b" " + whole + b"\x01", b" " + whole + b"\n",
                                   b" " + whole + b"A", b" " + whole + b" " + whole, b" " + whole * 400, b" " + whole + b"\0"):
                        wire.send(line + spoilt + b"\r\n")
                    wire.send(b"QUIT\r\n")
                    self.said(whole)
                    read_all(wire)

    def test_nor_do_those_that_cannot_wait_for_the_greeting(self):
        self.authenticating(rows={"greeting-delay": "60s"})
        for lines in (b"AUTH PLAIN %s\r\n", b"EHLO x\r\nAUTH PLAIN %s\r\n", b"AUTH LOGIN\r\n%s\r\n"):
            wire = Wire(self.server.listeners["plain"], greet=False)
            wire.send(lines % self.said(plain().encode()))
            read_all(wire)
            wire.close()
        self.server.wait_log("session-closed", 3)

    def test_all_dialogues_at_every_level(self):
        """The log of these tests is that of level debug, of which all are a part."""
        self.authenticating()
        self.assertEqual(self.server.sections["log"]["level"], "debug")
        with self.connected() as wire:
            self.log_in(wire, 535, password="a password that is wrong")
            self.secrets.add("a password that is wrong")
            self.say(wire, "AUTH LOGIN", 334)
            self.say(wire, b64(b"alice"), 334)
            self.say(wire, b64(PASSWORD.encode()), 235)
        with self.connected() as wire:
            scram = Scram(USER, PASSWORD)
            self.say(wire, b64(scram.final(self.begin_scram(wire, scram))), 334)
            self.say(wire, b"", 235)
            wire.deliver(simple_message(), ALICE)


def read_all(wire):
    """To the end, however it comes."""
    try:
        while wire.socket.recv(65536):
            pass
    except OSError:
        pass


if __name__ == "__main__":
    main()
