"""Files for TLS as a client: whom to trust, and what to show; each that cannot be used is named with its cure."""

import ssl
from pathlib import Path

from .errors import TidewireError

__all__ = ["TlsFileError", "show_certificate", "trusting"]


class TlsFileError(TidewireError, ValueError):
    """A file is not there, or holds something else; the message names it."""


def trusting(authorities: Path | None) -> ssl.SSLContext:
    """Checks certificates and the names in them; trusts the machine's authorities where none are named."""
    if authorities is not None:
        _see_that_it_can_be_read(authorities)
    try:
        return ssl.create_default_context(cafile=authorities)
    except ssl.SSLError:
        raise TlsFileError(f"{authorities} holds no certificate: name a PEM file") from None


def show_certificate(
    context: ssl.SSLContext, certificate: Path, key: Path, password: str = ""
) -> None:
    """Let servers that ask see who we are."""
    _see_that_it_can_be_read(certificate)
    _see_that_it_can_be_read(key)
    try:
        # None for a password would have OpenSSL ask for it at the terminal.
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, ValueError):
        cure = "is its password right?" if password else "or has it a password?"
        raise TlsFileError(
            f"{key} is not the PEM key of the certificate in {certificate}; {cure}"
        ) from None


def _see_that_it_can_be_read(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise TlsFileError(f"{path} cannot be read ({error.strerror}): name a PEM file") from None
