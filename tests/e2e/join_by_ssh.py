"""join --ssh against a real sshd: an empty host becomes a site, with and without --tunnel.

Usage: join_by_ssh.py LONGHAUL STATIC-STREAMER. Exit code 0: all held; 77: no sshd here.
"""
import os
import pathlib
import shutil
import subprocess
import sys

from reach_world import Laptop, Sshd, in_folder, make_tree, same, skip, wait_for

NOISE = ('ForceCommand echo "Welcome to the cluster"; echo "maintenance on Sunday" >&2; '
         'exec sh -c "$SSH_ORIGINAL_COMMAND"\n')


def is_running(sshd, root="longhaul"):
    return sshd.remote("status", "--root", root).stdout.startswith("running")


def direct(laptop, sshd):
    """Nothing there before; one command; no port typed."""
    done = laptop.run("join", "lab", "--ssh", "cluster")
    assert "putting a streamer there" in done.stderr, done.stderr
    assert "paired with lab at 127.0.0.1:" in done.stderr, done.stderr
    assert is_running(sshd)
    make_tree(laptop.home / "tree")
    laptop.run("push", laptop.home / "tree", "lab:corpus")
    same(laptop.home / "tree", sshd.home / "longhaul/datasets/corpus/current")

    again = laptop.run("join", "lab", "--ssh", "cluster")  # what is there is used as it is
    assert "putting" not in again.stderr, again.stderr


def state_apart(laptop, sshd):
    """--state: index and locks of the site lie there, and are found again without saying so."""
    state = sshd.home / "scratch/state"
    laptop.run("join", "apart", "--ssh", "cluster", "--root", "third", "--state", state)
    assert len(list(state.glob("longhaul-*/index.sqlite"))) == 1, list(state.rglob("*"))
    laptop.run("push", laptop.home / "tree", "apart:corpus")
    sshd.remote("stop", "--root", "third")
    laptop.run("join", "apart2", "--ssh", "cluster", "--root", "third")  # starts it again
    assert is_running(sshd, "third")
    assert "corpus" in laptop.run("ls", "apart2").stdout
    assert len(list(state.glob("longhaul-*/index.sqlite"))) == 1
    assert not (sshd.home / "third/.longhaul/index.sqlite").exists()


def old_version(laptop, sshd):
    """An old streamer is replaced and the new one runs; a newer one is left alone."""
    program = sshd.home / ".longhaul/bin/longhaul-streamer"
    sshd.remote("stop", "--root", "longhaul")
    real = program.with_name("real")
    program.rename(real)
    for version, replaced in (("0.0.9", True), ("9.0.0", False)):
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\n[ "$1" = version ] && {{ echo longhaul-streamer {version}; exit; }}\n'
                           f'exec {real} "$@"\n')
        program.chmod(0o755)
        done = laptop.run("join", "lab", "--ssh", "cluster")
        assert ("putting" in done.stderr) == replaced, (version, done.stderr)
    real.replace(program)


def closed_port(laptop, sshd):
    """ssh reaches the host and nothing else does, as behind a firewall: what helps is said."""
    program = sshd.home / ".longhaul/bin/longhaul-streamer"
    real = program.with_name("real")
    program.rename(real)
    other_port = f'{{ {real} "$@" | sed "s/:[0-9]*#/:1#/"; exit; }}'
    program.write_text(f'#!/bin/sh\n[ "$1" = invite ] && {other_port}\nexec {real} "$@"\n')
    program.chmod(0o755)
    text = laptop.run("join", "shut", "--ssh", "cluster", code=5).stderr
    assert "the streamer runs there, but we cannot reach its port" in text, text
    assert "  do:  add --tunnel: everything then goes through ssh\n" in text, text
    assert "shut" not in laptop.run("sites").stdout
    real.replace(program)


def tunnel(laptop, sshd):
    """All connections through ssh, remembered: push, pull, a carrier that dies, a streamer that stopped."""
    laptop.run("join", "far", "--ssh", "hop", "--tunnel", "--root", "second")
    entry = [line for line in laptop.run("sites").stdout.splitlines() if line.startswith("far")]
    assert "through ssh hop" in entry[0], entry
    status = sshd.remote("status", "--root", "second").stdout
    assert "running: 127.0.0.1:" in status, status  # not open to the network
    laptop.run("push", laptop.home / "tree", "far:corpus")
    laptop.run("pull", "far:corpus", laptop.home / "back")
    same(laptop.home / "tree", laptop.home / "back")

    sshd.remote("stop", "--root", "second")  # a reboot there: the next command starts it
    assert "corpus" in laptop.run("ls", "far").stdout


def carrier_killed(laptop, sshd):
    """Every ssh of a push killed in its middle: it goes on over new ones."""
    source = laptop.home / "large"
    make_tree(source, seed=3, megabytes=24)
    push = laptop.start("push", source, "far:large", "--limit-rate", "8MB/s")
    wait_for(lambda: len(carriers(push.pid)) >= 2)
    for pid in carriers(push.pid):
        os.kill(pid, 9)
    out, err = push.communicate(timeout=110)
    assert push.returncode == 0, (out, err)
    laptop.run("pull", "far:large", laptop.home / "large-back")
    same(source, laptop.home / "large-back")


def carriers(parent):
    """The ssh processes that a command runs."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = entry.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(fields.split()[1]) == parent and name.endswith("(ssh"):
            found.append(int(entry.parent.name))
    return found


def texts(laptop, sshd):
    """What, why and what to do, where it goes wrong."""
    def error(*arguments, code):
        return laptop.run("join", *arguments, code=code).stderr
    text = error("x", "--ssh", "nowhere.invalid", code=5)
    assert "cannot reach nowhere.invalid by ssh" in text, text
    assert "see that `ssh nowhere.invalid true` works, then run it again" in text, text
    text = error("x", "--ssh", "-oProxyCommand=touch /tmp/x", code=2)
    assert "it is no destination that ssh takes" in text, text
    assert "write HOST or USER@HOST, or a Host of your ssh config" in text, text
    for option, value in (("--root", "a$(touch b)"), ("--state", "/scratch/$(touch b)")):
        text = error("x", "--ssh", "cluster", option, value, code=2)
        assert "a shell could read it otherwise" in text, text
        assert "use letters, digits and . _ / ~ + = @ , : - only" in text, text
    text = error("x", "--ssh", "cluster", "--role", "king", code=2)
    assert "there is no such role" in text and "roles are owner, observer and site" in text, text
    text = error("x", "--tunnel", code=2)
    assert "--ssh" in text, text
    shutil.move(sshd.home / ".longhaul", sshd.home / "gone")
    text = error("x", "--ssh", "cluster", "--streamer", "/nonexistent", code=3)
    assert "find the streamer to put there" in text and "it is not at /nonexistent" in text, text
    assert "name it with --streamer FILE (the build makes longhaul-streamer-static), " \
           "or install longhaul there" in text, text
    text = laptop.run("ls", "far", code=3).stderr  # its program was removed
    assert "run `longhaul join NAME --ssh hop` again: it puts one there" in text, text
    text = error("x", "--ssh", "cluster", "--streamer", __file__, code=1)
    assert "the streamer does not run there" in text, text
    assert not list((sshd.home / ".longhaul/bin").glob("*")), "a program that does not run was left there"
    shutil.rmtree(sshd.home / ".longhaul")
    shutil.move(sshd.home / "gone", sshd.home / ".longhaul")
    sshd.stop()
    text = laptop.run("ls", "far", code=5).stderr
    assert "cannot reach hop by ssh" in text, text


def main(longhaul, streamer):
    def story(folder):
        sshd = Sshd(folder / "sshd", NOISE)
        laptop = Laptop(longhaul, folder / "home", LONGHAUL_SSH_COMMAND=sshd.command)
        try:
            direct(laptop, sshd)
            state_apart(laptop, sshd)
            old_version(laptop, sshd)
            closed_port(laptop, sshd)
            tunnel(laptop, sshd)
            carrier_killed(laptop, sshd)
            texts(laptop, sshd)
        finally:
            for root in ("longhaul", "second", "third"):
                subprocess.run([streamer, "stop", "--root", sshd.home / root], capture_output=True)
            if sshd.process.poll() is None:
                sshd.stop()
    if not os.path.exists("/usr/sbin/sshd") or not shutil.which("socat"):
        skip("no sshd or socat: tools/setup --tests installs them")
    assert os.access(streamer, os.X_OK)
    in_folder(story)


if __name__ == "__main__":
    main(*sys.argv[1:3])
