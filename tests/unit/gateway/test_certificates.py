"""The certificate of HTTPS: what stops a start and with which words, and renewal without a restart."""

import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from pepeunit_gateway.certificates import ServerCertificate
from pepeunit_gateway.errors import StartError
from tests.support.certificates import Authority

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def files(tmp_path, authority):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.files(cert, key, "localhost")
    return cert, key


def test_old_versions_of_tls_are_not_spoken(files):
    assert ServerCertificate(*files, NOW).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_an_expired_certificate_stops_the_start_and_says_since_when(files):
    late = NOW + timedelta(days=31)
    with pytest.raises(StartError, match=r"PU_TLS_CERT: the certificate in .*cert\.pem expired on 20.* Renew it"):
        ServerCertificate(*files, late)


def test_a_key_of_another_certificate_is_named(tmp_path, files, authority):
    authority.files(tmp_path / "other.pem", tmp_path / "other-key.pem", "localhost")
    with pytest.raises(StartError, match=r"PU_TLS_KEY: .*other-key\.pem is not the key of the certificate in"):
        ServerCertificate(files[0], tmp_path / "other-key.pem", NOW)


def test_a_missing_file_is_named(tmp_path, files):
    with pytest.raises(StartError, match=r"PU_TLS_CERT: .*nowhere cannot be read: No such file"):
        ServerCertificate(tmp_path / "nowhere", files[1], NOW)
    with pytest.raises(StartError, match=r"PU_TLS_KEY: .*nowhere cannot be read: No such file"):
        ServerCertificate(files[0], tmp_path / "nowhere", NOW)


def test_a_file_that_is_no_certificate_or_no_key_is_named(tmp_path, files):
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(StartError, match=r"PU_TLS_CERT: .*text holds no certificate"):
        ServerCertificate(tmp_path / "text", files[1], NOW)
    with pytest.raises(StartError, match=r"PU_TLS_KEY: .*text holds no private key"):
        ServerCertificate(files[0], tmp_path / "text", NOW)


def test_a_key_with_a_passphrase_is_refused_instead_of_asked_for(tmp_path, files):
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", files[1], "-aes256", "-passout", "pass:secret-9", "-out", locked],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    with pytest.raises(StartError, match="without a passphrase"):
        ServerCertificate(files[0], locked, NOW)


def test_files_that_stay_are_not_read_again(files):
    assert ServerCertificate(*files, NOW).renew(NOW) is False


def test_a_renewed_certificate_is_taken_once_both_files_are_new(tmp_path, files, authority):
    certificate = ServerCertificate(*files, NOW)
    before = certificate.expires
    authority.files(tmp_path / "next.pem", tmp_path / "next-key.pem", "localhost", days=60)
    (tmp_path / "next.pem").replace(files[0])
    with capture_logs() as said:
        assert certificate.renew(NOW) is False
        assert certificate.renew(NOW) is False
    assert [(line["event"], line["log_level"]) for line in said] == [("tls.certificate.kept", "warning")]
    assert certificate.expires == before
    (tmp_path / "next-key.pem").replace(files[1])
    assert certificate.renew(NOW) is True
    assert certificate.expires > before


def test_files_that_vanish_leave_the_certificate_in_place(files):
    certificate = ServerCertificate(*files, NOW)
    shutil.move(files[0], files[0].with_suffix(".away"))
    with capture_logs() as said:
        assert certificate.renew(NOW) is False
    assert [line["event"] for line in said] == ["tls.certificate.kept"]


def test_a_certificate_about_to_expire_is_told_once_a_day(files):
    certificate = ServerCertificate(*files, NOW)
    with capture_logs() as said:
        for hours in (0, 20 * 24, 20 * 24 + 1, 21 * 24 + 1):
            certificate.renew(NOW + timedelta(hours=hours))
    assert [line["event"] for line in said] == ["tls.certificate.expires"] * 2
