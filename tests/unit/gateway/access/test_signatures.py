"""Signatures of push notices. The vector is the one that GitHub documents for its webhooks."""

import pytest

from pepeunit_gateway.access.signatures import PushProof, SignedBody

SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def signed(*pieces, secret=SECRET):
    body = SignedBody(secret)
    for piece in pieces or (BODY,):
        body.add(piece)
    return body


def test_the_published_signature_fits_its_body():
    assert signed().is_proved_by(PushProof(SIGNATURE))


def test_it_does_not_matter_in_which_pieces_the_body_comes():
    assert signed(b"Hel", b"", b"lo, World", b"!").is_proved_by(PushProof(SIGNATURE))


def test_an_hmac_of_rfc_4231_fits():
    """Its test case 2."""
    signature = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signed(b"what do ya want ", b"for nothing?", secret="Jefe").is_proved_by(PushProof(signature))


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE[:-1] + "8",
        SIGNATURE.removeprefix("sha256="),
        SIGNATURE + " ",
        SIGNATURE.replace("sha256", "sha1"),
        "sha256=",
        "sha256=" + "0" * 64,
        "sha256=ü",
        "\udcff",
    ],
)
def test_any_other_signature_does_not(signature):
    assert not signed().is_proved_by(PushProof(signature))


def test_another_body_or_another_secret_does_not_fit():
    assert not signed(BODY, b"\n").is_proved_by(PushProof(SIGNATURE))
    assert not signed(secret="another").is_proved_by(PushProof(SIGNATURE))


def test_a_token_is_the_secret_itself_whatever_the_body():
    assert signed(b"anything").is_proved_by(PushProof(token=SECRET))
    for wrong in ("", "another", SECRET + "x", "ü", "\udcff"):
        assert not signed().is_proved_by(PushProof(token=wrong))


def test_beside_a_signature_a_token_counts_for_nothing():
    assert not signed().is_proved_by(PushProof("sha256=wrong", SECRET))


def test_a_proof_tells_whether_there_is_anything_to_compare_and_whether_it_is_a_ping():
    assert (PushProof().is_given, PushProof("s").is_given, PushProof(token="t").is_given) == (False, True, True)
    assert (PushProof(event="ping").is_ping, PushProof(event="push").is_ping, PushProof().is_ping) == (
        True,
        False,
        False,
    )


def test_a_proof_shows_neither_signature_nor_token():
    assert "secret" not in repr(PushProof("secret", "secret", "push"))
