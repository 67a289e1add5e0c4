"""A peer made of Python's TLS and docs/wire.md alone: it says what our own programs would never say."""
import os
import re
import socket
import ssl
import subprocess

HELLO, ACCEPT, REFUSE, DATA, CONTROL, ACK, PING, PONG, GOODBYE, JOIN, JOINED, EPOCH = range(1, 13)
FORBIDDEN = 2


def varint(number):
    out = bytearray()
    while True:
        out.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(out)


def frame(kind, body=b""):
    return bytes([kind]) + len(body).to_bytes(2, "little") + body


def hello(least=1, most=1, capabilities=0, required=0, intent=0, session=bytes(16), proof=bytes(32)):
    return frame(HELLO, varint(least) + varint(most) + varint(capabilities) + varint(required)
                 + bytes([intent, 0]) + session + proof + varint(0) + varint(1 << 20) + varint(0))


def join(proof=None, name=b"raw", version=1):
    proof = os.urandom(32) if proof is None else proof
    return frame(JOIN, varint(version) + proof + varint(len(name)) + name)


def make_key(folder, name, algorithm="ed25519", expired=False):
    """A key and its self-signed certificate."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    kind = ["-algorithm", "ed25519"] if algorithm == "ed25519" else \
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "genpkey", *kind, "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-days", "30",
                    "-out", certificate], check=True, capture_output=True)
    if expired:  # both dates lie in 2001; TLS proves the key, nobody looks at this signature
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        der = re.sub(rb"(\x17\x0d)\d\d(\d{10}Z)", rb"\g<1>01\g<2>", der)
        certificate.write_text(ssl.DER_cert_to_PEM_cert(der))
    return certificate, key


class Frames:
    """Frames of a TLS connection that stands; left: what was read of it already."""

    def __init__(self, tls, left=b""):
        self.tls, self.left = tls, left
        self.said = 0  # control messages

    def control(self, message):
        """Says it to the transfers at the other end."""
        self.say(frame(CONTROL, varint(self.said) + b"\0" + varint(len(message)) + message))
        self.said += 1

    def say(self, *frames):
        self.tls.sendall(b"".join(frames))

    def hear(self):
        """The next frame, (type, body); None at the end, however it came."""
        while True:
            if len(self.left) >= 3:
                size = 3 + int.from_bytes(self.left[1:3], "little")
                if len(self.left) >= size:
                    whole, self.left = self.left[:size], self.left[size:]
                    return whole[0], whole[3:]
            try:
                more = self.tls.recv(1 << 16)
            except (ssl.SSLError, ConnectionError):
                more = b""
            if not more:
                return None
            self.left += more

    def hear_all(self):
        heard = []
        while (one := self.hear()) is not None:
            heard.append(one)
        return heard

    def close(self):
        self.tls.close()


class RawPeer(Frames):
    """One connection. keys: (certificate, key) files, or None to show none."""

    def __init__(self, address, keys, source=None, version=ssl.TLSVersion.TLSv1_3, timeout=20):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if keys:
            context.load_cert_chain(*keys)
        host, port = address.rsplit(":", 1)
        plain = socket.create_connection((host, int(port)), timeout, source_address=source and (source, 0))
        super().__init__(context.wrap_socket(plain))
