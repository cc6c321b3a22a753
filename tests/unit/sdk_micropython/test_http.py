"""http.py in the real MicroPython; how it meets real and false servers is in tests/integration."""

from tests.support.micropython import run_script


def test_urls_are_taken_apart(tmp_path):
    run_script(
        """
from pepeunit.http import split

assert split("http://host/a/b?c=d") == ("http", "host", 80, "/a/b?c=d")
assert split("https://host/a") == ("https", "host", 443, "/a")
assert split("http://host:8080/a:b/c") == ("http", "host", 8080, "/a:b/c")
assert split("https://[::1]:8443/a") == ("https", "::1", 8443, "/a")
assert split("https://[fe80::1]/a") == ("https", "fe80::1", 443, "/a")
""",
        tmp_path,
    )
