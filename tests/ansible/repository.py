"""A signed Debian repository with one package, and an HTTP server that a test's host can reach."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from email.utils import formatdate
from pathlib import Path

from nspawn import run


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


class Server:
    """Serves a folder on the address that the host sees. Use it as a context manager."""

    def __init__(self, folder: Path, address: str):
        handler = functools.partial(QuietHandler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer((address, 0), handler)
        self.url = f"http://{address}:{self.server.server_port}"

    def __enter__(self) -> Server:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()


def publish(folder: Path, package: Path, distribution: str, keys: Path) -> Path:
    """Writes the repository into the folder and returns the ASCII-armoured key that signs it."""
    pool = folder / "pool" / package.name
    pool.parent.mkdir()
    pool.write_bytes(package.read_bytes())
    fields = run("dpkg-deb", "--field", package).stdout
    content = pool.read_bytes()
    entry = f"{fields}Filename: pool/{package.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    packages = folder / "dists" / distribution / "main" / "binary-amd64" / "Packages"
    packages.parent.mkdir(parents=True)
    packages.write_text(entry)
    index = hashlib.sha256(packages.read_bytes()).hexdigest()
    release = folder / "dists" / distribution / "Release"
    release.write_text(
        f"Suite: {distribution}\nCodename: {distribution}\nArchitectures: amd64\nComponents: main\nDate: {formatdate(usegmt=True)}\n"
        f"SHA256:\n {index} {packages.stat().st_size} main/binary-amd64/Packages\n"
    )
    return sign(release, keys)


def sign(release: Path, keys: Path) -> Path:
    keys.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(keys), "--batch", "--yes", "--quiet"]
    try:
        run(*gpg, "--passphrase", "", "--quick-generate-key", "repository@refarch.invalid", "ed25519", "sign", "never")
        run(*gpg, "--clearsign", "--output", release.with_name("InRelease"), release)
        key = keys / "repository.asc"
        run(*gpg, "--armor", "--export", "--output", key)
        return key
    finally:
        run("gpgconf", "--homedir", keys, "--kill", "all")
