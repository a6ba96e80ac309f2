"""The images of the chain, built without a registry and kept by a hash of what goes in.

    images = Images(engine)         # builds what is missing: minutes the first time, then seconds
    images.environment              # BOTTLE_AGENT_IMAGE, BOTTLE_EGRESS_IMAGE, BOTTLE_PIPELOCK_IMAGE for compose.yaml
    images.authority                # the folder of the authority that signs the far end's certificates

bottle-test/base        Debian with Python, curl, git, openssl, ip, and mitmproxy's Python packages; below all others
bottle-test/egress      mitmdump, and the far end's authority among certifi's roots: the public roots of this internet
bottle-test/agent       node, and each client of BOTTLEC_CODEX_BINS and BOTTLEC_CLAUDE_BINS as /opt/NAME-VERSION/bin/NAME, the
                        last of each on PATH; user node (1000), /workspace
bottle-test/pipelock    BOTTLEC_PIPELOCK_BIN as /pipelock, the far end's authority among the system's roots; without
                        that variable bottle-test/pipelock-stand-in, which proves nothing about pipelock

Must run under the Python of BOTTLEC_MITMDUMP_BINS, since it signs certificates, and that must be a 3.11, since mitmproxy's
packages are taken from it into the image, whose Python is bookworm's.
"""
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

from fake_internet import Authority

HERE = pathlib.Path(__file__).parent
SUITE, MITMPROXY = "bookworm", "mitmproxy==11.0.2"
PACKAGES = "python3 ca-certificates curl git openssl iproute2 procps libstdc++6"
SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages"
NOT_NEEDED = ["./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/man", "./usr/share/locale"]

MITMDUMP = b"""#!/usr/bin/python3
import sys
from mitmproxy.tools.main import mitmdump
sys.exit(mitmdump())
"""
EGRESS = """
FROM {base}
COPY mitmdump /usr/local/bin/
COPY ca.pem /tmp/
RUN cat /tmp/ca.pem >> "$(python3 -c 'import certifi; print(certifi.where())')"
"""
AGENT = """
FROM {base}
RUN useradd --uid 1000 --create-home --shell /bin/bash node && install -d -m 1777 /workspace /home/node
COPY node /usr/local/bin/
COPY opt /opt
{links}
USER node
WORKDIR /workspace
"""
PIPELOCK = """
FROM {base}
COPY ca.pem /usr/local/share/ca-certificates/far-end.crt
RUN update-ca-certificates
COPY pipelock /pipelock
"""


class Images:
    def __init__(self, engine):
        self.engine, self.folder = engine, engine.folder
        self.authority = self.folder / "authority"
        Authority(self.authority)
        root = self.authority / "ca.pem"
        base = self._base()

        egress = self._build("egress", EGRESS.format(base=base), {"mitmdump": MITMDUMP, "ca.pem": root})
        clients, links = self._clients()
        node = subprocess.run(["node", "-p", "process.execPath"], check=True, capture_output=True, text=True).stdout.strip()
        agent = self._build("agent", AGENT.format(base=base, links=links), {"node": pathlib.Path(node), **clients})
        real = os.environ.get("BOTTLEC_PIPELOCK_BIN")
        if not real:
            print("\nBOTTLEC_PIPELOCK_BIN is not set: A STAND-IN RUNS FOR PIPELOCK, nothing here says how pipelock behaves\n", file=sys.stderr)
        program = pathlib.Path(real) if real else HERE / "pipelock_stand_in.py"
        name = "pipelock" if real else "pipelock-stand-in"
        pipelock = self._build(name, PIPELOCK.format(base=base), {"pipelock": program, "ca.pem": root})
        self.pipelock_is_real = bool(real)
        self.environment = {"BOTTLE_AGENT_IMAGE": agent, "BOTTLE_EGRESS_IMAGE": egress, "BOTTLE_PIPELOCK_IMAGE": pipelock}

    def _base(self):
        image = self._tag("base", hashlib.sha256(f"1 {SUITE} {PACKAGES} {MITMPROXY}".encode()))
        if self._is_there(image):
            return image
        if sys.version_info[:2] != (3, 11):
            raise RuntimeError("tests/real needs Python 3.11, as the image has it")
        with tempfile.TemporaryDirectory(prefix="bottle-base-") as root:
            run = lambda *command, **more: subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL, **more)
            with open(self.folder / "base.log", "w") as log:
                run("unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={PACKAGES.replace(' ', ',')}", SUITE, root,
                    debian_mirror(), stdout=log, stderr=log)
                run(sys.executable, "-m", "pip", "install", "--quiet", "--target", f"{root}/{SITE_PACKAGES}", MITMPROXY, stdout=log, stderr=log)
            tar = subprocess.Popen(["tar", "-C", root, *(f"--exclude={path}/*" for path in NOT_NEEDED), "-c", "."], stdout=subprocess.PIPE)
            self.engine.docker("import", "--change", "CMD /bin/bash", "-", image, stdin=tar.stdout)
            if tar.wait():
                raise RuntimeError("tar failed")
        self._drop_older(image)
        return image

    def _clients(self):
        """What goes to /opt, and the Dockerfile's lines that put the clients on PATH."""
        clients, links = {}, []
        for name, variable in {"codex": "BOTTLEC_CODEX_BINS", "claude": "BOTTLEC_CLAUDE_BINS"}.items():
            for program in os.environ[variable].split(":"):
                modules = pathlib.Path(program).parents[1]
                package = pathlib.Path(program).resolve().parents[1] / "package.json"
                home = f"opt/{name}-{json.loads(package.read_text())['version']}"
                clients |= {f"{home}/node_modules": modules}
                links.append(f"RUN mkdir -p /{home}/bin && ln -s ../node_modules/.bin/{name} /{home}/bin/ && ln -sf /{home}/bin/{name} /usr/local/bin/")
        return clients, "\n".join(dict.fromkeys(links))

    def _build(self, name, dockerfile, files):
        """An image from a Dockerfile and its context: path in it -> bytes, or a file or folder of the machine."""
        files = {"Dockerfile": dockerfile.encode(), **files}
        image = self._tag(name, fingerprint(files))
        if not self._is_there(image):
            with tempfile.TemporaryFile(dir=self.folder) as context:
                write_tar(context, files)
                context.seek(0)
                self.engine.docker("build", "--tag", image, "-", stdin=context)
            self._drop_older(image)
        return image

    def _tag(self, name, digest):
        return f"bottle-test/{name}:{digest.hexdigest()[:16]}"

    def _is_there(self, image):
        return self.engine.docker("image", "inspect", image, check=False).returncode == 0

    def _drop_older(self, image):
        repository = image.partition(":")[0]
        for other in self.engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.split():
            if other != image:
                self.engine.docker("rmi", other, check=False)
        self.engine.docker("image", "prune", "--force")


def debian_mirror():
    """Where this machine has its Debian packages from."""
    asked = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        codename, uri = line.split()
        if codename == SUITE:
            return uri
    raise RuntimeError(f"apt knows no source of {SUITE}")


def contents(files):
    """(path in the context, bytes or path of the machine) of each file, in order."""
    for name, source in sorted(files.items()):
        if isinstance(source, bytes) or not source.is_dir():
            yield name, source
        else:
            for path in sorted(source.rglob("*")):
                if path.is_symlink() or path.is_file():
                    yield f"{name}/{path.relative_to(source)}", path


def fingerprint(files):
    """Hashes names and contents; of a large file, its size and time."""
    digest = hashlib.sha256()
    for name, source in contents(files):
        if isinstance(source, bytes):
            content = source
        elif source.is_symlink():
            content = os.readlink(source).encode()
        elif source.stat().st_size < 1 << 20:
            content = source.read_bytes()
        else:
            content = f"{source.stat().st_size} {source.stat().st_mtime_ns}".encode()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest


def write_tar(file, files):
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, source in contents(files):
            if isinstance(source, bytes):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(source), 0o755
                tar.addfile(info, io.BytesIO(source))
                continue
            info = tar.gettarinfo(source, name)
            info.uid = info.gid = 0
            info.mode |= 0o555 if name in ("pipelock", "node") else 0o444
            if info.isreg() or info.islnk():
                info.type, info.size = tarfile.REGTYPE, source.stat().st_size  # hard links come as files
                with open(source, "rb") as opened:
                    tar.addfile(info, opened)
            else:
                tar.addfile(info)
