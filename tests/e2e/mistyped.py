"""A mistyped command or option is named, and what was meant; both programs say what they are and can.

Usage: mistyped.py LONGHAUL LONGHAUL-STREAMER.
"""
import json
import subprocess
import sys


def said(program, *words):
    done = subprocess.run([program, *words], text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "", (words, done.returncode, done.stdout)
    return done.stderr


def about(program, name):
    """version, --version and help, as text and as JSON."""
    def out(*words):
        return subprocess.run([program, *words], text=True, capture_output=True, timeout=60, check=True).stdout
    version = json.loads(out("version", "--json"))
    assert version["program"] == name and version["version"][0].isdigit(), version
    assert out("version") == out("--version") == f"{name} {version['version']}\n"
    assert out("help") == out("--help") and out("help", "version") == out("version", "--help")
    text = said(program, "help", "versoin")
    assert "there is no command 'versoin'" in text and "did you mean 'version'?" in text, text


def main(longhaul, streamer):
    about(longhaul, "longhaul")
    about(streamer, "longhaul-streamer")
    done = subprocess.run([streamer, "help", "peers", "revoke"], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and "PEER" in done.stdout and "let one in no more" in done.stdout, done
    text = said(longhaul, "psh", "src", "lab:corpus")
    assert text.splitlines()[:2] == ["longhaul: there is no command 'psh'", "  do:  did you mean 'push'?"], text
    assert "`longhaul --help`" in text, text
    text = said(longhaul, "-v", "push", "a", "lab:corpus", "--exlude", "x")
    assert "no option '--exlude'" in text and "did you mean '--exclude'?" in text, text
    text = said(longhaul, "frobnicate")
    assert "no command 'frobnicate'" in text and "did you mean" not in text, text
    assert "\x1b" not in said(longhaul, "\x1b[31mpush"), "escapes reach the terminal"
    text = said(streamer, "invte", "--root", "x")
    assert "longhaul-streamer: there is no command 'invte'" in text and "'invite'" in text, text
    text = said(streamer, "peers", "revke", "--root", "x", "ana")
    assert "no command 'revke'" in text and "'revoke'" in text, text
    assert "SRC" in said(longhaul, "push"), "what is missing is named"
    print("all held")


if __name__ == "__main__":
    main(*sys.argv[1:3])
