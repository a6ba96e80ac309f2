"""The ground that the tests of the chain stand on: engine, images and far end."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from engine import FAR_END_ADDRESS, HOST_ADDRESS


def test_the_engine_shares_no_network_with_the_machine(engine):
    own, machine = (os.readlink(f"/proc/{pid}/ns/net") for pid in (engine.process.pid, "self"))
    assert own != machine
    links = engine.run("host", "ip", "-brief", "link").stdout.split("\n")
    assert {line.split("@")[0].split()[0] for line in links if line} == {"lo", "internet", "docker0"}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_engine_leaves_nothing_behind(tmp_path, end):
    # Who is started in the background may have been told to ignore ^C.
    script = ("import signal, sys, time, engine\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
              "with engine.Engine(sys.argv[1]) as e, e.started('internet', 'sleep', '1000'):\n"
              "    e.docker('network', 'create', 'some'); print(e.scratch, flush=True); time.sleep(1000)")
    owner = subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=pathlib.Path(__file__).parent,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    scratch = pathlib.Path(owner.stdout.readline().strip())
    started = descendants(owner.pid)
    assert len(started) > 3
    owner.send_signal(end)
    owner.wait(30)
    for _ in range(100):
        left = [pid for pid in started if pathlib.Path(f"/proc/{pid}").exists()]
        if not left:
            break
        time.sleep(0.1)
    assert not left
    assert str(tmp_path) not in pathlib.Path("/proc/mounts").read_text()
    assert scratch.exists() == (end == signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)


def descendants(pid):
    children = [child for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return children + [further for child in children for further in descendants(child)]


def test_the_images_have_what_the_chain_needs(engine, images):
    def printed(image, command):
        return engine.docker("run", "--rm", "--network", "none", images.environment[image], "sh", "-c", command).stdout
    assert "Mitmproxy: 11.0.2" in printed("BOTTLE_EGRESS_IMAGE", "mitmdump --version && python3 -c 'import certifi, mitmproxy'")
    versions = printed("BOTTLE_AGENT_IMAGE", "for p in /opt/codex-*/bin/codex /opt/claude-*/bin/claude codex claude; do $p --version; done")
    for version in ("codex-cli 0.135.0", "2.1.330 (Claude Code)"):
        assert version in versions
    assert printed("BOTTLE_AGENT_IMAGE", "id -un; pwd").split() == ["node", "/workspace"]


def test_a_container_with_a_way_out_meets_the_far_end_and_only_there(engine, images, far_end):
    for address in ("1.1.1.1", "169.254.169.254", FAR_END_ADDRESS):
        engine.docker("run", "--rm", images.environment["BOTTLE_PIPELOCK_IMAGE"],
                      "curl", "--silent", "--resolve", f"some.example:443:{address}", f"https://some.example/{address}")
        assert [line["address"] for line in far_end.events("request", host="some.example", target=f"/{address}")] == [f"{address}:443"]
    engine.docker("run", "--rm", images.environment["BOTTLE_PIPELOCK_IMAGE"], "curl", "--silent", "https://other.example/")
    assert far_end.events("name", name="other.example") and far_end.events("request", host="other.example", address=f"{FAR_END_ADDRESS}:443")


def test_a_service_of_the_host_can_be_played(engine, images, tmp_path):
    (tmp_path / "said").write_text("by the host")
    with engine.started("host", "python3", "-m", "http.server", "8000", "--directory", tmp_path):
        ask = ["curl", "--silent", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", f"http://{HOST_ADDRESS}:8000/said"]
        assert engine.docker("run", "--rm", images.environment["BOTTLE_AGENT_IMAGE"], *ask).stdout == "by the host"
