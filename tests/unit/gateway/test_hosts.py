"""Networks and origins: what is taken, in which form, and what is refused with which words."""

import pytest

from pepeunit_gateway.errors import SettingsError
from pepeunit_gateway.hosts import read_networks, read_origins
from pepeunit_gateway.settings import read_settings


def test_networks_are_addresses_and_prefixes():
    found = read_networks(" 127.0.0.1 ,10.0.0.0/8,, fd00::/8,::1")
    assert [str(network) for network in found] == ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8", "::1/128"]
    assert read_networks("") == ()


@pytest.mark.parametrize("value", ["nginx", "10.0.0.0/33", "10.0.0.1:80", "127.0.0.1 10.0.0.1", "*"])
def test_a_proxy_that_is_no_network_is_refused(tmp_path, value):
    with pytest.raises(SettingsError, match=r"PU_TRUSTED_PROXIES: must be IP addresses .* number 2 is neither"):
        read_settings({"PU_TRUSTED_PROXIES": f"127.0.0.1, {value}"}, tmp_path)


def test_a_network_with_host_bits_is_explained(tmp_path):
    with pytest.raises(SettingsError, match=r"PU_TRUSTED_PROXIES: .* number 1 has host bits set"):
        read_settings({"PU_TRUSTED_PROXIES": "10.0.0.1/8"}, tmp_path)


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://app.example.org", ("https://app.example.org",)),
        ("https://App.Example.org:443, http://localhost:3000", ("https://app.example.org", "http://localhost:3000")),
        ("http://192.0.2.1:80,http://[::1]:8080, http://192.0.2.1", ("http://192.0.2.1", "http://[::1]:8080")),
    ],
)
def test_origins_get_the_form_in_which_browsers_send_them(tmp_path, value, origins):
    assert read_origins(value) == origins
    assert read_settings({"PU_CORS_ORIGINS": value}, tmp_path).allowed_origins == origins


@pytest.mark.parametrize(
    "value",
    ["app.example.org", "https://", "https://app.example.org/", "https://a b", "ftp://host", "https://host:0",
     "https://host:65536", "https://user@host", "null", "https://*.example.org", "https://host?x", "*, https://host"],
)  # fmt: skip
def test_an_origin_that_is_none_is_refused(tmp_path, value):
    with pytest.raises(SettingsError, match="PU_CORS_ORIGINS: must be origins separated by commas"):
        read_settings({"PU_CORS_ORIGINS": value}, tmp_path)


@pytest.mark.parametrize(("given", "missing"), [("PU_TLS_CERT", "PU_TLS_KEY"), ("PU_TLS_KEY", "PU_TLS_CERT")])
def test_a_certificate_without_its_key_names_what_is_missing(tmp_path, given, missing):
    with pytest.raises(SettingsError, match=f"{missing} is missing"):
        read_settings({given: "server.pem"}, tmp_path)
