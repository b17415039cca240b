"""What librdkafka tells of brokers that refuse us, or that we do not trust: to no call, while it tries again for ever."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import confluent_kafka as ck

from .confluent_errors import translated
from .errors import BrokerUnavailableError
from .refusals import credentials_refused, tls_failed

__all__ = ["Refusals"]

_CREDENTIALS = ck.KafkaError._AUTHENTICATION
_TLS = ck.KafkaError._SSL
_TELLS_OF_TLS = ("SSL handshake", "SSL routines")
"""Of a connection that was lost: the broker ended it, for TLS."""
_NOT_ACQUIRED = "Failed to acquire SASL OAUTHBEARER token"
"""Without one no broker is asked at all; librdkafka tries again after ten seconds, and says nothing meanwhile."""


class Refusals:
    """Hears one handle; give it `properties`, and poll it: only then it tells.

    As long as other brokers may answer, the refusal of one is no reason to give up. While no broker answers,
    librdkafka says so once, and each refusal anew.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._last: ck.KafkaError | None = None
        self._are_all_down = False
        self._no_token: ck.KafkaError | None = None

    @property
    def properties(self) -> Mapping[str, Any]:
        return {"error_cb": self._hear}

    @contextmanager
    def named(self, what: str, *, topic: str | None = None) -> Iterator[None]:
        """As `translated`; what got no answer because no broker lets us in says so."""
        try:
            with translated(what, topic=topic):
                yield
        except BrokerUnavailableError:
            self._raise()
            raise

    def check(self) -> None:
        """Raises `CredentialsRefusedError` or `TlsFailedError` where no broker is left that may answer."""
        if self._are_all_down or self._no_token is not None:
            self._raise()

    def answered(self) -> None:
        """By a broker that lets us in."""
        self._last, self._no_token, self._are_all_down = None, None, False

    def forget(self) -> None:
        """What was heard so far says nothing of now."""
        self._last = None

    def _hear(self, error: ck.KafkaError) -> None:
        if error.code() == ck.KafkaError._ALL_BROKERS_DOWN:
            self._are_all_down = True
        elif (error.str() or "").startswith(_NOT_ACQUIRED):
            self._no_token = error
        elif _is_refusal(error):
            self._last = error

    def _raise(self) -> None:
        refusal = self._no_token or self._last
        if refusal is None:
            return
        said = refusal.str() or ""
        if refusal.code() == _CREDENTIALS:
            raise credentials_refused(self._bootstrap, said)
        raise tls_failed(self._bootstrap, said)


def _is_refusal(error: ck.KafkaError) -> bool:
    if error.code() in (_CREDENTIALS, _TLS):
        return True
    return any(telling in (error.str() or "") for telling in _TELLS_OF_TLS)
