"""What is refused as it was given: a role that is too small, a source that is none, a setting that makes no
sense, a folder with somebody's work in it, a site that does not answer. Each says what, why and what to do.

Usage: refused.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import os
import resource
import shutil
import socket
import subprocess
import sys

from errors import Site, tells
from reach_world import Laptop, in_folder, make_tree


def unanswered(laptop, folder):
    """A port that takes connections and says nothing: a command that waits for it, to be looked at later."""
    mute = socket.create_server(("127.0.0.1", 0))
    home = folder / "mute-home"
    shutil.copytree(laptop.home, home)
    sites = next(home.rglob("sites.toml"))
    lines = [f'address = "127.0.0.1:{mute.getsockname()[1]}"' if line.startswith("address") else line
             for line in sites.read_text().splitlines()]
    sites.write_text("\n".join(lines) + "\n")
    return mute, Laptop(laptop.longhaul, home).start("ls", "lab")


def no_answer(mute, waits):
    try:
        out, err = waits.communicate(timeout=120)
        done = subprocess.CompletedProcess(waits.args, waits.returncode, out, err)
        tells(done, "reach lab", "no answer for 30 s", "`longhaul doctor lab` finds what is in the way")
        assert waits.returncode == 5, waits.returncode
    finally:
        mute.close()
        waits.kill()
        waits.wait(60)


def roles(laptop, site, source, folder):
    observer = Laptop(laptop.longhaul, folder / "observer")
    observer.run("join", "lab", stdin=site.invite("observer"))
    why, todo = "this node's role does not allow it", "with --role owner"
    for words, what in ((("push", source, "lab:theirs"), "take a push at lab"),
                        (("pull", "lab:corpus", folder / "stolen"), "give a dataset at lab"),
                        (("verify", "lab:corpus"), "answer that at lab"),
                        (("rm", "lab:corpus@v000001"), "answer that at lab")):
        tells(observer.run(*words, code=4), what, why, todo)
    assert laptop.run("ls", "lab").stdout.split()[0] == "corpus"


def sources(laptop, source, folder):
    os.mkfifo(folder / "pipe")
    tells(laptop.run("push", folder / "pipe", "lab:x", code=2), "push ", "it is neither a folder nor a file",
          "push a folder, or one file")
    done = laptop.run("push", source, "lab:x", "--exclude-from", folder / "no-rules", code=3)
    tells(done, "read ", "it cannot be opened", "check its path, and that this user may read it")
    names = folder / "names"
    for text in ("", "\n\n"):
        names.write_text(text)
        done = laptop.run("push", source, "lab:x", "--files-from", names, code=2)
        tells(done, f"read {names}", "it lists no file", "one name a line")
    names.write_text("../outside\n")
    done = laptop.run("push", source, "lab:x", "--files-from", names, code=2)
    tells(done, f"read {names}", "it leads elsewhere", "as it stands below the source")
    for words in (("--limit-rate", "0MB/s"), ("--limit-rate", "99999999999GB/s")):
        why = "a rate of zero never ends" if words[1].startswith("0") else "it is too large"
        tells(laptop.run("push", source, "lab:x", *words, code=2), f"read '{words[1]}'", why, "--help")


def orders(laptop):
    codes = {"more than 256 patterns": 1, "there is no such version; the newest is v000001": 3}
    write = "write `set lr=1e-3`, `set lr*=0.5`, pause, resume, checkpoint or stop"
    for words, what, why, todo in (
            (("ctl", "lab/run", "set"), "steer lab/run", "it says not what to set", write),
            (("ctl", "lab/run", "pause", "lr=1"), "steer lab/run", "only `set` takes a value", write),
            (("ctl", "lab/run", "set", "pause"), "steer lab/run", "that sets nothing",
             "write `set lr=1e-3` or `set lr*=0.5`"),
            (("ctl", "lab/run", "pause", "--expires", "40000d"), "steer lab/run",
             "a command waits at most 100 years", "give --expires a shorter time"),
            (("ctl", "lab", "pause"), "find the run lab", "it names no run",
             "write it like SITE/RUN; `longhaul runs SITE` lists them"),
            (("pull", "lab:corpus@newest", "x"), "pull lab:corpus@newest", "'newest' is no version",
             "versions look like v000001; `longhaul ls lab:corpus` lists them"),
            (("pull", "lab:corpus@v000009", "x"), "open corpus@v000009 at lab",
             "there is no such version; the newest is v000001", "longhaul ls"),
            (("verify", "lab:corpus@newest"), "use lab:corpus@newest", "'newest' is no version",
             "versions look like v000001"),
            (("verify", "lab"), "verify lab", "it names no dataset", "name one, like lab:NAME"),
            (("rm", "lab:corpus"), "remove lab:corpus", "it names no version",
             "name one, like lab:corpus@v000001"),
            (("push", "x", "lab"), "push to lab", "a push makes a new version of SITE:DATASET",
             "write it like lab:NAME"),
            (("push", ".", "lab:x", "--queue", "--watch"), "queue the push",
             "--dry-run, --watch, --trace and --telemetry belong to a push that runs at once", ""),
            (("push", ".", "lab:x", "--queue", *(f"--exclude={i}.tmp" for i in range(257))),
             "queue the push", "more than 256 patterns", ""),
            (("probe", "lab", "--budget", "ten"), "read the budget ten", "'ten' is neither", "--budget 20MB,10s"),
            (("probe", "lab", "--budget", "1kB"), "read the budget 1kB", "it may send from 500kB to 1GB",
             "20MB,10s"),
            (("probe", "lab", "--budget", "1s"), "read the budget 1s", "it may take from 3s to 60s",
             "20MB,10s")):
        tells(laptop.run(*words, code=codes.get(why, 2)), what, why, todo)
    tells(laptop.run("replay", "no-such-trace", code=3), "read the trace no-such-trace", "it cannot be opened", "")


def somebodys_work(laptop, folder):
    """A pull over a file that was changed here touches nothing."""
    back = folder / "back"
    laptop.run("pull", "lab:corpus", back)
    mine = back / "small-00.txt"
    mine.chmod(0o644)
    mine.write_text("mine")
    done = laptop.run("pull", "lab:corpus", back, code=1)
    tells(done, "replace small-00.txt", "it was changed here; nothing was touched", "move it away, or use --force")
    assert mine.read_text() == "mine"
    laptop.run("pull", "lab:corpus", back, "--force")
    assert mine.read_text() != "mine"


def damaged(laptop):
    sites = next(laptop.home.rglob("sites.toml"))
    text = sites.read_text()
    pin = next(line for line in text.splitlines() if line.startswith("pin"))
    sites.write_text(text.replace(pin, 'pin = "abc"'))
    done = laptop.run("ls", "lab", code=1)
    tells(done, "read sites.toml", "the pin of 'lab' is not 64 hex digits",
          "mend that line, or remove the site's part and join it again")
    sites.write_text(text)
    bare = {"PATH": os.environ["PATH"]}
    done = subprocess.run([laptop.longhaul, "init"], env=bare, text=True, capture_output=True, timeout=60)
    tells(done, "find this user's folders", "HOME is not set",
          "set HOME, or LONGHAUL_HOME to a folder of your choice")


def streamers(streamer, site, folder):
    """Texts of the site's own program."""
    def said(*words, before=None):
        done = subprocess.run([streamer, *map(str, words)], text=True, capture_output=True, timeout=120,
                              preexec_fn=before)
        assert done.returncode != 0, done
        return done.stderr.replace("longhaul-streamer: ", "longhaul: ")

    def tells_there(what, why, todo, *words, before=None):
        tells(subprocess.CompletedProcess(words, 1, "", said(*words, before=before)), what, why, todo)
    other, taken = folder / "other-root", f"127.0.0.1:{site.port}"
    for words, what, why, todo in (
            (("run", "--root", other, "--listen", taken), "listen on", "another program has that port",
             "choose another port, or 0 for any that is free"),
            (("run", "--root", other, "--listen", "no-address:0"), "listen on no-address:0",
             "the host must be an address of this machine", "0.0.0.0 listens on all of its addresses"),
            (("run", "--root", other, "--listen", "192.0.2.1:0"), "listen on", "this machine has no such address",
             "0.0.0.0 listens on all of its addresses"),
            (("start", "--root", other, "--listen", "192.0.2.1:0"), "start the streamer", "no such address",
             f"its log is {other}"),
            (("invite", "--root", site.root, "--role", "king"), "invite a 'king'", "there is no such role",
             "roles are owner, observer and site"),
            (("peers", "revoke", "--root", site.root, "nobody"), "revoke 'nobody'", "no peer has that name or key",
             "`longhaul-streamer peers ls`")):
        tells_there(what, why, todo, *words)
    # Its first write kills it, before it could say why.
    tells_there("start the streamer", "it ended at once", "its log is ", "start", "--root", folder / "dies",
                before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))


def story(folder):
    source = folder / "source"
    make_tree(source)
    laptop = Laptop(sys.argv[1], folder / "home")
    laptop.run("init")
    site = Site(sys.argv[2], folder / "site")
    try:
        laptop.run("join", "lab", stdin=site.invite())
        laptop.run("push", source, "lab:corpus")
        mute, waits = unanswered(laptop, folder)
        try:
            roles(laptop, site, source, folder)
            sources(laptop, source, folder)
            orders(laptop)
            somebodys_work(laptop, folder)
            damaged(laptop)
            streamers(sys.argv[2], site, folder)
        finally:
            no_answer(mute, waits)
    finally:
        site.process.kill()
        site.process.wait(60)


if __name__ == "__main__":
    in_folder(story)
