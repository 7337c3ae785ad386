#!/usr/bin/env python3
"""Every header field's text and every leaf part's octets in corpus/*.eml, as a host has them, against Python's email package.

Texts are compared with what email.header.decode_header makes of the unfolded field, its pieces put together without the
blanks that make_header adds, and without blanks at the ends. Python's newer policies decode each encoded-word for itself, and so
break a character that was cut between two. What cannot be decoded is compared with what host/text.h says: octets that are
no UTF-8 are Latin-1 letters or U+FFFD. Parts are those of email's parser with its compat32 policy, which keeps fields as
they were sent. Where the two are to differ, the expectation stands below with its reason.
"""
import codecs
import email
import email.header
import email.message
import email.policy
import functools
import hashlib
import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import tap

TOOLS = Path(os.environ.get("TEST_TOOLS", "."))  # tests/ in the build folder
LIST_PARTS = TOOLS / "handlers" / "list-parts"
MESSAGES = sorted((HERE / "corpus").glob("*.eml"))

# message: {field: (text, why it is not Python's)}
OTHER_TEXTS = {
    "word-malformed": {
        "X-No-Charset": ("=??q?abc?=", "RFC 2047 section 2: a charset has a name"),
    },
    "word-malformed-base64": {
        "X-Stars": ("=?utf-8?b?YQ**?=", "Python refuses the field; what is malformed is kept"),
        "X-Lone": ("=?utf-8?b?YWJjZ?=", "Python refuses the field; what is malformed is kept"),
        "X-Behind": ("=?utf-8?b?YQ==Yg==?=", "Python loses what is behind the padding"),
    },
    "word-unfinished": {
        "Subject": ("=?utf-8?q?a b", "Python has the unfinished word end where the next one does"),
    },
    "word-unknown-charset": {
        "Subject": ("=?x-none?q?a?= b =?x-none?b?YQ==?=", "Python decodes to octets that it cannot read, and fails"),
    },
}

# message: (leaf parts as (depth, type, name, octets), why they are not Python's)
OTHER_PARTS = {
    "embedded-base64": (
        [(0, "message/rfc822", None, b"Subject: inner\n\ntext\n")],
        "RFC 2046 section 5.2.1 forbids it; Python takes the encoded text for the body of the embedded message"),
    "embedded-empty": (
        [(1, "message/rfc822", None, b""), (1, "text/plain", None, b"x")],
        "Python gives a message of nothing a part of nothing"),
    "embedded-same-boundary": (
        [(3, "text/plain", None, b"a")],
        "RFC 2046 section 5.1.2 forbids it: Python has the outer multipart go on, GMime the inner one"),
    "encoding-base64-lone-digit": (
        [(0, "text/plain", None, b"hel")],
        "Python leaves everything encoded"),
    "encoding-qp-end": (
        [(0, "text/plain", None, b"a")],
        "RFC 2045 section 6.7 forbids it: GMime drops an octet that is not finished"),
    "encoding-qp-two-signs": (
        [(0, "text/plain", None, b"a==41\nb=X=41\n")],
        "RFC 2045 section 6.7 forbids it: GMime leaves three octets from a wrong sign as they are, Python one"),
    "multipart-no-end": (
        [(1, "text/plain", None, b"a"), (1, "text/plain", None, b"unfinished\n")],
        "RFC 2046 section 5.1.1: only a line end in front of a boundary belongs to the boundary"),
    "name-comments": (
        [(0, "application/pdf", "a.pdf", b"x\n")],
        "RFC 2045 section 5.1: comments are no part of the value"),
    "name-rfc2231-and-plain": (
        [(0, "application/pdf", "\u20ac rates.pdf", b"x\n")],
        "RFC 6266 section 4.3 for the same field: the extended form goes first"),
    "partial": (
        [(0, "message/partial", None, b"second fragment\n")],
        "RFC 2046 section 5.2.2: a fragment is no message, which Python takes it for"),
    "type-empty": (
        [(0, "application/octet-stream", None, b"x\n")],
        "GMime is careful; RFC 2045 section 5.2 only recommends text/plain"),
    "type-no-subtype": (
        [(0, "application/octet-stream", None, b"x\n")],
        "GMime is careful; RFC 2045 section 5.2 only recommends text/plain"),
    "type-rubbish": (
        [(0, "application/octet-stream", None, b"x\n")],
        "GMime is careful; RFC 2045 section 5.2 only recommends text/plain"),
    "type-twice": (
        [(0, "image/png", "a", b"x\n")],
        "RFC 2045 allows one: GMime knows the last type, Python the first; the name is the first one's for both"),
}


def latin_1_or_replacement(error):
    octets = error.object[error.start:error.end]
    return "".join(chr(octet) if octet >= 0xA0 else "\ufffd" for octet in octets), error.end


codecs.register_error("latin-1-or-replacement", latin_1_or_replacement)


def to_text(octets, charset):
    charset = (charset or "utf-8").partition("*")[0]  # RFC 2231: utf-8*de
    if charset in ("utf-8", "us-ascii"):
        text = octets.decode("utf-8", "latin-1-or-replacement")
    else:
        text = octets.decode(charset, "replace")
    return text.replace("\0", "\ufffd")


def decode_words(text):
    """`text` has a character for each octet."""
    pieces = email.header.decode_header(text)
    return "".join(to_text(piece.encode("latin-1") if isinstance(piece, str) else piece, charset)
                   for piece, charset in pieces)


def header_text(raw):
    return decode_words(raw.replace(b"\r", b"").replace(b"\n", b"").decode("latin-1").strip(" \t"))


def raw_fields(message):
    """[(name, octets)]: those of the message before those of its content, as list-parts has them."""
    fields = [(name, value.encode("ascii", "surrogateescape")) for name, value in message.raw_items()]
    return sorted(fields, key=lambda field: field[0].lower().startswith("content-"))


def is_leaf(message):
    """Also delivery reports (RFC 3464) and fragments (RFC 2046), which Python takes for embedded messages."""
    if message.get_content_maintype() == "message":
        return message.get_content_type() not in ("message/rfc822", "message/global")
    return not message.is_multipart()


def levels(message, depth=0):
    """(depth, level) for each, from the top down."""
    yield depth, message
    if not is_leaf(message):
        for part in message.get_payload():
            yield from levels(part, depth + 1)


def octets_of(leaf):
    if leaf.is_multipart():
        text = leaf.as_bytes(policy=email.policy.compat32.clone(linesep="\n", mangle_from_=False, max_line_length=None))
        return text.partition(b"\n\n")[2]
    return leaf.get_payload(decode=True)


def name_in(fields, field, parameter):
    """Of raw fields: Python itself would take octets above ASCII for errors."""
    values = [value for name, value in fields if name.lower() == field]
    if not values:
        return None
    message = email.message.Message()
    message["Content-Disposition"] = values[0].replace(b"\r", b"").replace(b"\n", b"").decode("latin-1")
    value = message.get_param(parameter, None, "content-disposition")
    if isinstance(value, tuple):
        charset, _, octets = value
        return to_text(octets.encode("latin-1"), (charset or "utf-8").lower()) or None
    return decode_words(value) or None if value is not None else None


def name_of(leaf):
    fields = raw_fields(leaf)
    return name_in(fields, "content-disposition", "filename") or name_in(fields, "content-type", "name")


def python_texts(message):
    for _, level in levels(message):
        for name, raw in raw_fields(level):
            try:
                yield name, header_text(raw)
            except (LookupError, email.errors.HeaderParseError) as error:
                yield name, error


def python_parts(message):
    return [(depth, leaf.get_content_type(), name_of(leaf), octets_of(leaf))
            for depth, leaf in levels(message) if is_leaf(leaf)]


def parse_listing(lines):
    texts, parts = [], []
    for line in lines:
        kind, *words = line.split(" ")
        words = [bytes.fromhex(word[1:]).decode("utf-8") if word.startswith("x") else word for word in words]
        if kind == "field":
            texts.append(tuple(words))
        else:
            depth, content_type, name, size, digest = words
            parts.append((int(depth), content_type, None if name == "-" else name, int(size), digest))
    return texts, parts


@functools.cache
def listings():
    """{path: (texts, parts)} of the whole corpus, which one program lists."""
    output = subprocess.run([LIST_PARTS, *MESSAGES], check=True, capture_output=True, text=True).stdout
    files = output.split("file ")[1:]
    return {Path(lines[0]): parse_listing(lines[1:]) for lines in (text.splitlines() for text in files)}


class Corpus(unittest.TestCase):
    maxDiff = None

    def check(self, path):
        message = email.message_from_bytes(path.read_bytes())
        texts, parts = listings()[path]
        others = OTHER_TEXTS.get(path.stem, {})
        want = [(name, others[name][0] if name in others else text) for name, text in python_texts(message)]
        self.assertEqual(texts, want)
        want = OTHER_PARTS[path.stem][0] if path.stem in OTHER_PARTS else python_parts(message)
        self.assertEqual(parts, [(depth, content_type, name, len(octets), hashlib.sha256(octets).hexdigest())
                                 for depth, content_type, name, octets in want])

    def test_there_are_enough_messages(self):
        self.assertGreaterEqual(len(MESSAGES), 60)

    def test_each_difference_is_one(self):
        for path in MESSAGES:
            message = email.message_from_bytes(path.read_bytes())
            texts = list(python_texts(message))
            for name, (text, _) in OTHER_TEXTS.get(path.stem, {}).items():
                self.assertNotIn((name, text), texts, path.stem)
            if path.stem in OTHER_PARTS:
                self.assertNotEqual(OTHER_PARTS[path.stem][0], python_parts(message), path.stem)
        self.assertLessEqual({*OTHER_TEXTS, *OTHER_PARTS}, {path.stem for path in MESSAGES})


for message_path in MESSAGES:
    setattr(Corpus, "test_" + message_path.stem.replace("-", "_"),
            functools.partialmethod(Corpus.check, message_path))


if __name__ == "__main__":
    tap.run(f"TEST_TOOLS={TOOLS}")
