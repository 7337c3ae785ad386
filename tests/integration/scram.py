"""SCRAM-SHA-256 (RFC 5802, RFC 7677) on a client's side, each message in the open, so that any may be spoilt."""
import base64
import hashlib
import hmac
import secrets


def b64(octets):
    return base64.b64encode(octets).decode()


class Scram:
    def __init__(self, user, password, gs2="n,,", nonce=None):
        self.user, self.password, self.gs2 = user, password, gs2
        self.nonce = nonce or secrets.token_urlsafe(18)
        self.binding = gs2.encode()

    def first(self):
        self.first_bare = f"n={self.user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        return (self.gs2 + self.first_bare).encode()

    def final(self, server_first, nonce=None, binding=None):
        """`server_first`: as it came, decoded."""
        said = dict(part.split("=", 1) for part in server_first.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c={b64(self.binding if binding is None else binding)},r={nonce or said['r']}"
        signed = ",".join((self.first_bare, server_first.decode(), without_proof)).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.verifier = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256"))
        return f"{without_proof},p={b64(proof)}".encode()
