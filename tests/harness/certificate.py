"""A TLS certificate of one's own, for 127.0.0.1 and localhost."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Certificate", "make_certificate"]


@dataclass(frozen=True, slots=True)
class Certificate:
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Trusts this certificate and no other."""
        return ssl.create_default_context(cafile=self.certificate)


def make_certificate(folder: Path) -> Certificate:
    """Written to ``folder``; by the openssl program. Blocks for some milliseconds."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(
        [*words.split(), "-subj", "/CN=localhost", "-addext", names, *files],
        check=True,
        capture_output=True,
    )
    return made
