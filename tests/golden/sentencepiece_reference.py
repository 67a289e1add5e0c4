#!/usr/bin/env python3
"""Makes tests/golden/sentencepiece: two small BPE models, and the ids that SentencePiece's own
programs give to texts with blanks at every place and bytes that are no UTF-8. Run with spm_train
and spm_encode in the PATH (Debian: sentencepiece; 0.1.97 made what is stored); the stored files are
what the tests read.

  tests/golden/sentencepiece_reference.py

NAME.model is the model; a line of NAME.ids is a text in hexadecimal, a colon, and its ids."""
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE / "sentencepiece"
MODELS = {"collapsing": "true", "keeping": "false"}  # several blanks in a row
TEXTS = (b"", b" ", b"    ", b"a", b" a", b"a ", b"  a  b  ", b"the trainer", b"the  trainer   ",
         b"  the trainer", b"the link \xe2\x96\x81 the link", b"the link\xe2\x96\x81",
         b"\xe2\x96\x81\xe2\x96\x81", b" \xe2\x96\x81 ", b"tab\tand\rreturn ",
         b"t\xc3\xa9l\xc3\xa9", b"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80", b"<x>", b"a <x> b",
         b"<x> ", b"the<x>link", b"\xff", b"\xff\xfe", b"a\xffb", b"\xc3", b"\xc3(",
         b"a \xe6\x97", b"\xe6\x97\xa5\xe6\x97", b"\xed\xa0\x80", b"\xf0\x9f\x98",
         b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80",
         b"\xef\xbf\xbd", b"\x80the ", b" \xff ", b"the \xff  link  ")


def train(name, collapse, folder):
    subprocess.run(["spm_train", "--input=corpus.txt", f"--model_prefix={name}", "--model_type=bpe",
                    "--vocab_size=420", "--normalization_rule_name=identity",
                    "--byte_fallback=true", f"--remove_extra_whitespaces={collapse}",
                    "--character_coverage=0.99", "--user_defined_symbols=<x>", "--num_threads=1"],
                   check=True, cwd=folder, capture_output=True)
    (OUT / f"{name}.model").write_bytes((Path(folder) / f"{name}.model").read_bytes())


def main():
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        text = (HERE.parents[1] / "README.md").read_text()
        (Path(folder) / "corpus.txt").write_text(text)
        for name, collapse in MODELS.items():
            train(name, collapse, folder)
            done = subprocess.run(["spm_encode", f"--model={OUT}/{name}.model",
                                   "--output_format=id"], input=b"\n".join(TEXTS) + b"\n",
                                  check=True, capture_output=True)
            ids = done.stdout.splitlines()
            assert len(ids) == len(TEXTS), (len(ids), len(TEXTS))
            lines = [f"{text.hex()}: {line.decode()}\n" for text, line in zip(TEXTS, ids)]
            (OUT / f"{name}.ids").write_text("".join(lines))


if __name__ == "__main__":
    main()
