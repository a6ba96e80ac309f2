"""A Docker engine of its own, in namespaces of its own, with an internet behind it that is all ours.

    the machine      process, mount and network namespaces of the engine                 namespace "internet"
    docker socket ── dockerd, bridges, containers; 192.0.2.1 is "the host" ── veth ──── 192.0.2.254, and every other
                                                                                        address of the world

Nothing in there can reach the machine's network. A packet to any address that is none of the engine's arrives in the
namespace "internet", where `far_end.py` answers and logs it. All of it ends with the process that started it, also
when that one is killed; images stay in the folder for the next time. Needs root, docker.io, docker-compose, iproute2.

    with Engine() as engine:
        engine.compose(bottle, "up", "--detach", env={...})
        engine.inside(engine.container(bottle, "agent"), "curl", "https://example.com")
        with engine.started("host", "python3", "-m", "http.server", "80"):    # a service of the host
            ...
"""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import time

FOLDER = pathlib.Path(__file__).parents[2] / "target" / "real"
HOST_ADDRESS = "192.0.2.1"  # of the host that the engine runs on
FAR_END_ADDRESS = "203.0.113.10"  # what every name resolves to
NAME_SERVER = "203.0.113.53"  # the engine's; containers reach it only if they reach the internet
COMPOSES = os.environ.get("BOTTLEC_COMPOSE_BINS", "docker-compose").split(":")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs as process 1 of the new namespaces. With a /run of its own it sees neither the machine's engine nor its
# containerd, and leaves nothing behind there.
START = """
set -e
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add internet
ip link add internet type veth peer name host netns internet
ip address add HOST/24 dev internet
ip link set internet up
ip route add default via 192.0.2.254
ip -n internet address add 192.0.2.254/24 dev host
ip -n internet link set lo up
ip -n internet link set host up
ip -n internet route add local default dev lo
exec INIT -- dockerd --data-root DATA --host unix://SOCKET --pidfile /run/dockerd.pid --dns NAMES \\
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /CGROUP
"""


class Engine:
    def __init__(self, folder=FOLDER):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context(open(self.folder / "lock", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)  # one engine at a time has the images
            self.scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bottle-engine-")))
            self.socket = self.scratch / "docker.sock"
            self._start(stack)
            stack.callback(self._stop)
            self._wait()
            self.wipe()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _start(self, stack):
        init = shutil.which("tini-static", path=PATH) or shutil.which("docker-init", path=PATH)
        values = {"HOST": HOST_ADDRESS, "INIT": init, "DATA": self.folder / "docker", "SOCKET": self.socket,
                  "NAMES": NAME_SERVER, "CGROUP": self.scratch.name}
        script = re.sub(r"\b[A-Z]{4,}\b", lambda word: shlex.quote(str(values[word[0]])), START)
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                   "/bin/sh", "-c", script]
        log = stack.enter_context(open(self.folder / "dockerd.log", "w"))
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": PATH, "HOME": str(self.scratch)})

    def _wait(self):
        end = time.monotonic() + 60
        while self.docker("version", check=False, quiet=True).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("dockerd does not answer:\n" + (self.folder / "dockerd.log").read_text()[-3000:])
            time.sleep(0.1)

    def _stop(self):
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.SubprocessError):
                self.wipe()
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:  # process 1 of the namespace hands it on to dockerd
                os.kill(int(child), 15)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        self.process.kill()  # and with it, by --kill-child, all that is left in there
        self.process.wait()
        groups = pathlib.Path("/sys/fs/cgroup")  # those of engines that were killed, too
        for group in sorted([*groups.glob("bottle-engine-*/**/"), *groups.glob("*/bottle-engine-*/**/")], reverse=True):
            with contextlib.suppress(OSError):  # another engine's container is in it
                group.rmdir()

    def docker(self, *words, check=True, quiet=False, timeout=300, **more):
        """Runs the docker client. The result has stdout and stderr as text."""
        return self._run(["docker", *map(str, words)], check, quiet, timeout, **more)

    def docker_bytes(self, *words):
        """What the docker client prints, as bytes."""
        command = ["docker", "--host", f"unix://{self.socket}", *words]
        return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout

    def compose(self, folder, *words, env=None, files=("compose.yaml",), check=True, timeout=300, by=(), program=None, **more):
        """Runs docker-compose in a bottle's folder, with nothing in its environment but `env`; `by` a
        program that starts it. `program` is one of COMPOSES; the first, unless it is said."""
        program = program or COMPOSES[0]
        named = [part for file in files for part in ("--file", file)]
        return self._run([*by, program, *named, *map(str, words)], check, False, timeout, env=env, cwd=folder, **more)

    def start(self, *command, env=None):
        """Runs a program with nothing in its environment but `env` and what leads to this engine."""
        return self._run([*map(str, command)], False, False, 60, env=env)

    def _run(self, command, check, quiet, timeout, env=None, **more):
        env = {"PATH": PATH, "HOME": str(self.scratch), "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0", **(env or {})}
        if "input" not in more and "stdin" not in more:
            more["stdin"] = subprocess.DEVNULL
        text = {} if isinstance(more.get("input"), bytes) else {"text": True, "errors": "replace"}
        done = subprocess.run(command, env=env, capture_output=True, timeout=timeout, **text, **more)
        if check and done.returncode and not quiet:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def wipe(self):
        """Removes all containers, networks and volumes; images stay."""
        def names(*words):
            return self.docker(*words).stdout.split()
        if containers := names("ps", "--all", "--quiet"):
            self.docker("rm", "--force", "--volumes", *containers)
        self.docker("network", "prune", "--force")
        if volumes := names("volume", "ls", "--quiet"):
            self.docker("volume", "rm", *volumes)

    def container(self, folder, service, **options):
        """The id of a service's container of the bottle in `folder`."""
        return self.compose(folder, "ps", "--quiet", service, **options).stdout.strip()

    def wait_healthy(self, container, timeout=60):
        """Waits until the container's healthcheck passes."""
        end = time.monotonic() + timeout
        while (state := self.inspect(container)["State"])["Health"]["Status"] != "healthy":
            if not state["Running"] or time.monotonic() > end:
                raise RuntimeError(f"not healthy: {state}\n{self.logs(container)}")
            time.sleep(0.1)

    def inside(self, container, *command, user=None, check=False, timeout=120, **more):
        """Runs a command in a container that is running."""
        options = ["--user", user] if user else []
        options += ["--interactive"] if "input" in more else []
        return self.docker("exec", *options, container, *command, check=check, timeout=timeout, **more)

    def logs(self, container):
        """What a container has printed, stdout and stderr."""
        done = self.docker("logs", container)
        return done.stdout + done.stderr

    def inspect(self, thing):
        return json.loads(self.docker("inspect", thing).stdout)[0]

    def at(self, place, *command):
        """The command line that runs a program of the machine at "host" (beside dockerd) or at "internet"."""
        inner = {"host": [], "internet": ["nsenter", "--net=/run/netns/internet"]}[place]
        return ["nsenter", f"--target={self.process.pid}", "--net", "--mount", *inner, "setpriv", "--pdeathsig", "KILL", *map(str, command)]

    def run(self, place, *command, check=True, timeout=60, **more):
        """Runs a program at a place until it ends."""
        return self._run(self.at(place, *command), check, False, timeout, **more)

    @contextlib.contextmanager
    def started(self, place, *command, **more):
        """A program that runs at a place for the length of a `with`."""
        process = subprocess.Popen(self.at(place, *command), stdin=subprocess.DEVNULL, **more)
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
