"""A PostgreSQL database and the role that owns it: a resource of this cookbook's own, built as cookline's are."""

import base64
import hashlib
import hmac
import os
import re
from typing import Optional

from cookline import CannotKnow, Changes, Resource, ResourceError, ResourceUsageError, State, System, field

# What PostgreSQL takes for itself (scram_iterations).
ITERATIONS = 4096


class Database(Resource):
    """Exists, belongs to `owner`, and the owner logs in with `password`.

    The server gets the password only as a SCRAM verifier, over psql's standard input: it is in no argument and in no log.
    Without `password` (the drift timer keeps none) only the presence of some SCRAM password is looked at.

    >>> Database("shop", owner="shop", password="from a secret")
    """

    database: str
    owner: str = field(kw_only=True)
    password: Optional[str] = field(default=None, kw_only=True)

    sensitive_fields = ("password",)

    def __post_init__(self) -> None:
        for word in (self.database, self.owner):
            if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", word):
                raise ResourceUsageError(f"{word!r} is no name for a database or a role: small letters, digits and _ only")

    def current(self, host: System) -> State:
        if host.status("/usr/bin/psql") is None:
            return {"exists": False}
        answer = _psql(
            host,
            "SELECT d.datname IS NOT NULL, pg_get_userbyid(d.datdba), r.rolpassword FROM (SELECT) AS one"
            f" LEFT JOIN pg_database d ON d.datname = '{self.database}' LEFT JOIN pg_authid r ON r.rolname = '{self.owner}';",
        )
        exists, owner, verifier = answer.rstrip("\n").split("|")
        password = "as declared" if _accepts(verifier, self.password) else "another" if verifier else "none"
        return {"exists": exists == "t", "owner": owner, "password": password}

    def desired(self) -> State:
        return {"exists": True, "owner": self.owner, "password": "as declared"}

    def apply(self, host: System, changes: Changes) -> None:
        role, database = f'"{self.owner}"', f'"{self.database}"'
        statements = []
        if "password" in changes and self.password is not None:
            missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{self.owner}')"
            statements += [f"SELECT 'CREATE ROLE {role}' WHERE {missing} \\gexec"]
            statements += [f"ALTER ROLE {role} LOGIN PASSWORD '{_verifier(self.password)}';"]
        if "exists" in changes:
            statements += [f"CREATE DATABASE {database} OWNER {role};"]
        elif "owner" in changes:
            statements += [f"ALTER DATABASE {database} OWNER TO {role};"]
        _psql(host, "\n".join(statements), change=True)

    def declaration(self) -> State:
        return {name: value for name, value in super().declaration().items() if name != "password"}


def _psql(host: System, statements: str, *, change: bool = False) -> str:
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname=postgres"]
    done = (host.run if change else host.query)(command, user="postgres", input=statements + "\n")
    if done.status != 0:
        raise (ResourceError if host.apply else CannotKnow)(f"PostgreSQL does not answer: {done.stderr.strip()}")
    return done.stdout


def _accepts(verifier: str, password: Optional[str]) -> bool:
    """Whether a role with this `SCRAM-SHA-256$iterations:salt$stored:server` lets `password` in."""
    match = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$[^:]+:.+", verifier)
    if match is None or password is None:
        return match is not None
    made = _verifier(password, salt=base64.b64decode(match[2]), iterations=int(match[1]))
    return hmac.compare_digest(made, verifier)


def _verifier(password: str, *, salt: Optional[bytes] = None, iterations: int = ITERATIONS) -> str:
    """RFC 5803, as PostgreSQL stores it."""
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{text[0]}${text[1]}:{text[2]}"
