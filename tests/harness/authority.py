"""A certificate authority of one's own, whose certificates are good, for another name, or expired."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.certificate import Certificate

__all__ = ["HERE", "Authority", "make_authority"]

HERE = "DNS:localhost,IP:127.0.0.1"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True, slots=True)
class Authority:
    """``certificate`` is what those must have who are to trust it."""

    folder: Path
    certificate: Path
    key: Path

    def issue(self, name: str, *, names: str = HERE, days: int = 2) -> Certificate:
        """A certificate for the subject ``name`` and the host names ``names``; with negative ``days`` it has expired."""
        made = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        signer = ["-CA", str(self.certificate), "-CAkey", str(self.key), "-days", str(days)]
        files = ["-in", str(request), "-extfile", str(extensions), "-out", str(made.certificate)]
        _openssl("x509", "-req", *signer, *files)
        return made

    def locked(self, name: str, password: str) -> Certificate:
        """A certificate whose key can be read with the password alone."""
        plain = self.issue(name)
        locked = Certificate(plain.certificate, self.folder / f"{name}.locked.key")
        words = ["-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{password}"]
        _openssl("pkcs8", *words, "-in", plain.key, "-out", locked.key)
        return locked


def make_authority(folder: Path, name: str = "authority") -> Authority:
    """Written to ``folder``; by the openssl program. Blocks for some milliseconds."""
    made = Authority(folder, folder / f"{name}.pem", folder / f"{name}.key")
    signer = ["-days", "2", "-subj", f"/CN={name}"]
    _openssl("req", "-x509", *_KEY, *signer, "-keyout", made.key, "-out", made.certificate)
    return made


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
