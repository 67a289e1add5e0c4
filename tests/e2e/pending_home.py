"""A checkpoint that is on its way home is not deleted at the site, though its program keeps one only and has
written newer ones: also while neither laptop nor streamer is there. Once it is home it goes.

Usage: pending_home.py LONGHAUL LONGHAUL-STREAMER [LONGHAUL-TRAIN]. Exit code 0: all held; 77: there is no trainer.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from checkpoints import is_rounded, names, staged, wait_for
from push_pull import World
from trained_run import NAME, Trainer, steer

RUN = f"here/{NAME}"
SLOW = "20kB/s"  # its weights are 0.2 MB


class Story:
    def __init__(self, world, trainer):
        self.world, self.trainer = world, trainer
        self.home = world.folder / "laptop"

    def place(self, step):
        return self.trainer.run / f"checkpoints/step-{step:08}"

    def is_pending(self, step):
        return (self.place(step) / "pending-home").exists()

    def there(self):
        return sorted(int(path.name.removeprefix("step-"))
                      for path in (self.trainer.run / "checkpoints").glob("step-*"))

    def newest(self):
        lines = self.world.run("ckpt", "ls", RUN, "--json").stdout.splitlines()
        return max((json.loads(line)["step"] for line in lines), default=0)

    def checkpoint(self):
        """The step of one that is whole, after which the older ones have gone that may."""
        before = self.newest()
        steer(self.world, "checkpoint")
        wait_for(lambda: self.newest() > before, "its announcement")
        return self.newest()

    def follow(self, *more):
        command, environment = self.world.command("ckpt", "follow", RUN, self.home, "--json", *more)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def tell(self):
        first = self.checkpoint()
        assert not self.is_pending(first)
        slow = self.follow("--limit-rate", SLOW)
        try:
            wait_for(lambda: self.is_pending(first) and staged(self.home) > 20_000, "some of the first")
        finally:
            slow.kill()
            slow.communicate()
        second, third = self.checkpoint(), self.checkpoint()
        assert self.there() == [first, third], (self.there(), first, second, third)
        self.world.stop(kill=True)
        assert self.is_pending(first)
        self.world.start()
        follow = self.follow()
        try:
            came = [json.loads(follow.stdout.readline())["step"] for _ in range(2)]
            assert came == [first, third], (came, first, third)
            for step in came:
                assert not (self.home / f"step-{step:08}/pending-home").exists()
                is_rounded(self.place(step) / "model.safetensors", self.home / f"step-{step:08}/model.safetensors")
            wait_for(lambda: not self.is_pending(first) and not self.is_pending(third), "the marks to go")
            fourth = self.checkpoint()
            assert self.there() == [fourth], (self.there(), fourth)
            assert json.loads(follow.stdout.readline())["step"] == fourth
        finally:
            follow.terminate()
            follow.communicate()
        assert names(self.home) == [f"step-{step:08}" for step in (first, third, fourth)], names(self.home)


def main():
    if len(sys.argv) < 4 or not sys.argv[3]:
        print("skipped: there is no longhaul-train: LibTorch is not installed (tools/setup --trainer)")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    process = None
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        trainer = Trainer(world, sys.argv[3], "1", "cpu")
        process = trainer.start("--keep", "1")
        wait_for(lambda: list((trainer.run / "log").glob("*.run")), "the run")
        Story(world, trainer).tell()
        process.terminate()
        assert process.wait(60) == 130
        assert world.stop() == 0
        print("all held")
        return 0
    finally:
        for child in (process, world.process):
            if child and child.poll() is None:
                child.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
