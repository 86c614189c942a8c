"""Three hosts with etcd and Patroni, and HAProxy beside the test: the files of deploy/failover on real servers.

A host is a network namespace with a link to a bridge. `kill` ends its processes at once, as a loss of power does;
`cut` takes its link down. Everything has names of this run, and is removed at the end.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import yaml

from tests import debian_packages
from zmart import testing
from zmart.run import ports
from zmart.run.postgres import binaries, embedded
from zmart.run.supervisor import process

FILES = Path(__file__).resolve().parents[1] / "deploy" / "failover"
PACKAGES = ("python3-venv", "etcd-server", "haproxy", "iproute2")
PROGRAMS = ("etcd", "haproxy", "ip")
#: The system's interpreter, which the account of the servers may read.
PYTHON = "/usr/bin/python3"
NAMES = ("db1", "db2", "db3")
#: The subnet in the files of deploy/failover. The drill uses one of 198.18.0.0/15, which is for tests.
FILE_SUBNET = "10.0.0."
#: Shorter than in the files, so that the drill is short. Patroni demands loop_wait + 2 * retry_timeout <= ttl.
TIMES = {"ttl": 10, "loop_wait": 1, "retry_timeout": 3}
READY_SECONDS = 120.0
#: Lines of each log that a failure shows: about ten minutes of Patroni.
LOG_LINES = 1_000
INSTALL_SECONDS = 240
_CLONE_NEWNET = 0x40000000

Found = TypeVar("Found")


class ClusterHost:
    """One host: a namespace, its link, and the processes in it."""

    def __init__(self, name: str, number: int, subnet: str, token: str, folder: Path) -> None:
        self.name = name
        self.address = f"{subnet}{number}"
        self.namespace = f"zf{token}n{number}"
        self.link = f"zf{token}v{number}"
        self.folder = folder
        self._account = process.account_of(_owner_of_servers())
        self._started: list[subprocess.Popen[bytes]] = []
        #: The pid of its Patroni.
        self.patroni = 0

    def connect(self, bridge: str) -> None:
        """Create the namespace and join it to the bridge."""
        ip("netns", "add", self.namespace)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        ip("link", "set", self.link, "master", bridge, "up")
        ip("-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for name in ("lo", "eth0"):
            ip("-n", self.namespace, "link", "set", name, "up")

    def start(self, *commands: tuple[str, ...]) -> None:
        """Start programs in the namespace, not as root; the last one is Patroni."""
        assert self._account is not None
        for command in commands:
            with (self.folder / f"{Path(command[0]).name}.log").open("ab") as output:
                inside = ("ip", "netns", "exec", self.namespace, "setpriv", f"--reuid={self._account.uid}")
                inside += (f"--regid={self._account.gid}", "--clear-groups", "--pdeathsig=KILL", *command)
                launch = process.Launch(
                    command=inside, environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
                )
                self._started.append(process.start(launch, output=output.fileno()))
        self.patroni = self._started[-1].pid

    def own(self, *paths: Path) -> None:
        """Give paths to the account of the servers."""
        assert self._account is not None
        for path in paths:
            os.chown(path, self._account.uid, self._account.gid)

    def kill(self) -> None:
        """End every process of the host at once; as without power, nothing leaves it while they end."""
        self.cut()
        while pids := ip("netns", "pids", self.namespace).split():
            for pid in map(int, pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for started in self._started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.wait(0.1)
        self._started.clear()

    def cut(self) -> None:
        """Take its link down: nothing gets in or out, and no connection is closed."""
        ip("link", "set", self.link, "down")

    def heal(self) -> None:
        """Take its link up again."""
        ip("link", "set", self.link, "up")

    def enter(self) -> None:
        """Let the calling thread open its sockets in this namespace from now on."""
        with Path(f"/run/netns/{self.namespace}").open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def send_signal(self, title: str, number: signal.Signals) -> None:
        """Signal the processes of the host whose command line contains a text."""
        for pid in map(int, ip("netns", "pids", self.namespace).split()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if title in Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " "):
                    os.kill(pid, number)

    def remove(self) -> None:
        """End what runs, and remove namespace and link."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.kill()
        for arguments in (("netns", "del", self.namespace), ("link", "del", self.link)):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip(*arguments)


class FailoverCluster:
    """The hosts, and a server that follows the primary."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        token = secrets.token_hex(2)
        self.bridge = f"zf{token}br"
        self._subnet = f"198.18.{secrets.randbelow(250) + 1}."
        self.hosts = [
            ClusterHost(name, place, self._subnet, token, folder / name) for place, name in enumerate(NAMES, 1)
        ]
        self.password = secrets.token_hex(12)
        self.ports = {"5000": ports.find_free_port(), "5001": ports.find_free_port()}
        self._proxy: subprocess.Popen[bytes] | None = None
        #: The server at whichever host is the primary.
        self.server = testing.PostgresServer(origin="Patroni", admin_dsn=self.dsn_at("127.0.0.1", self.ports["5000"]))

    def dsn_at(self, address: str, port: int = 5432, database: str = "postgres") -> str:
        """Return the superuser's address of one server."""
        return f"postgresql://{embedded.SUPERUSER}:{self.password}@{address}:{port}/{database}"

    def start(self) -> None:
        """Start everything; return when a primary has two standbys."""
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self._subnet}254/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for host in self.hosts:
            host.connect(self.bridge)
            self._write_files(host)
            self.start_host(host)
        self._start_proxy()
        self.wait_until_complete()

    def stop(self) -> None:
        """Remove everything, whatever was started."""
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait(READY_SECONDS)
        for host in self.hosts:
            host.remove()
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", self.bridge)

    def start_host(self, host: ClusterHost) -> None:
        """Start etcd and Patroni on a host; its data stays from before."""
        host.heal()
        peers = ",".join(f"{each.name}=http://{each.address}:2380" for each in self.hosts)
        etcd = ("etcd", "--name", host.name, "--data-dir", str(host.folder / "etcd"), "--initial-cluster", peers)
        for option, port in (("listen-client", 2379), ("listen-peer", 2380)):
            etcd += (f"--{option}-urls", f"http://{host.address}:{port}")
        etcd += ("--advertise-client-urls", f"http://{host.address}:2379", "--logger", "zap")
        # A member that was cut off must not depose the leader when it is back.
        etcd += ("--initial-advertise-peer-urls", f"http://{host.address}:2380", "--pre-vote")
        host.start(etcd, self._patroni(host))

    def restart_patroni(self, host: ClusterHost) -> None:
        """Kill the Patroni of a host, as an operator kills one that hangs, and start it; its Postgres goes on."""
        host.send_signal("/bin/patroni", signal.SIGKILL)
        host.start(self._patroni(host))

    def primary(self) -> ClusterHost:
        """Return the host that accepts writes; wait until there is one."""

        def find() -> ClusterHost | None:
            with contextlib.suppress(psycopg.Error):
                found = self.fetch("select host(inet_server_addr())")
                return next(host for host in self.hosts if host.address == found)
            return None

        return self.until(find)

    def standby(self, sync_state: str) -> ClusterHost:
        """Return a standby by its state of replication: sync or async."""

        def find() -> ClusterHost | None:
            with contextlib.suppress(psycopg.Error):
                names = self.fetch(
                    f"select array_agg(application_name) from pg_stat_replication where sync_state = '{sync_state}'"
                )
                return next((host for host in self.hosts if host.name in (names or ())), None)
            return None

        return self.until(find)

    def fetch(self, statement: str) -> Any:
        """Return one value from the primary, as superuser."""
        with psycopg.connect(self.server.admin_dsn, autocommit=True, connect_timeout=5) as superuser:
            row = superuser.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def wait_until_complete(self, *, is_synchronous: bool = True) -> None:
        """Return when the primary has two standbys that stream, one of them synchronous if `is_synchronous`."""
        wanted = "count(*) = 2 and count(*) filter (where sync_state = 'sync') = " + ("1" if is_synchronous else "0")

        def is_complete() -> bool:
            with contextlib.suppress(psycopg.Error):
                return bool(self.fetch(f"select {wanted} from pg_stat_replication where state = 'streaming'"))
            return False

        self.until(is_complete)

    def configure(self, **changes: Any) -> None:
        """Change Patroni's dynamic configuration."""
        request = urllib.request.Request(
            f"http://{self.primary().address}:8008/config",
            data=json.dumps(changes).encode(),
            method="PATCH",
            headers={"Content-Type": "application/json", "Authorization": self._authorization()},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            assert answer.status == 200

    def until(self, find: Callable[[], Found | None]) -> Found:
        """Return what a function finds, when it finds something; fail with the ends of all logs."""
        deadline = time.monotonic() + READY_SECONDS
        while not (found := find()):
            assert time.monotonic() < deadline, self._logs()
            time.sleep(0.1)
        return found

    # --- private ------------------------------------------------------------------------------

    def _patroni(self, host: ClusterHost) -> tuple[str, ...]:
        return (str(self.folder / "patroni" / "bin" / "patroni"), str(host.folder / "patroni.yml"))

    def _authorization(self) -> str:
        return "Basic " + base64.b64encode(f"patroni:{self.password}".encode()).decode()

    def _write_files(self, host: ClusterHost) -> None:
        data = host.folder / "postgres"
        data.mkdir(parents=True)
        text = self._at_drill((FILES / "patroni.yml").read_text())
        text = text.replace("/var/lib/postgresql/zmart", str(data)).replace("name: db1", f"name: {host.name}", 1)
        for number in (1, 2, 3, 4):
            text = text.replace(f"CHANGE-ME-{number}", self.password)
        settings = yaml.safe_load(text)
        for part in (settings["restapi"], settings["postgresql"]):
            for key in ("listen", "connect_address"):
                part[key] = f"{host.address}:{part[key].rpartition(':')[2]}"
        settings["bootstrap"]["dcs"] |= TIMES
        settings["postgresql"]["bin_dir"] = str(_programs().folder)
        # The processes are killed, not the kernel: what is written stays.
        settings["postgresql"]["parameters"]["fsync"] = "off"
        path = host.folder / "patroni.yml"
        path.write_text(yaml.safe_dump(settings))
        host.own(host.folder, data, path)

    def _at_drill(self, text: str) -> str:
        return text.replace(FILE_SUBNET, self._subnet)

    def _start_proxy(self) -> None:
        text = self._at_drill((FILES / "haproxy.cfg").read_text())
        for port, free in self.ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        with (self.folder / "haproxy.log").open("wb") as output:
            launch = process.Launch(command=("haproxy", "-db", "-f", str(path)), environment={"PATH": PATH})
            self._proxy = process.start(launch, output=output.fileno())

    def _logs(self) -> str:
        ends = (
            f"{path}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
            for path in sorted(self.folder.rglob("*.log"))
        )
        return "\n\n".join(ends)


#: HAProxy and ip are programs for administrators.
PATH = f"{os.defpath}:/usr/sbin:/sbin"


def ip(*arguments: str) -> str:
    """Run `ip`; return what it prints."""
    command = [shutil.which("ip", path=PATH) or "ip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def _programs() -> binaries.Binaries:
    """Debian's server: of the same release as Debian's Patroni, and open to every account."""
    return next(found for found in binaries.find_all() if str(found.folder).startswith("/usr/lib/postgresql/"))


def _install_patroni(folder: Path) -> None:
    """Install the Patroni of the lock: that of Debian 12 has faults (docs/operating/many-hosts.md)."""
    requirements = str(FILES / "requirements.lock")
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r"]
    for command in ([PYTHON, "-m", "venv", str(folder)], [*pip, requirements]):
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode != 0:
            raise debian_packages.NotInstallable(f"Patroni cannot be installed: {done.stderr[-500:]}")


def _owner_of_servers() -> int:
    account = process.unprivileged_account()
    assert account is not None
    return account.uid


@contextlib.contextmanager
def running_cluster() -> Iterator[FailoverCluster]:
    """Run a cluster until the block ends. Raise debian_packages.NotInstallable."""
    if not all(shutil.which(name, path=PATH) for name in PROGRAMS):
        debian_packages.install(*PACKAGES)
    if not any(str(found.folder).startswith("/usr/lib/postgresql/") for found in binaries.find_all()):
        debian_packages.install_postgres()
    with testing.state_dir() as folder:
        folder.chmod(0o755)
        for name in NAMES:
            (folder / name).mkdir()
        _install_patroni(folder / "patroni")
        cluster = FailoverCluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
