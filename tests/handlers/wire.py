"""The wire between a worker and its hosts, as src/handlers/wire.c has it: one description of each frame for both
directions. Numbers are the machine's own.

    octets = wire.encode("ready", {"problem": None})
    name, fields, taken = wire.decode(octets)      # taken: 0, and nothing else, when more must come first
"""
import struct

HEAD = struct.Struct("=II")
FRAME_MAX = 16 << 20
NO_TEXT = 0xFFFFFFFF
DELIVER, REJECT, DEFER, DISCARD = range(4)
LOADING, WAITING, PARSING, HANDLING, ENDING = range(5)
DEBUG, INFO, WARNING, ERROR = range(4)

NUMBERS = {"u32": "=I", "i32": "=i", "u64": "=Q", "i64": "=q"}
TEXTS = ["text"]  # a list of a type: its count, and so many
OPTION = {"name": "text", "value": "text"}
HANDLER = {"name": "text", "file": "text", "options": [OPTION]}
RECIPIENT = {"address": "text", "mailboxes": TEXTS, "notify": "text?", "original": "text?"}
TURN = {"handler": "u32", "recipients": ["u32"]}
FATE = {"decision": "u32", "handler": "i32", "code": "u32", "enhanced": "text", "text": "text", "folder": "text?",
        "flags": "text?", "redirects": TEXTS}
FRAMES = {
    "config": {"handlers": [HANDLER], "paths": TEXTS, "writable": TEXTS, "network": "flag", "memory": "u64", "stack": "u64",
               "file_size": "u64", "cpu_seconds": "u64"},
    "ready": {"problem": "text?"},
    "message": {"session": "text", "id": "text", "listener": "text", "protocol": "text", "client": "text", "helo": "text",
                "reverse_path": "text", "body": "text", "client_name": "text?", "tls_version": "text?",
                "tls_cipher": "text?", "tls_server_name": "text?", "tls_client": "text?", "user": "text?", "ret": "text?",
                "envelope_id": "text?", "utf8": "flag", "declared_size": "u64", "arrived_us": "i64",
                "recipients": [RECIPIENT], "turns": [TURN], "size": "u64", "in_frame": "flag", "octets": "octets",
                "offset": "u64"},
    "log": {"handler": "i32", "level": "u32", "text": "text"},
    "verdict": {"fates": [FATE], "front": "octets", "skip": "u64", "replaced": "flag", "replaced_size": "u64"},
    "obituary": {"stage": "u32", "handler": "i32", "signal": "i32", "status": "i32"},
}
NAMES = [None, *FRAMES]


def put(kind, value):
    if isinstance(kind, dict):
        assert set(kind) == set(value), set(kind) ^ set(value)
        return b"".join(put(of, value[name]) for name, of in kind.items())
    if isinstance(kind, list):
        return put("u32", len(value)) + b"".join(put(kind[0], element) for element in value)
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], value)
    if kind == "flag":
        return bytes([value])
    if kind == "octets":
        return put("u32", len(value)) + value
    if value is None:
        assert kind == "text?"
        return put("u32", NO_TEXT)
    octets = value.encode(errors="surrogateescape")
    return put("u32", len(octets)) + octets + b"\0"


def take(kind, octets, at):
    """The value, and where the next one begins."""
    if isinstance(kind, dict):
        value = {}
        for name, of in kind.items():
            value[name], at = take(of, octets, at)
        return value, at
    if isinstance(kind, list):
        count, at = take("u32", octets, at)
        value = []
        for _ in range(count):
            element, at = take(kind[0], octets, at)
            value.append(element)
        return value, at
    if kind in NUMBERS:
        number = struct.Struct(NUMBERS[kind])
        return number.unpack_from(octets, at)[0], at + number.size
    if kind == "flag":
        return bool(octets[at]), at + 1
    length, at = take("u32", octets, at)
    if kind == "text?" and length == NO_TEXT:
        return None, at
    value = octets[at:at + length]
    assert len(value) == length
    if kind == "octets":
        return value, at + length
    assert octets[at + length] == 0
    return value.decode(errors="surrogateescape"), at + length + 1


def encode(name, fields):
    octets = put(FRAMES[name], fields)
    return HEAD.pack(len(octets), NAMES.index(name)) + octets


def decode(octets):
    if len(octets) < HEAD.size:
        return None, None, 0
    length, number = HEAD.unpack_from(octets)
    assert length <= FRAME_MAX and 1 <= number < len(NAMES), (length, number)
    end = HEAD.size + length
    if len(octets) < end:
        return None, None, 0
    fields, at = take(FRAMES[NAMES[number]], octets[:end], HEAD.size)
    assert at == end, "a frame that is longer than its fields"
    return NAMES[number], fields, end
