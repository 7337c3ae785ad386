"""What handlers say of a message and its recipients, and what they are told of it."""
from host import Case, all_of, handler, main, recipient, wire

THREE = ("a@example.org", "b@example.org", "c@example.org")
DELIVERED = {"decision": wire.DELIVER, "handler": -1, "code": 0, "enhanced": "", "text": "", "folder": None, "flags": None,
             "redirects": []}
DISCARDED = {**DELIVERED, "decision": wire.DISCARD, "handler": 0}
REJECTED = {**DELIVERED, "decision": wire.REJECT, "handler": 0, "code": 550, "enhanced": "5.7.1", "text": "Message refused"}
DEFERRED = {**DELIVERED, "decision": wire.DEFER, "handler": 0, "code": 451, "enhanced": "4.7.1",
            "text": "Not now, try again later"}


def texts(host):
    return [log["text"] for log in host.logs]


class Verdicts(Case):
    def fates(self, do, *expected, errors=()):
        host = self.host(handler(do))
        verdict = self.judge(host, to=THREE)
        self.assertEqual(verdict, {"fates": list(expected * 3 if len(expected) == 1 else expected), "front": b"", "skip": 0,
                                   "replaced": False, "replaced_size": 0})
        self.assertEqual([log["text"] for log in host.logs if log["level"] == wire.ERROR], list(errors))

    def test_deliver(self):
        self.fates("return 0", DELIVERED)

    def test_reject_without_a_reply(self):
        self.fates("return 1", REJECTED)

    def test_defer_without_a_reply(self):
        self.fates("return 2", DEFERRED)

    def test_discard(self):
        self.fates("return 3", DISCARDED)

    def test_reject(self):
        self.fates("reject all 554 5.6.0 not this one", {**REJECTED, "code": 554, "enhanced": "5.6.0", "text": "not this one"})

    def test_defer(self):
        self.fates("defer all 421 4.3.2 later", {**DEFERRED, "code": 421, "enhanced": "4.3.2", "text": "later"})

    def test_the_last_word_of_a_handler(self):
        self.fates("reject all 550 5.7.1 no\ndefer all 450 4.2.0 later",
                   {**DEFERRED, "code": 450, "enhanced": "4.2.0", "text": "later"})

    def test_what_is_returned_is_what_counts(self):
        self.fates("reject all 554 5.6.0 no\nreturn 0", DELIVERED)

    def test_another_verdict_has_another_reply(self):
        self.fates("reject all 554 5.6.0 no\nreturn 2", DEFERRED)

    def test_a_reply_that_is_void_is_told(self):
        for returned in (0, 2, 3):
            host = self.host(handler(f"reject all 554 5.6.0 no\nreturn {returned}"))
            self.judge(host, to=THREE)
            self.assertEqual([(log["level"], log["text"].partition(":")[0]) for log in host.logs],
                             [(wire.WARNING, "the reply that was told for all recipients is void")])

    def test_what_is_no_verdict(self):
        self.fates("return 4", DEFERRED, errors=["what on_message returned is no verdict"])

    def test_a_negative_verdict(self):
        self.fates("return -1", DEFERRED, errors=["what on_message returned is no verdict"])


class Replies(Case):
    CODES = "reject: the codes must be such as 550 and 5.7.1, or 451 and 4.7.1 to defer"
    TEXT = "reject: the text must be one line of printable ASCII"

    def reply(self, what, code, enhanced, text, *errors):
        host = self.host(handler(f"reject all {what}"))
        fate = self.judge(host)["fates"][0]
        self.assertEqual((fate["code"], fate["enhanced"], fate["text"]), (code, enhanced, text))
        self.assertEqual(texts(host), list(errors))
        self.assertTrue(all(log["level"] == wire.ERROR for log in host.logs))

    def test_good_ones(self):
        for code, enhanced in ((500, "5.0.0"), (599, "5.999.999"), (550, "5.1.10")):
            with self.subTest(code):
                self.reply(f"{code} {enhanced} x", code, enhanced, "x")

    def test_bad_codes(self):
        for codes in ("450 5.7.1", "250 5.7.1", "600 5.7.1", "0 5.7.1", "-550 5.7.1", "5500 5.7.1", "550 4.7.1", "550 5.7",
                      "550 5.7.1.1", "550 5..1", "550 5.7.", "550 5.7.1000", "550 5.x.1", "550 x", "550 5.7.1x", "550 "):
            with self.subTest(codes):
                self.reply(f"{codes} x", 550, "5.7.1", "x", self.CODES)

    def test_bad_texts(self):
        for text in ("one\\ntwo", "one\\r\\n250 two", "gr\\303\\274n", "a\\tb", "a\\177b", "x" * 401, ""):
            with self.subTest(text):
                self.reply(f"550 5.7.1 {text}", 550, "5.7.1", "Message refused", self.TEXT)

    def test_the_longest_text(self):
        self.reply("550 5.7.1 " + "x" * 400, 550, "5.7.1", "x" * 400)

    def test_no_text(self):
        self.reply("550 5.7.1", 550, "5.7.1", "Message refused", self.TEXT)

    def test_all_wrong(self):
        self.reply("1 2", 550, "5.7.1", "Message refused", self.CODES, self.TEXT)


class Recipients(Case):
    def fates(self, *scripts, turns=None):
        host = self.host(*(handler(do) for do in scripts))
        fates = self.judge(host, to=THREE, turns=turns or all_of(len(scripts)))["fates"]
        self.logs = texts(host)
        return [(fate["decision"], fate["handler"], fate["text"]) for fate in fates]

    def test_one_is_rejected(self):
        self.assertEqual(self.fates("reject 1 550 5.7.1 no"), [(0, -1, ""), (1, 0, "no"), (0, -1, "")])

    def test_one_is_delivered_and_the_rest_is_not(self):
        self.assertEqual(self.fates("deliver 1 0\nreject all 550 5.7.1 no"), [(1, 0, "no"), (0, -1, ""), (1, 0, "no")])

    def test_each_another(self):
        self.assertEqual(self.fates("reject 0 550 5.7.1 r\ndefer 1 450 4.7.1 d\ndiscard 2"),
                         [(1, 0, "r"), (2, 0, "d"), (3, 0, "")])

    def test_a_recipient_that_is_not(self):
        self.assertEqual(self.fates("reject 3 550 5.7.1 no"), [(0, -1, "")] * 3)
        self.assertIn("set_verdict: the envelope has no recipient of that number", self.logs)
        self.assertIn("set_verdict Invalid argument", self.logs)

    def test_the_next_handlers_do_not_see_it(self):
        self.assertEqual(self.fates("reject 0 550 5.7.1 no", "reject 0 550 5.7.2 nor this\nenvelope", "discard 0"),
                         [(1, 0, "no"), (1, 1, "nor this"), (3, 2, "")])
        self.assertNotIn("a@example.org a@example.org (none) (none)", self.logs)
        self.assertIn("b@example.org b@example.org (none) (none)", self.logs)

    def test_nobody_is_left(self):
        self.assertEqual(self.fates("reject all 550 5.7.1 no", "log 1 too late"), [(1, 0, "no")] * 3)
        self.assertEqual(self.logs, [])

    def test_turns_for_some(self):
        turns = [{"handler": 1, "recipients": [2, 0]}, {"handler": 0, "recipients": [1, 2]}]
        self.assertEqual(self.fates("discard all\nenvelope", "reject 0 550 5.7.1 no\nenvelope", turns=turns),
                         [(0, -1, ""), (3, 0, ""), (1, 1, "no")])
        self.assertEqual([text.split()[0] for text in self.logs if "@example.org" in text],
                         ["c@example.org", "a@example.org", "b@example.org"])

    def test_no_turn(self):
        host = self.host(handler("reject all 550 5.7.1 no"))
        self.assertEqual(self.judge(host, turns=[])["fates"], [DELIVERED])

    def test_many(self):
        to = [f"r{n}@example.org" for n in range(5000)]
        host = self.host(handler("reject 4999 550 5.7.1 no"))
        decisions = [fate["decision"] for fate in self.judge(host, to=to)["fates"]]
        self.assertEqual(decisions, [wire.DELIVER] * 4999 + [wire.REJECT])
        self.assertEqual(len(self.judge(host, to=to[:2])["fates"]), 2)


class Places(Case):
    """Folders, flags, other mailboxes."""

    def placed(self, do, field, *expected, said=0):
        host = self.host(handler(do))
        fates = self.judge(host, to=THREE)["fates"]
        self.assertEqual([fate[field] for fate in fates], list(expected))
        self.assertTrue(texts(host)[-1].endswith(f" {said}"), texts(host))
        return host

    def test_folder(self):
        self.placed("folder 1 Lists/Announce", "folder", None, "Lists/Announce", None)

    def test_folder_of_all(self):
        self.placed("folder all Gr\xfc\xdfe", "folder", *["Gr\xfc\xdfe"] * 3)

    def test_no_folders(self):
        for folder in ("", "/", "/a", "a/", "a//b", ".", "..", "a.b", "a/../b", "a\tb", "x" * 201):
            with self.subTest(folder):
                self.placed(f"folder all {folder}", "folder", None, None, None, said=-22)

    def test_the_next_handler_chooses_another(self):
        host = self.host(handler("folder all A"), handler("folder 0 B"))
        fates = self.judge(host, to=THREE, turns=all_of(2))["fates"]
        self.assertEqual([fate["folder"] for fate in fates], ["B", "A", "A"])

    def test_flags(self):
        self.placed("flags 0 SF", "flags", "FS", None, None)

    def test_flags_twice(self):
        self.placed("flags 0 SSFSF", "flags", "FS", None, None)

    def test_all_flags(self):
        self.placed("flags all TSRPFD", "flags", *["DFPRST"] * 3)

    def test_no_flag(self):
        self.placed("flags 2 ", "flags", None, None, "")

    def test_what_are_no_flags(self):
        for flags in ("X", "s", "S,", "S/../x"):
            with self.subTest(flags):
                self.placed(f"flags all {flags}", "flags", None, None, None, said=-22)

    def test_redirect(self):
        self.placed("redirect 0 x@example.org\nredirect 0 y@example.org\nredirect all z@example.org", "redirects",
                    ["x@example.org", "y@example.org", "z@example.org"], ["z@example.org"], ["z@example.org"])

    def test_what_is_no_address(self):
        for address in ("", "x", "x@y\n", "x" * 319 + "@y"):
            with self.subTest(address):
                self.placed("redirect 0 " + address.replace("\n", "\t"), "redirects", [], [], [], said=-22)

    def test_too_many_redirects(self):
        self.placed("redirect 0 x@y\n" * 101, "redirects", ["x@y"] * 100, [], [], said=-22)
        self.placed("redirect 0 x@y\n" * 100, "redirects", ["x@y"] * 100, [], [])

    def test_nobody_there(self):
        for do in ("folder 3 A", "flags 3 S", "redirect 3 a@b"):
            with self.subTest(do):
                self.placed(do, "folder", None, None, None, said=-22)

    def test_nothing_of_it_is_left_for_the_next_message(self):
        host = self.host(handler("folder 0 A\nflags 0 S\nredirect 0 x@y"))
        self.judge(host)
        self.assertEqual(self.judge(host, turns=[])["fates"], [DELIVERED])


class Facts(Case):
    """What a handler is told."""

    def logged(self, do, *arguments, options=None, **changes):
        host = self.host(handler(do, **(options or {})))
        self.judge(host, *arguments, **changes)
        return texts(host)

    def test_envelope(self):
        facts = {"session": "s7", "id": "m8", "listener": "mx", "protocol": "ESMTPS", "client": "2001:db8::1",
                 "client_name": "c.example.net", "helo": "h.example.net", "tls_version": "TLSv1.3", "tls_cipher": "AES",
                 "tls_server_name": "sni", "tls_client": "CN=x", "user": "u", "reverse_path": "", "body": "8BITMIME",
                 "ret": "HDRS", "envelope_id": "e"}
        to = [recipient("a@x", ["m@x", "n@x"], "success", "rfc822;q@x"), recipient("b@x", [])]
        self.assertEqual(self.logged("envelope", b"A: b\n\n", to=to, utf8=True, declared_size=12, **facts),
                         [*facts.values(), "1 12 6 1700000000000000", "a@x m@x,n@x success rfc822;q@x", "b@x  (none) (none)"])

    def test_an_envelope_of_the_least(self):
        self.assertEqual(self.logged("envelope").count("(none)"), 8)

    def test_options(self):
        self.assertEqual(self.logged("init option a\noption a\noption b\noption none", options={"a": "1", "b": "two words"}),
                         ["option 1", "option 1", "option two words", "option (none)"])

    def test_log(self):
        host = self.host(handler("log 0 d\nlog 1 i\nlog 2 w\nlog 3 e\nlog 9 other\nlog 1 \\n\\001\\377"))
        self.judge(host)
        self.assertEqual(host.logs, [{"handler": 0, "level": level, "text": text} for level, text in
                                     ((0, "d"), (1, "i"), (2, "w"), (3, "e"), (1, "other"), (1, "\n\x01\udcff"))])

    def test_a_log_line_that_is_too_long(self):
        for length, cut in ((1000, 1000), (1001, 999), (5000, 1000)):
            with self.subTest(length):
                self.assertEqual([len(text.encode()) for text in self.logged(f"log-long {length}")], [cut])

    def test_header_text(self):
        self.assertEqual(self.logged("header Subject\nheader X-None", b"Subject: =?utf-8?q?gr=C3=BCn?=\n\n"),
                         ["Subject: gr\xfcn", "X-None: (none)"])

    def test_parts(self):
        octets = (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: application/pdf; name=x.pdf\n"
                  b"Content-Transfer-Encoding: base64\n\nAAAA\n--b--\n")
        self.assertEqual(self.logged("parts", octets), ["part text/plain - 1 3", "part application/pdf x.pdf 1 3"])

    def test_a_message_in_a_file(self):
        fd = self.file(b"Received: trace\nSubject: it\n\nbody\n")
        self.assertEqual(self.logged("header Subject\nheader Received\nparts\nraw\nparts", b"", descriptor=fd, in_frame=False,
                                     offset=16, size=18),
                         ["Subject: it", "Received: (none)", "part text/plain - 0 5", "raw 16 16 Subject: it\n\nbody\n",
                          "part text/plain - 0 5"])

    def test_raw_of_a_message_in_a_frame(self):
        host = self.host(handler("raw\nraw"))
        for octets in (b"Subject: one\n\nlonger\n", b"A: b\n\n", b""):
            self.judge(host, octets)
            self.assertEqual(texts(host), [f"raw 0 0 {octets.decode()}"] * 2)
            host.logs.clear()

    def test_what_is_no_message(self):
        for octets in (b"", b"\n", b"hello\nworld\n", b" x\nA: b\n\n", b"\0\0\0", b"A: b", b"From x\n\nbody"):
            with self.subTest(octets):
                host = self.host(handler("parts\nheader Subject\nadd X-A b"))
                verdict = self.judge(host, octets)
                self.assertEqual(self.stored(host, verdict, octets), b"X-A: b\n" + octets)


if __name__ == "__main__":
    main()
