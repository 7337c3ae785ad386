"""What handlers change in a message, and what is stored then."""
import email
import email.header
import email.policy
import random

from host import Case, all_of, handler, main, wire

ODD = (b"Received: from a\n\tby b;\n   Sun, 1 Jan 2023\n"
       b"SUBJECT  :   folded\n  twice \n\t and once\n"
       b"X-Same: 1\n"
       b"a line that is no field\n"
       b"X-8bit: gr\xfcn \xc3\xbc\n"
       b"x-same:\n"
       b"Content-Type: text/plain; charset=utf-8\n"
       b"X-Nul: a\0b\n"
       b"X-SAME: 3\n continued\n"
       b"X-Last:\tz \n")
BODY = b"\nX-Same: of the body\n\nbody\n.\n"
MESSAGE = ODD + BODY


def without(*lines):
    left = ODD
    for line in lines:
        assert line in left
        left = left.replace(line, b"")
    return left


class Edited(Case):
    def edited(self, *scripts, octets=MESSAGE, in_file=None, **changes):
        """What is stored: of a message in the frame, or in a file behind something else."""
        kept = []
        for at in (0, 16) if in_file is None else [in_file]:
            host = self.host(*(handler(do) for do in scripts))
            place = {"descriptor": self.file(b"Received: trace\n" + octets), "in_frame": False, "offset": 16} if at else {}
            verdict = self.judge(host, b"" if at else octets, turns=all_of(len(scripts)), size=len(octets), **place, **changes)
            kept.append(self.stored(host, verdict, octets))
            self.verdict, self.logs = verdict, [log["text"] for log in host.logs]
            host.clean_up()
        self.assertEqual(kept[0], kept[-1])
        return kept[0]


class Fields(Edited):
    def test_nothing(self):
        self.assertEqual(self.edited("header Subject"), MESSAGE)
        self.assertEqual((self.verdict["front"], self.verdict["skip"], self.verdict["replaced"]), (b"", 0, False))

    def test_add(self):
        self.assertEqual(self.edited("add X-A one\nadd X-B two"), b"X-B: two\nX-A: one\n" + MESSAGE)
        self.assertEqual(self.verdict["skip"], 0)

    def test_add_in_several_handlers(self):
        self.assertEqual(self.edited("add X-A 1", "add X-B 2\nadd x-a 3"), b"x-a: 3\nX-B: 2\nX-A: 1\n" + MESSAGE)

    def test_remove(self):
        self.assertEqual(self.edited("remove x-Same"), without(b"X-Same: 1\n", b"x-same:\n", b"X-SAME: 3\n continued\n") + BODY)
        self.assertEqual(self.logs, ["remove 3"])
        self.assertEqual(self.verdict["skip"], len(ODD) + 1)

    def test_remove_the_first_and_the_last(self):
        self.assertEqual(self.edited("remove Received\nremove X-Last"),
                         without(b"Received: from a\n\tby b;\n   Sun, 1 Jan 2023\n", b"X-Last:\tz \n") + BODY)

    def test_remove_one_with_blanks_before_the_colon(self):
        self.assertEqual(self.edited("remove Subject"), without(b"SUBJECT  :   folded\n  twice \n\t and once\n") + BODY)

    def test_remove_what_is_not_there(self):
        self.assertEqual(self.edited("remove X-None"), MESSAGE)
        self.assertEqual((self.logs, self.verdict["front"], self.verdict["skip"]), (["remove 0"], b"", 0))

    def test_remove_all(self):
        self.assertEqual(self.edited("remove A\nremove B", octets=b"A: 1\nB: 2\n\nbody\n"), b"\nbody\n")

    def test_replace(self):
        self.assertEqual(self.edited("replace X-Same new"),
                         without(b"x-same:\n", b"X-SAME: 3\n continued\n").replace(b"X-Same: 1\n", b"X-Same: new\n") + BODY)
        self.assertEqual(self.logs, ["replace 0"])

    def test_replace_what_is_not_there(self):
        self.assertEqual(self.edited("replace X-None new"), b"X-None: new\n" + MESSAGE)

    def test_replace_twice(self):
        self.assertEqual(self.edited("replace X-Last a", "replace x-last b"), without(b"X-Last:\tz \n") + b"x-last: b\n" + BODY)

    def test_remove_what_was_replaced(self):
        self.assertEqual(self.edited("replace X-Last a", "remove X-LAST"), without(b"X-Last:\tz \n") + BODY)

    def test_replace_what_was_removed(self):
        self.assertEqual(self.edited("remove X-Last", "replace X-Last a"), b"X-Last: a\n" + without(b"X-Last:\tz \n") + BODY)

    def test_remove_what_was_added(self):
        self.assertEqual(self.edited("add X-A 1\nadd X-B 2", "remove X-A"), b"X-B: 2\n" + MESSAGE)

    def test_replace_what_was_added(self):
        self.assertEqual(self.edited("add X-A 1\nadd X-B 2\nadd X-A 3", "replace X-A 4"), b"X-A: 4\nX-B: 2\n" + MESSAGE)

    def test_replace_what_was_added_and_there(self):
        self.assertEqual(self.edited("add X-Last 1", "replace X-Last 2"), b"X-Last: 2\n" + without(b"X-Last:\tz \n") + BODY)

    def test_add_and_remove(self):
        self.assertEqual(self.edited("add X-A 1\nremove X-Last\nadd X-B 2"),
                         b"X-B: 2\nX-A: 1\n" + without(b"X-Last:\tz \n") + BODY)

    def test_names_that_begin_alike(self):
        self.assertEqual(self.edited("add X-AB 1\nadd X-A 2", "remove X-A"), b"X-AB: 1\n" + MESSAGE)

    def test_a_field_of_the_content(self):
        self.assertEqual(self.edited("replace Content-Type text/html", "parts"),
                         ODD.replace(b"text/plain; charset=utf-8", b"text/html") + BODY)
        self.assertTrue(self.logs[-1].startswith("part text/html "))

    def test_crlf(self):
        self.assertEqual(self.edited("remove B", octets=b"A: 1\r\nB: 2\r\n x\r\n\r\nbody\r\n"), b"A: 1\r\n\r\nbody\r\n")

    def test_no_body(self):
        self.assertEqual(self.edited("remove A", octets=b"A: 1\nB: 2"), b"B: 2")
        self.assertEqual(self.edited("remove A", octets=b"A: 1\n"), b"")

    def test_no_header(self):
        for octets in (b"\nA: 1\n", b"hello\nworld\n", b"", b"hello", b"hello\n\nA: 1\n"):
            with self.subTest(octets):
                self.assertEqual(self.edited("remove A\nreplace B c\nadd D e", octets=octets), b"D: e\nB: c\n" + octets)

    def test_a_header_section_longer_than_what_is_read_first(self):
        long = b"".join(b"X-%d: %s\n" % (n, b"x" * 900) for n in range(200))
        octets = b"A: 1\n" + long + b"B: 2\n" + BODY
        self.assertEqual(self.edited("remove B\nreplace A 3", octets=octets), b"A: 3\n" + long + BODY)

    def test_no_names(self):
        for name in ("", "a:b", "a\tb", "\xfc", "x" * 77):
            for verb in ("add", "replace"):
                with self.subTest(f"{verb} {name}"):
                    self.assertEqual(self.edited(f"{verb} {name} value"), MESSAGE)
                    self.assertEqual(self.logs[-1], f"{verb} -22")

    def test_no_values(self):
        for value in ("a\\nX-Evil: yes", "a\\rb", "\\001", "\\377", "a\\n b", "\\177"):
            for verb in ("add", "replace"):
                with self.subTest(f"{verb} {value}"):
                    self.assertEqual(self.edited(f"{verb} X-A {value}"), MESSAGE)
                    self.assertEqual(self.logs[-1], f"{verb} -22")


class Seen(Edited):
    """The next handlers see the edits."""

    def seen(self, *scripts):
        self.edited(*scripts, in_file=0)
        return [text for text in self.logs if text.partition(" ")[0] not in ("add", "remove", "replace")]

    def test_added(self):
        self.assertEqual(self.seen("add X-A gr\xfcn\nadd X-Same 0", "header X-A\nheaders X-Same"),
                         ["X-A: gr\xfcn", "[0][1][][3 continued]"])

    def test_removed(self):
        self.assertEqual(self.seen("remove X-Same\nremove Subject", "headers X-Same\nheader Subject"), ["", "Subject: (none)"])

    def test_replaced(self):
        self.assertEqual(self.seen("replace X-Same 4\nreplace subject gr\xfcn", "headers X-Same\nheader Subject"),
                         ["[4]", "Subject: gr\xfcn"])


class Values(Edited):
    """Of new fields: Python's email reads what the handler wrote."""

    def added(self, name, values):
        """The texts of the fields that were added, one for each value."""
        host = self.host(handler("\n".join(f"add {name} {value}" for value in values)))
        front = self.judge(host)["front"]
        self.assertEqual([log["text"] for log in host.logs], ["add 0"] * len(values))
        fields = []
        for line in front.decode("ascii").splitlines(keepends=True):
            self.assertTrue(line.strip(), f"a line of blanks in {front}")
            self.assertLess(len(line), 999)
            if line[0] in " \t":
                fields[-1] += line
            else:
                self.assertTrue(line.startswith(name + ":"), line)
                fields.append(line)
        self.assertEqual(len(fields), len(values))
        return fields[::-1]

    def text(self, field):
        value = field.partition(":")[2].replace("\n", "")
        return str(email.header.make_header(email.header.decode_header(value)))

    def check(self, *values):
        fields = self.added("X-Test", values)
        for value, field in zip(values, fields):
            with self.subTest(value):
                self.assertEqual(self.text(field).strip(" \t"), value.strip(" \t"))
        return fields

    def test_plain(self):
        self.assertEqual(self.check("hello", "", "a  b"), ["X-Test: hello\n", "X-Test:\n", "X-Test: a  b\n"])

    def test_folded(self):
        field, = self.check(" ".join(f"word{n}" for n in range(100)))
        self.assertGreater(field.count("\n"), 8)
        self.assertLessEqual(max(map(len, field.split("\n"))), 78)

    def test_a_word_that_is_long(self):
        self.assertEqual(self.check("x" * 500 + " y"), ["X-Test: " + "x" * 500 + "\n y\n"])

    def test_a_word_that_is_too_long(self):
        self.check("a " + "x" * 5000 + " y")

    def test_encoded(self):
        field, = self.check("gr\xfcn and plain and \u65e5\u672c and plain again")
        self.assertEqual(field, "X-Test: =?UTF-8?Q?gr=C3=BCn_and_plain_and_=E6=97=A5=E6=9C=AC?= and plain again\n")

    def test_encoded_words_are_no_longer_than_they_may_be(self):
        field, = self.check("\U0001f600 \u65e5" * 200)
        for word in field.split()[1:]:
            self.assertLessEqual(len(word), 75)
        self.assertLessEqual(max(map(len, field.split("\n"))), 78)

    def test_what_looks_encoded(self):
        self.check("=?utf-8?q?no?=", "a=?b", "=?", "?=")

    def test_random(self):
        rng = random.Random(1)
        pieces = list("abc  \t=?_.,;<>()\"@") + ["\xfc", "\u65e5", "\U0001f600", "=?utf-8?q?", "?=", "x" * 30, "word "]
        for _ in range(5):
            self.check(*("".join(rng.choice(pieces) for _ in range(rng.randrange(80))).strip() for _ in range(200)))

    def addresses(self, value):
        host = self.host(handler(f"add To {value}"))
        parsed = email.message_from_bytes(self.judge(host)["front"], policy=email.policy.default)
        return [(address.display_name, address.addr_spec) for address in parsed["To"].addresses]

    def test_addresses(self):
        self.assertEqual(self.addresses("J\xfcrgen <j@example.org>, \"B, A\" <b@example.org>, c@example.org"),
                         [("J\xfcrgen", "j@example.org"), ("B, A", "b@example.org"), ("", "c@example.org")])

    def test_many_addresses(self):
        many = [(f"N\xfcmmer {n}", f"n{n}@example.org") for n in range(200)]
        self.assertEqual(self.addresses(", ".join(f"{name} <{address}>" for name, address in many)), many)

    def test_plain_addresses_stay_as_they_are(self):
        self.assertEqual(self.added("Cc", ["a@b ,  (c) d@e"]), ["Cc: a@b ,  (c) d@e\n"])

    def test_parameters(self):
        field, = self.added("Content-Disposition", ["attachment; filename=\"gr\xfcn.txt\""])
        self.assertEqual(email.message_from_string(field + "\n", policy=email.policy.default).get_filename(), "gr\xfcn.txt")


class Model(Edited):
    """Random edits against a few lines of Python that do the same to a list."""

    NAMES = ["A", "b", "X-C", "Subject"]

    def edit(self, fields, verb, name, value):
        made = (name, f"{name}: {value}\n")
        same = [n for n, field in enumerate(fields) if field[0].lower() == name.lower()]
        if verb == "add" or (verb == "replace" and not same):
            return [made] + fields
        kept = same[:1] if verb == "replace" else []
        return [made if n in kept else field for n, field in enumerate(fields) if n in kept or n not in same]

    def expected(self, fields, edits):
        for edit in edits:
            fields = self.edit(fields, *edit)
        return "".join(text for _, text in fields)

    def test_random(self):
        rng = random.Random(2)
        for number in range(150):
            fields = [(name, f"{name}: {n}{rng.choice(['', chr(10) + ' more', '  '])}\n") for n in range(rng.randrange(6))
                      for name in [rng.choice(self.NAMES)]]
            edits = [(rng.choice(["add", "remove", "replace"]), rng.choice(self.NAMES).swapcase(), str(100 + n))
                     for n in range(rng.randrange(6))]
            octets = "".join(text for _, text in fields) + "\nbody\n"
            scripts = [f"{verb} {name} {value}" if verb != "remove" else f"remove {name}" for verb, name, value in edits]
            with self.subTest(number, fields=fields, edits=edits):
                stored = self.edited(*(scripts or [""]), "headers A", octets=octets.encode(), in_file=rng.choice([0, 16]))
                expected = self.expected(fields, edits)
                self.assertEqual(stored.decode(), expected + "\nbody\n")
                seen = email.message_from_string(expected + "\n").get_all("A", [])
                self.assertEqual(self.logs[-1], "".join(f"[{' '.join(value.split())}]" for value in seen))


class Replaced(Edited):
    def test_text(self):
        new = "Subject: new\\nX-Same: 9\\n\\nother\\n"
        self.assertEqual(self.edited(f"replace-text {new}"), b"Subject: new\nX-Same: 9\n\nother\n")
        self.assertEqual((self.verdict["front"], self.verdict["skip"]), (b"", 0))

    def test_crlf_is_lf(self):
        self.assertEqual(self.edited("replace-text A: b\\r\\n\\r\\nx\\ry\\r\\n\\nz"), b"A: b\n\nx\ry\n\nz")

    def test_crlf_of_a_binary_message_stays(self):
        self.assertEqual(self.edited("replace-text A: b\\r\\n\\r\\nx\\r\\n", body="BINARYMIME"), b"A: b\r\n\r\nx\r\n")

    def test_nothing_at_all(self):
        self.assertEqual(self.edited("replace-text "), b"")
        self.assertTrue(self.verdict["replaced"])

    def test_former_edits_are_void_and_later_ones_are_not(self):
        self.assertEqual(self.edited("add X-A 1\nremove X-Same\nreplace-text A: b\\n\\nx\\n\nadd X-B 2", "remove A"),
                         b"X-B: 2\n\nx\n")

    def test_the_next_handler_sees_it(self):
        self.edited("replace-text Subject: new\\n\\nlonger text\\n", "header Subject\nparts\nraw", in_file=0,
                    octets=b"A: b\n\n")
        self.assertEqual(self.logs[1:], ["Subject: new", "part text/plain - 0 12", "raw 0 0 A: b\n\n"])

    def test_twice(self):
        self.assertEqual(self.edited("replace-text A: 1\\n\\nlong long long\\n", "replace-text B: 2\\n\\nx\\n\nadd C 3"),
                         b"C: 3\nB: 2\n\nx\n")

    def test_a_message_as_it_was(self):
        octets = b"Subject: old\nContent-Type: text/plain\nX: y\n\nbody\n"
        self.assertEqual(self.edited("replace-message", octets=octets), octets)

    def test_a_message_that_was_changed(self):
        octets = b"Subject: old\nX: y\n\nbody\n"
        self.assertEqual(self.edited("subject new\nreplace-message", octets=octets), b"Subject: new\nX: y\n\nbody\n")

    def test_a_message_again_and_again(self):
        octets = b"Subject: old\nX: y\n\n" + b"body\n" * 50_000
        self.assertEqual(self.edited("subject a\nreplace-message\nsubject b\nreplace-message\nadd A 1",
                                     "subject c\nreplace-message", "replace-message\nadd B 2\nremove X", octets=octets),
                         b"B: 2\nA: 1\nSubject: c\n\n" + b"body\n" * 50_000)

    def test_by_what_came(self):
        self.assertEqual(self.edited("replace-raw", in_file=0), MESSAGE)

    def test_the_next_message_is_not_replaced(self):
        host = self.host(handler("replace-text A: b\\n\\n"), handler())
        self.assertTrue(self.judge(host)["replaced"])
        verdict = self.judge(host, turns=[{"handler": 1, "recipients": []}])
        self.assertEqual((verdict["replaced"], verdict["replaced_size"]), (False, 0))
        self.assertEqual(self.stored(host, self.judge(host), b""), b"A: b\n\n")

    def test_what_is_no_message(self):
        for text in ("hello\\n", "\\n\\n", "x"):
            with self.subTest(text):
                self.assertEqual(self.edited(f"replace-text {text}", "parts\nadd A b"),
                                 b"A: b\n" + text.replace("\\n", "\n").encode())


if __name__ == "__main__":
    main()
