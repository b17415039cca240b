"""The certificate that a service shows: read from files, and again when they have changed."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates
from pydantic import SecretStr

from ..config.errors import ConfigError
from ..config.transport import TlsSettings
from ..telemetry.logging import get_logger

__all__ = ["ServedCertificate"]

_FileState = tuple[int, int, int] | None

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate and key that belong together; ``expires_at`` in Unix seconds."""

    context: ssl.SSLContext
    expires_at: float


class ServedCertificate:
    """``context`` shakes hands with the newest pair of files that could be used.

    Each pair has a context of its own, checked before any client meets it; ``context`` hands every handshake on to the
    newest. To load a second pair into the same one would not do: half of it stays where the other half
    is refused, and next to a key of another kind the old certificate goes on being shown.

    Constructing blocks, and raises ``ConfigError`` with the file, its setting (after ``prefix``) and the cure.
    """

    def __init__(self, tls: TlsSettings, prefix: str) -> None:
        assert tls.certificate_file is not None
        assert tls.key_file is not None
        self._certificate_file, self._key_file = tls.certificate_file, tls.key_file
        self._password = tls.key_password or SecretStr("")
        self._interval = tls.reload_interval
        self._prefix = prefix
        self._seen = self._look()
        self._pair = self._load()
        self.context = self._pair.context
        self.context.sni_callback = self._choose

    @property
    def expires_at(self) -> float:
        """Unix seconds."""
        return self._pair.expires_at

    async def watch(self, on_loaded: Callable[[], None]) -> None:
        """Load the files whenever they have changed, and tell; what cannot be used is logged, and changes nothing."""
        while True:
            await asyncio.sleep(self._interval)
            if await asyncio.to_thread(self.reload):
                on_loaded()

    def reload(self) -> bool:
        """Whether the files have changed and were loaded. Blocks."""
        seen = self._look()  # before they are read: what changes meanwhile is seen the next time
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._pair = self._load()
        except ConfigError as error:
            _log.error("new certificate cannot be used: the one before stays", reason=str(error))
            return False
        _log.info("certificate loaded", expires_at=round(self._pair.expires_at))
        return True

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: object) -> None:
        """OpenSSL asks in every handshake, with or without a server name."""
        connection.context = self._pair.context

    def _look(self) -> tuple[_FileState, _FileState]:
        return _state_of(self._certificate_file), _state_of(self._key_file)

    def _load(self) -> _Pair:
        certificate = self._read(self._certificate_file, "TLS__CERTIFICATE_FILE")
        self._read(self._key_file, "TLS__KEY_FILE")
        context = _server_context()
        try:
            context.load_cert_chain(
                self._certificate_file, self._key_file, self._password.get_secret_value
            )
            shown = load_pem_x509_certificates(certificate)[0]
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            raise ConfigError(
                f"{self._certificate_file} and {self._key_file}: are no certificate with its key ({reason}); "
                f"{self._prefix}TLS__CERTIFICATE_FILE and {self._prefix}TLS__KEY_FILE name PEM files, "
                f"{self._prefix}TLS__KEY_PASSWORD opens an encrypted key"
            ) from None
        return _Pair(context, shown.not_valid_after_utc.timestamp())

    def _read(self, path: Path, setting: str) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read: {error.strerror}; name the file in {self._prefix}{setting}"
            ) from None


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client may not have us shake hands again
    context.set_alpn_protocols(["http/1.1"])
    return context


def _state_of(path: Path) -> _FileState:
    """Changes with the file's content, or with what a link in its place leads to."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_ino, found.st_size
    return None
