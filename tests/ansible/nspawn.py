"""A systemd-nspawn host for one test: made, reached over SSH and removed here, and nothing of it stays."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# Services of the image that a test of the roles doesn't use.
MASKED = ("nginx", "postgresql", "valkey-server", "apt-daily.timer", "apt-daily-upgrade.timer")


def rootfs() -> Path:
    """The lab's image, which `make lab` builds; REFARCH_TEST_ROOTFS names another."""
    if given := os.environ.get("REFARCH_TEST_ROOTFS"):
        return Path(given)
    return cache() / "lab" / "image" / "rootfs"


def cache() -> Path:
    if given := os.environ.get("REFARCH_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refarch"


def run(*argv: str | Path, check: bool = True, text_in: str | None = None) -> subprocess.CompletedProcess[str]:
    given = {"stdin": subprocess.DEVNULL} if text_in is None else {"input": text_in}
    done = subprocess.run([str(a) for a in argv], text=True, capture_output=True, check=False, **given)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))} ended with {done.returncode}: {done.stderr}{done.stdout}")
    return done


class Host:
    """One host with one data disk. Use it as a context manager, so that it goes away whatever happens."""

    def __init__(self, name: str, disk_mb: int = 1024):
        self.name, self.disk_mb = name, disk_mb
        self.cleanup = contextlib.ExitStack()
        self.nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Host:
        # unittest leaves out its own cleanups when it is interrupted; closing twice does nothing.
        atexit.register(self.cleanup.close)
        try:
            self._make()
        except BaseException:
            self.cleanup.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.cleanup.close()

    def _make(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="refarch-roles-"))
        self.cleanup.callback(shutil.rmtree, self.folder)
        self.root = self.folder / "merged"
        self.cleanup.callback(self._unmount)
        self._mount()
        self._network()
        self._disk()
        self._access()
        self.cleanup.callback(self.kill)
        self.boot()

    def _mount(self) -> None:
        for part in ("upper", "work", "merged"):
            (self.folder / part).mkdir()
        layers = f"lowerdir={rootfs()},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def _unmount(self) -> None:
        if self.root.is_mount():
            run("umount", self.root)

    def replace(self) -> None:
        """Another host in the place of one that died, with the same data disk and address."""
        self.kill()
        self._unmount()
        for part in ("upper", "work", "merged"):
            shutil.rmtree(self.folder / part)
        (self.folder / "known_hosts").unlink()
        self._mount()
        self._access()
        self.boot()

    def _network(self) -> None:
        with open(__file__, encoding="utf-8") as lock:
            # Between the choice of a network and its use, nobody else may choose.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make_network()

    def _make_network(self) -> None:
        tag = f"rr{os.getpid()}"
        self.netns = tag
        net = next(n for n in range(240, 255) if f"198.18.{n}." not in run("ip", "-o", "address").stdout)
        self.address, self.gateway = f"198.18.{net}.2", f"198.18.{net}.1"
        run("ip", "netns", "add", tag)
        self.cleanup.callback(run, "ip", "netns", "delete", tag)
        run("ip", "link", "add", f"{tag}h", "type", "veth", "peer", "name", "host0", "netns", tag)
        # With the namespace alone, the link would go only some time after it.
        self.cleanup.callback(run, "ip", "link", "delete", f"{tag}h")
        run("ip", "address", "add", f"{self.gateway}/24", "dev", f"{tag}h")
        run("ip", "link", "set", f"{tag}h", "up")
        run("ip", "-n", tag, "address", "add", f"{self.address}/24", "dev", "host0")
        run("ip", "-n", tag, "link", "set", "host0", "up")
        run("ip", "-n", tag, "link", "set", "lo", "up")

    def _disk(self) -> None:
        image = self.folder / "disk.img"
        with image.open("wb") as file:
            file.truncate(self.disk_mb << 20)
        self.loop = run("losetup", "--find", "--show", image).stdout.strip()
        self.cleanup.callback(run, "losetup", "--detach", self.loop)

    def _access(self) -> None:
        key = self.folder / "key"
        if not key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        home = self.root / "root" / ".ssh"
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "authorized_keys").write_text((self.folder / "key.pub").read_text())
        run("ssh-keygen", "-A", "-f", self.root)
        for unit in MASKED:
            name = unit if "." in unit else f"{unit}.service"
            place = self.root / "etc/systemd/system" / name
            place.unlink(missing_ok=True)
            place.symlink_to("/dev/null")
        self.ssh_config = self.folder / "ssh_config"
        self.ssh_config.write_text(
            f"Host {self.name}\n  HostName {self.address}\n  User root\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
            "  ServerAliveInterval 5\n"
        )

    def boot(self) -> None:
        env = dict(os.environ, UNIFIED_CGROUP_HIERARCHY="1", SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1")
        argv = ["systemd-nspawn", "-q", "--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{self.netns}"]
        argv += [f"--machine={self.name}", f"--directory={self.root}", "--boot", "--link-journal=no"]
        argv += [f"--bind={self.loop}:/dev/refarch/data"]
        with (self.folder / "console.log").open("ab") as log:
            self.nspawn = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + 60
        while self.ssh("true", check=False).returncode:
            if time.monotonic() > end or self.nspawn.poll() is not None:
                raise RuntimeError(f"{self.name} does not boot: {(self.folder / 'console.log').read_text()[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Shuts the host down in order."""
        nspawn = self._running()
        if nspawn:
            nspawn.send_signal(signal.SIGTERM)
            nspawn.wait(120)

    def kill(self) -> None:
        """Ends the host at once, as a power cut would. Its first process takes all others of it along."""
        nspawn = self._running()
        if nspawn:
            for leader in run("pgrep", "--parent", str(nspawn.pid), check=False).stdout.split():
                os.kill(int(leader), signal.SIGKILL)
            try:
                nspawn.wait(10)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()

    def _running(self) -> subprocess.Popen[bytes] | None:
        return self.nspawn if self.nspawn and self.nspawn.poll() is None else None

    def ssh(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run("ssh", "-F", self.ssh_config, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", self.name, command, check=check)
