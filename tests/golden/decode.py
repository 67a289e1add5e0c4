#!/usr/bin/env python3
"""A slow decoder written from docs/wire.md alone: it reads the page's tables and decodes by them.

  decode.py docs/wire.md tests/golden/wire [SAMPLES_PROGRAM]

Agrees with the golden bytes, and with what SAMPLES_PROGRAM prints: random and damaged messages, a
line each: "NAME HEX JSON", or "NAME HEX refused". Tables of messages that only the tests know come
first, in the page's form. Exits 1 at the first disagreement.
"""
import json
import pathlib
import re
import subprocess
import sys


class Refused(Exception):
    pass


class Page:
    """The tables below the headings of wire.md: field lists by message, frame types and the places
    of transfer and feed messages by number."""

    def __init__(self):
        self.messages = {}
        self.frames = {}
        self.transfers = {}
        self.feeds = {}
        self.probes = {}
        self.acknowledgement = []

    def read(self, text):
        for section in re.split(r"^#{2,3} ", text, flags=re.M)[1:]:
            name = section.split("\n", 1)[0].strip()
            rows = [[cell.strip() for cell in line.strip("|").split("|")]
                    for line in section.splitlines() if line.startswith("|")]
            if name == "Frame types":
                self.frames = {int(number): body for number, body in rows[2:]}
            elif name == "Transfer messages":
                self.transfers = {int(number): message for number, message in rows[2:]}
            elif name == "Feed messages":
                self.feeds = {int(number): message for number, message in rows[2:]}
            elif name == "Probe messages":
                self.probes = {int(number): message for number, message in rows[2:]}
            elif name == "Datagrams":
                first = next(at for at, row in enumerate(rows) if row[0] == "of an ack")
                self.acknowledgement = [row[:2] for row in rows[first + 2:]]
            elif rows:
                self.messages[name] = [(row[0].strip("`"), row[1]) for row in rows[2:]]


class Decoder:
    def __init__(self, page, data):
        self.page, self.data, self.at = page, data, 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Refused("cut short")
        self.at += size
        return self.data[self.at - size:self.at]

    def varint(self, bits=64):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 63:
                raise Refused("a varint of more than ten bytes")
        if byte == 0 and shift > 7:
            raise Refused("not the shortest varint")
        if value >= 1 << bits:
            raise Refused("out of range")
        return value

    def count(self, most):
        number = self.varint()
        if number > most:
            raise Refused("over its maximum")
        return number

    def one_of(self, allowed):
        byte = self.take(1)[0]
        if byte not in allowed:
            raise Refused("not in its list")
        return byte

    def bitmap(self, most):
        bits = self.count(most)
        packed = self.take((bits + 7) // 8)
        if bits % 8 and packed[-1] >> (bits % 8):
            raise Refused("padding is not zero")
        return "".join(str(packed[i // 8] >> (i % 8) & 1) for i in range(bits))

    def mapping(self, most, key_type, value_type):
        pairs, before = [], None
        for _ in range(self.count(most)):
            start = self.at
            key = self.value(key_type)
            # Ascending as values: numbers as numbers, bytes as bytes.
            order = key if isinstance(key, int) else bytes.fromhex(key)
            if before is not None and not before < order:
                raise Refused(f"keys out of order at {start}")
            before = order
            pairs.append([key, self.value(value_type)])
        return pairs

    def value(self, kind):
        if match := re.fullmatch(r"varint u(\d+)", kind):
            return self.varint(int(match[1]))
        if kind == "zigzag i64":
            raw = self.varint()
            return raw >> 1 if raw % 2 == 0 else -(raw >> 1) - 1
        if kind == "u8":
            return self.take(1)[0]
        if match := re.fullmatch(r"fixed ([ui])(\d+)", kind):
            return int.from_bytes(self.take(int(match[2]) // 8), "little", signed=match[1] == "i")
        if match := re.fullmatch(r"f(32|64)", kind):
            return self.take(int(match[1]) // 8).hex()
        if kind == "bool":
            return self.one_of({0, 1}) == 1
        if kind.startswith("enum "):
            return self.one_of({int(word.split("=")[0]) for word in kind.split()[1:]})
        if match := re.fullmatch(r"(\d+) bytes", kind):
            return self.take(int(match[1])).hex()
        if match := re.fullmatch(r"(?:text|blob), at most (\d+) bytes", kind):
            return self.take(self.count(int(match[1]))).hex()
        if match := re.fullmatch(r"bitmap, at most (\d+) bits", kind):
            return self.bitmap(int(match[1]))
        if kind.startswith("optional "):
            return self.value(kind.removeprefix("optional ")) if self.value("bool") else None
        if match := re.fullmatch(r"list, at most (\d+), of (.*)", kind):
            return [self.value(match[2]) for _ in range(self.count(int(match[1])))]
        if match := re.fullmatch(r"map, at most (\d+), of (.*?) to (.*)", kind):
            return self.mapping(int(match[1]), match[2], match[3])
        if kind.startswith("one of "):
            kinds = re.split(r" \d+=", kind.removeprefix("one of"))[1:]
            place = self.one_of(set(range(len(kinds))))
            return [place, self.value(kinds[place])]
        return {name: self.value(inner) for name, inner in self.page.messages[kind]}

    def message(self, name):
        value = self.value(name)
        if self.at != len(self.data):
            raise Refused("bytes left over")
        return value


def decode_frame(page, data, name):
    length = int.from_bytes(data[1:3], "little")
    if page.frames[data[0]] != name or length != len(data) - 3 or len(data) > 16384:
        raise Refused("not such a frame")
    return Decoder(page, data[3:]).message(name)


ACKNOWLEDGEMENT = [
    ["`largest`", "varint, below 2^62"], ["`held_us`", "varint, at most 2^52"],
    ["`received_us`", "varint, at most 2^52"], ["`dropped`", "varint, below 2^62"],
    ["`more_ranges`", "u8, at most 15"], ["`first`", "varint"],
    ["`gap`, `run`", "varint, varint; per further range"], ["`times`", "u8, at most 24"],
    ["`earlier_us`", "zigzag; each"]]


def decode_ack(page, data):
    """Its table has a form of its own; this was written for the rows above, and reads no others."""
    if page.acknowledgement != ACKNOWLEDGEMENT:
        sys.exit(f"the page has another ack now: {page.acknowledgement}")
    decoder = Decoder(page, data)
    if decoder.take(1)[0] != 2:
        raise Refused("not an ack")
    value = {"largest": decoder.varint(62), "held_us": decoder.count(1 << 52),
             "received_us": decoder.count(1 << 52), "dropped": decoder.varint(62)}
    more = decoder.one_of(set(range(16)))
    last = value["largest"]
    ranges = [[last - decoder.varint(), last]]
    for _ in range(more):
        last = ranges[-1][0] - (decoder.varint() + 1) - 1
        ranges.append([last - (decoder.varint()), last])
    if ranges[-1][0] < 0:
        raise Refused("below the first number")
    times = [decoder.value("zigzag i64") for _ in range(decoder.one_of(set(range(25))))]
    if decoder.at != len(data):
        raise Refused("bytes left over")
    return dict(value, ranges=ranges, earlier_us=times)


def decode_placed(page, places, data, name):
    if places[data[0]] != name:
        raise Refused("not such a message")
    return Decoder(page, data[1:]).message(name)


def compare(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: the page says {got}, the library {expected}")


def check_golden(page, folder):
    files = sorted(folder.glob("*.hex"))
    for file in files:
        data = bytes.fromhex(file.read_text())
        words = file.stem.split("-")
        if words[0] == "frame":
            got = decode_frame(page, data, words[1])
        elif words[0] == "transfer":
            got = decode_placed(page, page.transfers, data, words[1])
        elif words[0] == "feed":
            got = decode_placed(page, page.feeds, data, words[1])
        elif words[0] == "probe":
            got = decode_placed(page, page.probes, data, words[1])
        elif words[:2] == ["datagram", "ack"]:
            got = decode_ack(page, data)
        else:
            got = Decoder(page, data).message(words[0])
        compare(file.name, got, json.loads(file.with_suffix(".json").read_text()))
    return len(files)


def check_samples(page, program):
    text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    tables, lines = text.split("\n----\n")
    page.read(tables)
    agreed = {True: 0, False: 0}
    for line in lines.splitlines():
        name, digits, expected = line.split(" ", 2)
        expected = None if expected == "refused" else json.loads(expected)
        try:
            got = Decoder(page, bytes.fromhex(digits.strip("-"))).message(name)
        except Refused:
            got = None
        compare(f"{name} {digits}", got, expected)
        agreed[got is not None] += 1
    if min(agreed.values()) < 1000:
        sys.exit(f"too few samples to mean anything: {agreed}")
    return agreed


def main():
    page = Page()
    page.read(pathlib.Path(sys.argv[1]).read_text())
    golden = check_golden(page, pathlib.Path(sys.argv[2]))
    if golden == 0:
        sys.exit("no golden bytes found")
    print(f"{golden} golden messages agree")
    if len(sys.argv) > 3:
        agreed = check_samples(page, sys.argv[3])
        print(f"{agreed[True]} samples read alike, {agreed[False]} refused alike")


if __name__ == "__main__":
    main()
