"""Files of keys: each kind by what is in it, and the cure where one cannot be used."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from harness.certificate import make_certificate
from harness.issuer import make_key
from tidewire.config.errors import ConfigError
from tidewire.identity.key_files import load_keys
from tidewire.identity.keys import ensure_key


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_each_key_knows_its_algorithm_and_is_named_like_its_file(tmp_path: Path) -> None:
    paths = []
    for algorithm in ("RS256", "ES256", "EdDSA"):
        paths.append(tmp_path / f"{algorithm}-2026.pem")
        paths[-1].write_bytes(make_key(algorithm).pem)
    ensure_key(tmp_path / "old.key")
    keys = load_keys([*paths, tmp_path / "old.key"])
    assert [(key.algorithm, key.name) for key in keys] == [
        ("RS256", "RS256-2026"),
        ("ES256", "ES256-2026"),
        ("EdDSA", "EdDSA-2026"),
        ("HS256", "old"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pem_of(rsa.generate_private_key(65_537, 1024)), "2048 to 8192 bits, this one 1024"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (pem_of(ed448.Ed448PrivateKey.generate()), "RSA, P-256 or Ed25519"),
        (
            b"-----BEGIN PUBLIC KEY-----\nbm90aGluZw==\n-----END PUBLIC KEY-----\n",
            "not a public key",
        ),
        (b"-----BEGIN \xff", "not a public key"),
        (b"ab" * 31, "at least 64 hex digits"),
        (b"nothing", "hex digits"),
        (make_key("RS256").pem.hex().encode(), "PEM file written as hex"),
        (make_key("ES256").pem + make_key("RS256").pem, "several keys.*file of its own"),
        (b"0" * 70_000, "too large"),
    ],
)
def test_key_that_cannot_be_used_is_named_with_what_is_wrong(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as failure:
        load_keys([path])
    assert str(path) in str(failure.value)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_private_key_is_refused_with_the_command_that_gives_its_public_half(
    tmp_path: Path, form: PrivateFormat
) -> None:
    path = tmp_path / "key.pem"
    private = make_key("RS256").private
    path.write_bytes(private.private_bytes(Encoding.PEM, form, NoEncryption()))
    with pytest.raises(ConfigError, match=r"private key.*openssl pkey -in .*key.pem -pubout"):
        load_keys([path])


def test_private_key_behind_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = make_key("RS256")
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key.pem + private)
    with pytest.raises(ConfigError, match="is a private key"):
        load_keys([path])


def test_certificate_is_refused_with_the_command_that_gives_its_key(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with pytest.raises(ConfigError, match=r"certificate; .*openssl x509 -in"):
        load_keys([made.certificate])


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(ConfigError, match="cannot read the token key"):
            load_keys([path])
