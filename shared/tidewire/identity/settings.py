"""Which tokens a service accepts, under ``TIDEWIRE_<SERVICE>__TOKENS__…``."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..config.listening import is_loopback
from ..config.lists import COMMAS
from ..config.urls import is_http_url
from ..units import SECONDS
from .claims import AUDIENCE, DEV_ISSUER, TokenPolicy
from .jwks_state import JwksTimes
from .key_ring import ASYMMETRIC, Algorithm

__all__ = ["TokenSettings"]

_MAX_KEY_FILES = 16
_Seconds = Annotated[float, Field(ge=1, le=86_400, json_schema_extra=SECONDS)]


class TokenSettings(BaseModel):
    """Durations in seconds. With neither key files nor a URL the service's ``TOKEN_KEY_FILE`` is all there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_files: Annotated[tuple[Path, ...], *COMMAS] = Field(
        default=(),
        max_length=_MAX_KEY_FILES,
        description="up to 16 files: public keys as PEM (RSA of 2048 to 8192 bits for RS256, P-256 for ES256, Ed25519 "
        "for EdDSA), or HS256 keys as hex text. Each is for its one algorithm, whatever a token says. A file's name "
        "without its ending is the key's name (`kid`)",
    )
    jwks_url: str | None = Field(
        default=None,
        description="where the identity provider publishes its keys; `https`, but for this machine",
    )
    issuer: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="claim `iss` that tokens must have. Required with `KEY_FILES` or `JWKS_URL`",
    )
    audience: Annotated[tuple[str, ...], *COMMAS] = Field(
        default=(AUDIENCE,),
        min_length=1,
        description="claim `aud` of a token must name one of these",
    )
    algorithms: Annotated[tuple[Algorithm, ...], *COMMAS] = Field(
        default=(),
        description="those that are accepted; by default those that the keys are for (`JWKS_URL`: all but HS256)",
    )
    leeway: float = Field(
        default=5.0,
        ge=0,
        le=300,
        description="clock difference that is forgiven",
        json_schema_extra=SECONDS,
    )
    jwks_ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) of the only authorities that may vouch for `JWKS_URL`; by default the public "
        "ones",
    )
    jwks_interval: _Seconds = Field(
        default=JwksTimes().interval,
        description="between two fetches of the keys, in the background; up to a tenth less",
    )
    jwks_timeout: Annotated[float, Field(gt=0, le=60, json_schema_extra=SECONDS)] = Field(
        default=JwksTimes().timeout,
        description="for a fetch; shorter than `HELLO_TIMEOUT`, so that a client that waits for it has its answer",
    )
    jwks_cooldown: _Seconds = Field(
        default=JwksTimes().cooldown,
        description="of rest after a fetch before a key that the set does not have is the reason of another",
    )

    @field_validator("jwks_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not is_http_url(url):
            raise ValueError(
                "must be an https URL, such as https://issuer.example/.well-known/jwks.json"
            )
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "must be an https URL: who can change the keys on their way can make tokens"
            )
        if parts.username or parts.password or parts.fragment:
            raise ValueError("must have no user, password or #fragment: keys are public")
        return url

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.has_keys and self.issuer is None:
            raise ValueError(
                "ISSUER is not set; name whose tokens are accepted: the claim iss of its tokens"
            )
        if self.jwks_url and self.algorithms and ASYMMETRIC.isdisjoint(self.algorithms):
            raise ValueError(
                "JWKS_URL publishes keys for RS256, ES256 and EdDSA, none of which is in ALGORITHMS: "
                "add one, or leave JWKS_URL out"
            )
        if self.jwks_ca_file and not (self.jwks_url or "").startswith("https:"):
            raise ValueError("JWKS_CA_FILE needs an https JWKS_URL: set both, or neither")
        return self

    @property
    def has_keys(self) -> bool:
        return bool(self.key_files or self.jwks_url)

    @property
    def policy(self) -> TokenPolicy:
        return TokenPolicy(self.issuer or DEV_ISSUER, self.audience, self.leeway)

    @property
    def times(self) -> JwksTimes:
        return JwksTimes(self.jwks_interval, self.jwks_timeout, self.jwks_cooldown)

    def check(self, token_key_file: Path | None, prefix: str) -> None:
        """Raises ``ValueError`` where both this and the simple form name keys, or neither does and more is told."""
        if self.has_keys and token_key_file is not None:
            raise ValueError(
                f"{prefix}TOKEN_KEY_FILE: is the simple form, and {prefix}TOKENS__… names keys too: "
                f"leave it out, and add its file to {prefix}TOKENS__KEY_FILES where it is still needed"
            )
        if not self.has_keys and token_key_file is None and self.model_fields_set:
            name = min(self.model_fields_set).upper()
            raise ValueError(
                f"{prefix}TOKENS__{name}: says nothing without keys: set {prefix}TOKENS__KEY_FILES, "
                f"{prefix}TOKENS__JWKS_URL or {prefix}TOKEN_KEY_FILE too, or leave it out"
            )
