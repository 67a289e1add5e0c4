"""Bulk and small messages in one TLS 1.3 stream, as a program with one connection has them: bench
control-latency's comparison. A message waits for no more than one block of bulk here, but for all
that the sockets hold.

  one_tls.py serve HOST PORT FOLDER              one caller; FOLDER has key.pem and cert.pem
  one_tls.py ask HOST PORT FOLDER SECONDS        questions every 50 ms, first alone, then beside
                                                 bulk; a JSON object

A frame: length (4 bytes, of what follows), kind, body. `b`: bulk. `q`: a question, 8 bytes; the
answer is that and how many bytes of bulk have come."""
import json
import select
import socket
import ssl
import struct
import sys
import time

PAUSE, IDLE, SETTLES, ANSWERED = 0.05, 3.0, 4.0, 10.0
BLOCK = struct.pack(">Ic", 1 + (64 << 10), b"b") + bytes(64 << 10)


class Frames:
    """Takes a stream apart; bulk is counted and not kept."""

    def __init__(self):
        self.buffer, self.skip, self.bulk = bytearray(), 0, 0

    def take(self, data):
        """The bodies of what is no bulk and has come whole."""
        self.buffer += data
        while True:
            had = min(self.skip, len(self.buffer))
            del self.buffer[:had]
            self.skip, self.bulk = self.skip - had, self.bulk + had
            if self.skip or len(self.buffer) < 5:
                return
            length, kind = struct.unpack(">Ic", self.buffer[:5])
            if kind == b"b":
                del self.buffer[:5]
                self.skip = length - 1
            elif len(self.buffer) >= 4 + length:
                body = bytes(self.buffer[5:4 + length])
                del self.buffer[:4 + length]
                yield body
            else:
                return


def frame(body):
    return struct.pack(">Ic", 1 + len(body), b"q") + body


def serve(host, port, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    with socket.create_server((host, int(port))) as listener:
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_side=True) as stream:
            frames = Frames()
            while data := stream.recv(1 << 18):
                for question in frames.take(data):
                    stream.sendall(frame(question + struct.pack(">Q", frames.bulk)))


class Asker:
    """One connection that is never waited on but in select(): what is due is written before the
    next block."""

    def __init__(self, host, port, folder):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.load_verify_locations(f"{folder}/cert.pem")
        plain = socket.create_connection((host, int(port)))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = context.wrap_socket(plain)
        self.stream.setblocking(False)
        self.frames, self.unsent, self.answers = Frames(), b"", []

    def write(self):
        """False: the socket takes no more now."""
        try:
            self.unsent = self.unsent[self.stream.send(self.unsent):]
            return True
        except ssl.SSLWantWriteError:
            return False

    def read(self):
        try:
            while True:
                for answer in self.frames.take(self.stream.recv(1 << 16)):
                    sent, bulk = struct.unpack(">dQ", answer)
                    self.answers.append({"sent": sent, "at": time.monotonic(), "bulk": bulk})
        except ssl.SSLWantReadError:
            pass

    def ask(self, until, bulk):
        """Questions until then, and bulk beside them or not; what is answered meanwhile."""
        self.answers, asked, due = [], 0, time.monotonic()
        while (now := time.monotonic()) < until or (len(self.answers) < asked and now < until + ANSWERED):
            if due <= now < until and not self.unsent:
                self.unsent, asked, due = frame(struct.pack(">d", now)), asked + 1, due + PAUSE
            elif bulk and now < until and not self.unsent:
                self.unsent = BLOCK
            if self.unsent and self.write():
                self.read()
                continue
            # What cannot leave yet waits for room, not for the clock.
            wait = max(0.0, min(due, until) - now) if now < until and not self.unsent else 0.1
            select.select([self.stream], [self.stream] if self.unsent else [], [], wait)
            self.read()
        return self.answers if len(self.answers) == asked else []


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def figures(idle, loaded):
    trips = [(one["at"] - one["sent"]) * 1e3 for one in loaded]
    base = min((one["at"] - one["sent"]) * 1e3 for one in idle)
    first, last = loaded[0], loaded[-1]
    return {"base_ms": round(base, 1),
            "idle_p50_ms": round(percentile([(one["at"] - one["sent"]) * 1e3 for one in idle], 0.5), 1),
            "over_base_p50_ms": round(percentile(trips, 0.5) - base, 1),
            "over_base_p99_ms": round(percentile(trips, 0.99) - base, 1),
            "over_base_most_ms": round(max(trips) - base, 1), "messages": len(trips),
            "bulk_mbit_s": round((last["bulk"] - first["bulk"]) * 8e-6 / (last["at"] - first["at"]))}


def ask(host, port, folder, seconds):
    asker = Asker(host, port, folder)
    asker.ask(time.monotonic() + 1, bulk=False)  # the handshake's tail
    idle = asker.ask(time.monotonic() + IDLE, bulk=False)
    began = time.monotonic()
    loaded = [one for one in asker.ask(began + float(seconds), bulk=True) if one["sent"] >= began + SETTLES]
    if not idle or not loaded:
        raise SystemExit("not every question was answered")
    print(json.dumps(figures(idle, loaded)))


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
