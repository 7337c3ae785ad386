"""TLS octet by octet, for what no good client does: nothing is sent but by the test, cut wherever it likes; ClientHellos of any
content; and records that say what they should not, well sealed.
"""
import ctypes
import hashlib
import hmac
import random
import ssl
import struct
import tempfile

import _ssl

from harness import HOSTNAME

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23  # types of records (RFC 8446 5.1)
CLOSE_NOTIFY, NO_RENEGOTIATION = 0, 100


def trusting(version=None):
    """A client's context that takes any certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class HandTls:
    """TLS of a client, in the place of a Wire's socket; it also shows what it would send, to be sent by hand."""

    def __init__(self, raw, context=None, server_name=HOSTNAME):
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trusting()).wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)

    # -- what it would send

    def shake(self):
        """A step of the handshake: (whether that was the last, what is to be sent now)."""
        try:
            self.tls.do_handshake()
            return True, self.outgoing.read()
        except ssl.SSLWantReadError:
            return False, self.outgoing.read()

    def seal(self, octets):
        self.tls.write(octets)
        return self.outgoing.read()

    def close_notify(self):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def take(self):
        """What has come is TLS's to read. False: the other end sends nothing more."""
        octets = self.raw.recv(65536)
        self.incoming.write(octets) if octets else self.incoming.write_eof()
        return octets != b""

    # -- as a socket

    def handshake(self):
        done = False
        while not done:
            done, flight = self.shake()
            self.raw.sendall(flight)
            if not done:
                assert self.take(), "the server ended in the middle of the handshake"
        return self

    def sendall(self, octets):
        self.raw.sendall(self.seal(octets))

    def recv(self, size):
        """b"" only after a close_notify: without one, this raises."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                self.raw.sendall(self.outgoing.read())
                self.take()

    def setsockopt(self, *arguments):
        self.raw.setsockopt(*arguments)

    def shutdown(self, how):
        self.raw.shutdown(how)

    def close(self):
        self.raw.close()


def by_hand(wire, context=None, server_name=HOSTNAME):
    """A handshake, and from here on the wire is in TLS."""
    assert not wire.buffer, f"the server said something in front of TLS: {wire.buffer!r}"
    wire.socket = HandTls(wire.socket, context, server_name).handshake()
    return wire


# ---- records and ClientHellos ---------------------------------------------------------------------------------------------

def record(kind, octets, version=0x0301):
    return struct.pack(">BHH", kind, version, len(octets)) + octets


def vector(octets, size):
    """With its length in front, in so many octets."""
    return len(octets).to_bytes(size, "big") + octets


def handshake_message(kind, body):
    return bytes([kind]) + vector(body, 3)


def extension(number, body):
    return struct.pack(">H", number) + vector(body, 2)


SUITES_1_3 = struct.pack(">3H", 0x1301, 0x1302, 0x1303)
SUITE_UNKNOWN = struct.pack(">H", 0x000a)  # with 3DES, which nobody offers here
GROUPS = {"x25519": 0x001d, "secp256r1": 0x0017, "secp521r1": 0x0019}


def client_hello(server_name=HOSTNAME.encode(), suites=SUITES_1_3, share="x25519", versions=(0x0304,), groups=("x25519", "secp256r1"),
                 extra=b"", dice=random):
    """The message, of TLS 1.3 unless told otherwise; its octets are no other client's. `share`: None, for none."""
    extensions = b""
    if server_name is not None:
        extensions += extension(0, vector(b"\0" + vector(server_name, 2), 2))
    extensions += extension(10, vector(b"".join(struct.pack(">H", GROUPS[g]) for g in groups), 2))
    extensions += extension(13, vector(struct.pack(">4H", 0x0403, 0x0804, 0x0805, 0x0401), 2))
    if versions:
        extensions += extension(43, vector(b"".join(struct.pack(">H", v) for v in versions), 1))
        shares = struct.pack(">H", GROUPS[share]) + vector(dice.randbytes(32), 2) if share else b""
        extensions += extension(51, vector(shares, 2))
    extensions += extra
    return handshake_message(1, struct.pack(">H", 0x0303) + dice.randbytes(32) + vector(dice.randbytes(32), 1) + vector(suites, 2)
                             + vector(b"\0", 1) + vector(extensions, 2))


# ---- sealed by ourselves ---------------------------------------------------------------------------------------------------

NULL_CIPHER = "NULL-SHA256:@SECLEVEL=0"  # of TLS 1.2, with an RSA key: nothing is secret in it, but all is signed


class SignedRecords:
    """A connection in TLS 1.2 with the cipher of NULL_CIPHER, on which any record can be sent."""

    def __init__(self, raw):
        self.raw, self.sequence = raw, 0
        context = trusting(ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(NULL_CIPHER)
        with tempfile.NamedTemporaryFile("r") as log:
            context.keylog_filename = log.name
            tls = HandTls(raw, context)
            _, hello = tls.shake()
            raw.sendall(hello)
            client_random, said = hello[11:43], b""
            done = False
            while not done:
                octets = raw.recv(65536)
                assert octets, "the server ended in the middle of the handshake"
                said += octets
                tls.incoming.write(octets)
                done, flight = tls.shake()
                raw.sendall(flight)
            server_random = said[11:43]
            _, of, master = log.read().split()[-3:]
        assert bytes.fromhex(of) == client_random
        self.key = self.expand(bytes.fromhex(master), b"key expansion" + server_random + client_random)[:32]
        self.sequence = 1  # Finished was 0
        self.received = tls

    @staticmethod
    def expand(secret, seed):
        """P_SHA256 of RFC 5246 5, as much as is wanted here."""
        a = hmac.digest(secret, seed, "sha256")
        return hmac.digest(secret, a + seed, "sha256")

    def seal(self, kind, octets):
        signed = struct.pack(">QBHH", self.sequence, kind, 0x0303, len(octets)) + octets
        self.sequence += 1
        return record(kind, octets + hmac.new(self.key, signed, hashlib.sha256).digest(), 0x0303)


class KeyUpdates:
    """A connection in TLS 1.3, by the library that Python has, on which the keys can be changed again and again."""

    def __init__(self, raw):
        self.raw = raw
        lib = self.lib = ctypes.CDLL(_ssl.__file__)
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_s_mem", "BIO_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        self.ssl = ctypes.c_void_p(lib.SSL_new(self.context))
        self.incoming, self.outgoing = (ctypes.c_void_p(lib.BIO_new(ctypes.c_void_p(lib.BIO_s_mem()))) for _ in range(2))
        lib.SSL_set_bio(self.ssl, self.incoming, self.outgoing)
        lib.SSL_set_connect_state(self.ssl)
        while lib.SSL_do_handshake(self.ssl) != 1:
            self.flush()
            self.take()
        self.flush()

    def sealed(self):
        buffer, octets = ctypes.create_string_buffer(65536), b""
        while (count := self.lib.BIO_read(self.outgoing, buffer, len(buffer))) > 0:
            octets += buffer.raw[:count]
        return octets

    def flush(self):
        self.raw.sendall(self.sealed())

    def take(self):
        octets = self.raw.recv(65536)
        assert octets, "the server ended the connection"
        self.lib.BIO_write(self.incoming, octets, len(octets))

    def updates(self, count, ask):
        """So many changes of our keys, of which each asks for a change of the server's if `ask`."""
        for _ in range(count):
            assert self.lib.SSL_key_update(self.ssl, int(ask)) == 1
            assert self.lib.SSL_do_handshake(self.ssl) == 1
        return self.sealed()

    # -- as a socket

    def sendall(self, octets):
        assert self.lib.SSL_write(self.ssl, octets, len(octets)) == len(octets)
        self.flush()

    def recv(self, size):
        buffer = ctypes.create_string_buffer(size)
        while (count := self.lib.SSL_read(self.ssl, buffer, size)) <= 0:
            self.take()
        return buffer.raw[:count]

    def close(self):
        self.raw.close()
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.context)
