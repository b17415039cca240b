"""Which certificate is shown: the newest that can be used, each with a key of its own."""

import os
import shutil
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from harness.authority import Authority, make_authority
from harness.certificate import Certificate
from tidewire.config.errors import ConfigError
from tidewire.config.transport import TlsSettings
from tidewire.http.certificate import ServedCertificate

PREFIX = "TIDEWIRE_DEMO__"
DAY = 24 * 3600


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def served(folder: Path, password: SecretStr | None = None) -> ServedCertificate:
    files = {"certificate_file": folder / "tls.crt", "key_file": folder / "tls.key"}
    return ServedCertificate(TlsSettings(**files, key_password=password), PREFIX)


def install(pair: Certificate, folder: Path, *, at: int = 0) -> None:
    """Where the service looks; ``at`` tells one version from another, however fast they come."""
    for source, name in ((pair.certificate, "tls.crt"), (pair.key, "tls.key")):
        shutil.copy(source, folder / name)
        os.utime(folder / name, (at, at))


def shown_by(
    certificate: ServedCertificate,
    trusted: Authority,
    name: str | None = None,
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> str:
    """The subject of the certificate that a client is shown who asks for ``name``, and checks everything."""
    context = ssl.create_default_context(cafile=trusted.certificate)
    context.check_hostname = name is not None
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or OpenSSL itself would offer nothing old
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = newest
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = context.wrap_bio(to_client, to_server, server_hostname=name)
    answering = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [asking, answering]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    found = asking.getpeercert()
    assert found is not None
    subject: Any = found["subject"]
    return str(dict(pair for (pair,) in subject)["commonName"])


def test_certificate_tells_when_it_expires(authority: Authority, tmp_path: Path) -> None:
    install(authority.issue("two-days", days=2), tmp_path)
    assert served(tmp_path).expires_at == pytest.approx(time.time() + 2 * DAY, abs=600)


@pytest.mark.parametrize("name", [None, "localhost"])
def test_new_pair_is_shown_with_and_without_a_server_name(
    authority: Authority, tmp_path: Path, name: str | None
) -> None:
    install(authority.issue("first"), tmp_path, at=1)
    certificate = served(tmp_path)
    assert not certificate.reload()
    assert shown_by(certificate, authority, name) == "first"
    install(authority.issue("second", days=5), tmp_path, at=2)
    assert certificate.reload()
    assert shown_by(certificate, authority, name) == "second"
    assert certificate.expires_at == pytest.approx(time.time() + 5 * DAY, abs=600)


def test_pair_that_does_not_belong_together_changes_nothing_until_it_does(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = authority.issue("old"), authority.issue("new")
    install(first, tmp_path, at=1)
    certificate = served(tmp_path)
    shutil.copy(second.certificate, tmp_path / "tls.crt")
    assert not certificate.reload()
    assert not certificate.reload()  # told once
    (told,) = caplog.records
    assert told.levelname == "ERROR"
    assert "KEY_VALUES_MISMATCH" in told.getMessage()
    assert shown_by(certificate, authority) == "old"
    install(second, tmp_path, at=3)
    assert certificate.reload()
    assert shown_by(certificate, authority) == "new"


def test_files_that_are_gone_for_a_moment_change_nothing(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = authority.issue("steady")
    install(pair, tmp_path, at=1)
    certificate = served(tmp_path)
    (tmp_path / "tls.crt").unlink()
    assert not certificate.reload()
    assert "cannot be read" in caplog.text
    assert shown_by(certificate, authority) == "steady"
    install(pair, tmp_path, at=2)
    assert certificate.reload()


def test_link_that_leads_elsewhere_is_a_change(authority: Authority, tmp_path: Path) -> None:
    """As a mounted Kubernetes secret is renewed: one link is replaced, the files behind it are new."""
    for folder, name in (("a", "before"), ("b", "after")):
        (tmp_path / folder).mkdir()
        install(authority.issue(name), tmp_path / folder, at=1)
    (tmp_path / "data").symlink_to("a")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(Path("data") / name)
    certificate = served(tmp_path)
    (tmp_path / "next").symlink_to("b")
    (tmp_path / "next").rename(tmp_path / "data")
    assert certificate.reload()
    assert shown_by(certificate, authority) == "after"


def test_old_certificate_is_not_shown_beside_one_with_a_key_of_another_kind(
    authority: Authority, tmp_path: Path
) -> None:
    made = Certificate(tmp_path / "rsa.pem", tmp_path / "rsa.key")
    issued = authority.issue("elliptic")
    _make_rsa(made)
    install(made, tmp_path, at=1)
    certificate = served(tmp_path)
    trusted = Authority(tmp_path, made.certificate, made.key)
    assert shown_by(certificate, trusted) == "rsa"
    install(issued, tmp_path, at=2)
    assert certificate.reload()
    assert shown_by(certificate, authority) == "elliptic"
    with pytest.raises(ssl.SSLCertVerificationError):
        shown_by(certificate, trusted)


def test_encrypted_key_needs_its_password(authority: Authority, tmp_path: Path) -> None:
    install(authority.locked("locked", "sesame"), tmp_path)
    assert shown_by(served(tmp_path, SecretStr("sesame")), authority) == "locked"
    for wrong in (None, SecretStr("simsim")):
        with pytest.raises(ConfigError, match=f"{PREFIX}TLS__KEY_PASSWORD opens") as refused:
            served(tmp_path, wrong)
        assert "simsim" not in str(refused.value)


@pytest.mark.parametrize(
    ("missing", "setting"),
    [("tls.crt", "TLS__CERTIFICATE_FILE"), ("tls.key", "TLS__KEY_FILE")],
)
def test_file_that_is_not_there_is_named_with_its_setting(
    authority: Authority, tmp_path: Path, missing: str, setting: str
) -> None:
    install(authority.issue("half"), tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ConfigError, match=rf"{missing}: cannot be read: .*{PREFIX}{setting}"):
        served(tmp_path)


@pytest.mark.parametrize("text", ["", "no certificate\n", "-----BEGIN CERTIFICATE-----\n"])
def test_file_that_is_no_certificate_is_refused(
    authority: Authority, tmp_path: Path, text: str
) -> None:
    install(authority.issue("good"), tmp_path)
    (tmp_path / "tls.crt").write_text(text)
    with pytest.raises(ConfigError, match="are no certificate with its key"):
        served(tmp_path)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_what_is_older_than_tls_1_2_is_refused(authority: Authority, tmp_path: Path) -> None:
    install(authority.issue("modern"), tmp_path)
    certificate = served(tmp_path)
    assert shown_by(certificate, authority, newest=ssl.TLSVersion.TLSv1_2) == "modern"
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shown_by(certificate, authority, newest=ssl.TLSVersion.TLSv1_1)


def _make_rsa(made: Certificate) -> None:
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rsa"
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run([*words.split(), *files], check=True, capture_output=True)
