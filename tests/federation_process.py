"""A federation of real processes for tests: provisions a project, starts `fedlearn server` and its sites, kills them,
starts them again, and says which model came of it.

    with Federation(app, ["site_0", "site_1"]) as federation:
        federation.start_server()
        federation.start_sites()
        model = federation.finish()

Everything lies in a temporary folder that goes with the block. What is still running at the end of the block is killed,
and the kernel kills it too if the test's process dies. Start processes from the main thread only: they die with the
thread that started them.
"""

import ctypes
import hashlib
import json
import os
import pathlib
import re
import select
import signal
import ssl
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(os.environ.get("FED_LEARN_SOURCE", pathlib.Path(__file__).resolve().parent.parent))
FEDLEARN = os.environ.get("FEDLEARN", str(ROOT / "bin" / "fedlearn"))
BRCA = ROOT / "examples" / "fed_tcga_brca"
BRCA_SITES = [f"region_{i}" for i in range(6)]
SLOW_TESTS = os.environ.get("FED_LEARN_SLOW_TESTS") == "1"
ADMIN = "admin@localhost"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child whose output goes to a log file. `namespace` is a network namespace of `ip netns`."""

    def __init__(self, name, command, log, ready=False, namespace=None):
        self.name, self.log = name, log
        command = [str(word) for word in command]
        pass_fds = ()
        if ready:
            self._ready, write_end = os.pipe()
            command += ["--ready-fd", str(write_end)]
            pass_fds = (write_end,)
        if namespace:
            command = ["ip", "netns", "exec", namespace, *command]
        with open(log, "ab") as output:
            self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                           pass_fds=pass_fds, preexec_fn=_die_with_parent)
        if ready:
            os.close(write_end)

    @property
    def pid(self):
        return self._popen.pid

    def read_ready(self, seconds=300):
        """What the process writes to its ready descriptor, waited for."""
        with open(self._ready, "rb", buffering=0) as ready:
            if not select.select([ready], [], [], seconds)[0]:
                raise AssertionError(f"{self.name} is not ready after {seconds} s:\n{self.last_lines()}")
            line = ready.read(64)
        if not line:
            raise AssertionError(f"{self.name} ended before it was ready:\n{self.last_lines()}")
        return line.decode().strip()

    def running(self):
        return self._popen.poll() is None

    def require_good_end(self):
        code = self._popen.wait()
        if code != 0:
            raise AssertionError(f"{self.name} ended with {code}:\n{self.last_lines()}")

    def kill(self):
        """kill -9, and gone when this returns."""
        self._popen.kill()
        self._popen.wait()

    def last_lines(self, count=15):
        return "\n".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-count:])

    def memory_peak_kb(self):
        """The most memory that the process has held at a time."""
        return self._status("VmHWM")

    def memory_kb(self):
        return self._status("VmRSS")

    def _status(self, key):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE).group(1))


class Federation:
    """`sites`: the names that get a certificate. `server_set`, `client_set`: KEY.PATH=VALUE over the app's files.
    `kits`: the kits of another federation of the same app and sites, which then stays unchanged."""

    def __init__(self, app, sites, server_set=(), client_set=(), host="127.0.0.1", kits=None):
        self._temporary = tempfile.TemporaryDirectory(prefix="federation_")
        self.folder = pathlib.Path(self._temporary.name)
        self.app, self.sites, self.host = pathlib.Path(app), list(sites), host
        self.server_set, self.client_set = list(server_set), list(client_set)
        self.port = 0
        self.server = None
        self.clients = {}
        self.address = None  # where sites connect; the server, unless something stands in between
        self.kits = kits or self.folder / "kits"
        if kits is None:
            self._provision(sites)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in [self.server, *self.clients.values()]:
            if process is not None and process.running():
                process.kill()
        self._temporary.cleanup()

    def _provision(self, sites, *options):
        config = json.loads((self.app / "config" / "config_fed_server.json").read_text())
        lines = [f"name: {config['servers'][0]['name']}", "server:", f"  host: {self.host}",
                 "  alt_names: [localhost, 127.0.0.1]", "  org: test", "fl_clients:",
                 *(f"  - {{client_name: {site}, org: test}}" for site in sites),
                 "admin_clients:", f"  - {{email: {ADMIN}, org: test}}"]
        project = self.folder / "project.yml"
        project.write_text("\n".join(lines) + "\n")
        done = subprocess.run([FEDLEARN, "provision", str(project), "-o", str(self.kits), *options],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def add_sites(self, names):
        """Certificates for more sites. Those are not started by start_sites()."""
        self.sites_with_kits = self.sites + list(names)
        self._provision(self.sites_with_kits)

    def revoke(self, name):
        """Takes effect when the server starts: the list of revoked certificates is put into its kit."""
        self._provision(getattr(self, "sites_with_kits", self.sites), "--revoke", name)
        crl = (self.kits / "_authority" / "crl.pem").read_bytes()
        (self.kits / "server" / "startup" / "crl.pem").write_bytes(crl)

    def tls(self, name, version=ssl.TLSVersion.TLSv1_3):
        """What a party of the project speaks TLS with, from its kit."""
        startup = self.kits / name / "startup"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(startup / "rootCA.pem")
        context.load_cert_chain(startup / "client.crt", startup / "client.key")
        context.minimum_version = context.maximum_version = version
        return context

    # ---- processes ----

    def start_server(self, namespace=None):
        """Starts the server, or starts it again where it was; returns when it serves."""
        words = [FEDLEARN, "server", "--kit", self.kits / "server", "--app", self.app, "--workspace",
                 self.folder / "server", "--listen", f"{self.host}:{self.port}"]
        for entry in self.server_set:
            words += ["--set", entry]
        self.server = Process("server", words, self.folder / "server.log", ready=True, namespace=namespace)
        self.port = int(self.server.read_ready())
        self.address = self.address or f"{self.host}:{self.port}"
        return self.server

    def start_site(self, name, namespace=None, address=None):
        words = [FEDLEARN, "client", "--kit", self.kits / name, "--app", self.app, "--workspace", self.folder / name,
                 "--server", address or self.address]
        for entry in self.client_set:
            words += ["--set", entry]
        self.clients[name] = Process(name, words, self.folder / f"{name}.log", namespace=namespace)
        return self.clients[name]

    def start_sites(self, names=None):
        for name in self.sites if names is None else names:
            self.start_site(name)

    def finish(self, seconds=120):
        """Waits until server and sites have ended well, or one has not; returns model_sha256()."""
        running = {os.pidfd_open(process.pid): process
                   for process in [self.server, *self.clients.values()] if process.running()}
        deadline = time.monotonic() + seconds
        try:
            while running:
                ended = select.select(running, [], [], max(0.0, deadline - time.monotonic()))[0]
                if not ended:
                    raise AssertionError(f"still running after {seconds} s: {[p.name for p in running.values()]}; "
                                         f"server:\n{self.server.last_lines()}")
                for pidfd in ended:
                    running[pidfd].require_good_end()
                    os.close(pidfd)
                    del running[pidfd]
        finally:
            for pidfd in running:
                os.close(pidfd)
        return self.model_sha256()

    # ---- what came of it ----

    @property
    def model_file(self):
        return self.folder / "server" / "run_1" / "FL_global_model.safetensors"

    def model_sha256(self):
        digest = hashlib.sha256()
        with open(self.model_file, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()

    def server_log(self):
        return (self.folder / "server.log").read_text(errors="replace")

    def rounds_counted(self, name):
        """How many of its contributions this site has seen counted."""
        return len(re.findall(r"round \d+: counted", (self.folder / f"{name}.log").read_text(errors="replace")))


class LogWatch:
    """Waits for lines in a log that a process is writing."""

    def __init__(self, path):
        self._path = pathlib.Path(path)

    def wait_for(self, pattern, seconds=60, count=1):
        """The text once `pattern` stands in it `count` times."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            text = self._path.read_text(errors="replace") if self._path.exists() else ""
            if len(re.findall(pattern, text)) >= count:
                return text
            if time.monotonic() > deadline:
                raise AssertionError(f"{self._path} has no '{pattern}' after {seconds} s:\n{text[-2000:]}")
            pause.wait(0.02)
