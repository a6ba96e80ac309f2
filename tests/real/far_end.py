"""Starts the far end in the engine's internet and reads its log.

    with FarEnd(engine, authority) as far_end:
        far_end.configure({"require": {"chatgpt.com": "Bearer " + token}})
        ...
        assert far_end.events("request", host="chatgpt.com", status=200)

Every name resolves to it, and every address of the world is it: what comes out of pipelock, and what comes out
anywhere else, is in its log, with the address that was asked for.
"""
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time

from engine import FAR_END_ADDRESS, NAME_SERVER

PROGRAM = pathlib.Path(__file__).with_name("fake_internet.py")


class FarEnd:
    def __init__(self, engine, authority):
        self.engine, self.authority = engine, authority

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bottle-far-end-")))
            process = stack.enter_context(self.engine.started(
                "internet", sys.executable, PROGRAM, "--folder", self.folder, "--authority", self.authority,
                "--tls", "0.0.0.0:443", "--names", f"{NAME_SERVER}:53", "--address", FAR_END_ADDRESS))
            end = time.monotonic() + 20
            while not (self.folder / "ready").exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the far end did not start")
                time.sleep(0.05)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def configure(self, config):
        """Says how to answer from now on: see fake_services.py."""
        new = self.folder / "config.new"
        new.write_text(json.dumps(config))
        os.replace(new, self.folder / "config.json")

    def events(self, event=None, **wanted):
        """The log's lines so far: of one kind, and with these values."""
        lines = map(json.loads, (self.folder / "log.jsonl").read_text().splitlines())
        wanted |= {"event": event} if event else {}
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]

    def forget(self):
        """Empties the log."""
        os.truncate(self.folder / "log.jsonl", 0)
