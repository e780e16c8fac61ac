"""The password of a Database: made and compared as PostgreSQL does it. On a real server: tests/e2e/test_demo.py."""

import base64
import hashlib
import hmac

import pytest

from cookbooks.postgres.resources.database import Database, _accepts, _verifier
from cookline.errors import ResourceUsageError

# The exchange of RFC 7677, section 3: user "user", password "pencil".
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_server_key_proves_itself_as_in_the_rfc() -> None:
    server_key = base64.b64decode(_verifier("pencil", salt=SALT).rpartition(":")[2])
    assert base64.b64encode(hmac.digest(server_key, AUTH_MESSAGE, hashlib.sha256)).decode() == SERVER_SIGNATURE


def test_a_password_is_known_again_and_another_is_not() -> None:
    verifier = _verifier("sesame-open")
    assert _accepts(verifier, "sesame-open")
    assert not _accepts(verifier, "sesame-shut")
    assert "sesame" not in verifier


def test_the_drift_timer_is_content_with_any_scram_password() -> None:
    assert _accepts(_verifier("sesame-open"), None)
    assert not _accepts("", None)
    assert not _accepts("md5c0ffee", None)


def test_the_password_is_not_kept_for_the_drift_timer() -> None:
    declared = Database("shop", owner="shop", password="sesame-open").declaration()
    assert "sesame-open" not in str(declared)
    assert Database.from_declaration(declared).name == "Database[shop]"


@pytest.mark.parametrize("name", ["", "Shop", "shop; DROP TABLE product", "1shop", 'sh"op'])
def test_a_name_that_would_need_quoting_is_refused(name: str) -> None:
    with pytest.raises(ResourceUsageError, match="no name for a database"):
        Database(name, owner="shop")
