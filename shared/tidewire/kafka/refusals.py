"""Why brokers do not let us in, said the same of both clients (pure)."""

from .errors import CredentialsRefusedError, TlsFailedError

__all__ = ["credentials_refused", "tls_failed"]

_TLS_REASONS = {
    "has expired": "its certificate has expired: renew it at the broker",
    "mismatch": "its certificate is for another host name: ask for the broker by a name that is in it",
    "certificate verify failed": (
        "its certificate is not to be trusted: either no authority in KAFKA__SECURITY__CA_FILE signed it, or it "
        "is for another host name than the one asked for, or it has expired"
    ),
    "alert": (
        "it refuses our certificate, or wants one: set KAFKA__SECURITY__CERTIFICATE_FILE and KEY_FILE to "
        "those that its authority signed"
    ),
}
"""By what OpenSSL says; the first one counts."""
_NO_TLS = "it does not seem to speak TLS there: see KAFKA__SECURITY__PROTOCOL and the port"
_OF_MECHANISMS = ("supported mechanisms", "UnsupportedSaslMechanism", "IllegalSaslState")


def credentials_refused(bootstrap: str, said: str) -> CredentialsRefusedError:
    """``said`` is for finding out which of several reasons it was; of a token endpoint, too."""
    if any(telling in said for telling in _OF_MECHANISMS):
        cure = "see that KAFKA__SECURITY__MECHANISM and PROTOCOL are the listener's"
    elif "token" in said.lower():
        cure = (
            "see KAFKA__SECURITY__TOKEN_URL, and that USERNAME and PASSWORD are the client's there"
        )
    else:
        cure = "see that KAFKA__SECURITY__USERNAME and PASSWORD, and MECHANISM, are those that it knows"
    return CredentialsRefusedError(f"Kafka at {bootstrap} refuses our credentials: {cure}")


def tls_failed(bootstrap: str, said: str) -> TlsFailedError:
    reason = next(
        (reason for telling, reason in _TLS_REASONS.items() if telling in said.lower()), _NO_TLS
    )
    return TlsFailedError(f"no TLS with Kafka at {bootstrap}: {reason}")
