"""The static streamer where nothing else is: an empty chroot, no /proc, no /dev, no libraries.

Usage: bare_chroot.py LONGHAUL STATIC-STREAMER. Exit code 0: all held; 77: not root.
"""
import os
import shutil
import subprocess
import sys

from reach_world import Laptop, free_port, in_folder, make_tree, same, skip, wait_for


def main(longhaul, streamer):
    def story(folder):
        jail = folder / "jail"
        jail.mkdir()
        shutil.copy(streamer, jail / "longhaul-streamer")

        def inside(*words, code=0):
            done = subprocess.run(["chroot", jail, "/longhaul-streamer", *words], text=True, timeout=60,
                                  env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                                  stdin=subprocess.DEVNULL, capture_output=True)
            assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
            return done

        laptop = Laptop(longhaul, folder / "home")
        port = free_port()
        inside("start", "--root", "/site", "--listen", f"127.0.0.1:{port}")
        try:
            line = inside("invite", "--root", "/site", "--address", f"127.0.0.1:{port}").stdout
            laptop.run("join", "jail", stdin=line)
            make_tree(folder / "tree")
            laptop.run("push", folder / "tree", "jail:corpus")
            same(folder / "tree", jail / "site/datasets/corpus/current")
            assert laptop.result("verify", "jail:corpus")["bad"] == 0
        finally:
            inside("stop", "--root", "/site")
        inside("status", "--root", "/site", code=3)
        names(inside, jail, laptop, folder)

    if os.geteuid() != 0:
        skip("only root may chroot")
    in_folder(story)


def names(inside, jail, laptop, folder):
    """A name resolves from /etc/hosts although nsswitch.conf names a plug-in first: none is loaded."""
    (jail / "etc").mkdir()
    (jail / "etc/nsswitch.conf").write_text("hosts: sss mymachines files dns\n")
    (jail / "etc/hosts").write_text("127.0.0.1 laptop.here\n")
    port = free_port()
    inside("start", "--root", "/site", "--dial", f"laptop.here:{port}")
    try:
        line = inside("invite", "--root", "/site").stdout
        laptop.run("join", "called", "--listen", f"127.0.0.1:{port}", stdin=line)
        assert "corpus" in laptop.run("ls", "called").stdout
    finally:
        inside("stop", "--root", "/site")


if __name__ == "__main__":
    main(*sys.argv[1:3])
