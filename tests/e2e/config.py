"""Settings: an option beats the environment, that the project's file, that the user's file.

Usage: config.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import sys

from doctor import Site
from reach_world import Laptop, free_port, in_folder, make_tree


def tried(laptop, folder, *words, **variables):
    laptop.environment.update(variables)
    try:
        push = laptop.start("push", folder / "source", "lab:corpus", *words, cwd=folder)
        out, said = push.communicate(timeout=60)
    finally:
        for name in variables:
            del laptop.environment[name]
    return push.returncode, out, said


def layers(laptop, folder):
    """Each layer holds a rate that is none, so that the error says whose it was."""
    project, user = folder / "longhaul.toml", folder / "home/config/config.toml"
    user.write_text("push.limit_rate = 'users'\n")
    code, _, said = tried(laptop, folder)
    assert code == 2 and "users" in said, said
    project.write_text("[push]\nlimit_rate = 'projects'\n")
    code, _, said = tried(laptop, folder)
    assert code == 2 and "projects" in said, said
    code, _, said = tried(laptop, folder, LONGHAUL_PUSH_LIMIT_RATE="environments")
    assert code == 2 and "environments" in said, said
    code, _, said = tried(laptop, folder, "--limit-rate", "options", LONGHAUL_PUSH_LIMIT_RATE="environments")
    assert code == 2 and "options" in said, said
    code, _, said = tried(laptop, folder, "--limit-rate", "1GB/s", LONGHAUL_PUSH_LIMIT_RATE="environments")
    assert code == 0, said
    project.unlink()
    user.unlink()


def values(laptop, folder):
    two = "two connections are for control, the rest for files"
    mode = "it is fair, background or max (docs/rate.md)"
    for name, value, why, todo in (
            ("LOG_LEVEL", "loud", "there is no level 'loud'", "it is debug, info, warn or error"),
            ("SESSION_CONNECTIONS_MAX", "2", "'2' is not from 3 to 64", two),
            ("SESSION_CONNECTIONS_MAX", "many", "'many' is not from 3 to 64", two),
            ("SESSION_MODE", "polite", "'polite' is no mode", mode),
            ("UDP", "perhaps", "it is auto or off, not 'perhaps'",
             "leave it out: then both ways are tried and the better one is used")):
        code, _, said = tried(laptop, folder, **{f"LONGHAUL_{name}": value})
        assert code == 2 and f"  why: {why}\n" in said and f"  do:  {todo}\n" in said, said
    (folder / "source/more").write_text("more")
    code, _, said = tried(laptop, folder, LONGHAUL_LOG_LEVEL="info", LONGHAUL_UDP="off",
                          LONGHAUL_SESSION_CONNECTIONS_MAX="3", LONGHAUL_SESSION_MODE="max")
    assert code == 0 and " info " in said, said
    code, _, said = tried(laptop, folder, "--mode", "polite")
    assert code == 2 and "cannot read --mode" in said and mode in said, said
    code, _, said = tried(laptop, folder, "--mode", "background")
    assert code == 0, said
    (folder / "longhaul.toml").write_text("[site]\ndefault = 'lab'\n")
    code, _, said = tried(laptop, folder)
    assert code == 2 and "longhaul.toml:2" in said and "there is no setting 'site.default'" in said, said


def story(folder):
    make_tree(folder / "source")
    laptop, site = Laptop(sys.argv[1], folder / "home"), Site(sys.argv[2], folder / "site", free_port())
    laptop.run("init")
    site.start()
    try:
        laptop.run("join", "lab", stdin=site.invite())
        layers(laptop, folder)
        values(laptop, folder)
    finally:
        site.run("stop")


if __name__ == "__main__":
    in_folder(story)
