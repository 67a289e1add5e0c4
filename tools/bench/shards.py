"""Token shards for benches: llm.c's layout, ids of a random byte in two, so that half of what is read
crosses a link."""
import struct

SHARD_TOKENS = 50_000_000


def make_shards(folder, size):
    """About `size` bytes in shards of 100 MB, the last one shorter."""
    folder.mkdir()
    left, number = round(size / 2), 0
    with open("/dev/urandom", "rb") as source:
        while left > 0:
            tokens = min(left, SHARD_TOKENS)
            packed = bytearray(2 * tokens)
            packed[0::2] = source.read(tokens)
            header = struct.pack("<3i", 20240520, 1, tokens).ljust(1024, b"\0")
            (folder / f"shard_{number:06}.bin").write_bytes(header + packed)
            left, number = left - tokens, number + 1
