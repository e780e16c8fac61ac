"""Which major version of PostgreSQL a host has: its files and its unit are named by it."""

from cookline import Node, ResourceUsageError

BY_DEBIAN = {"11": "13", "12": "15", "13": "17"}


def major(node: Node) -> str:
    """The attribute postgres.version, or what this Debian brings."""
    given = node["postgres"]["version"]
    release = node.facts.os.version
    if given is None and release not in BY_DEBIAN:
        raise ResourceUsageError(f"which PostgreSQL {node.facts.os.name} brings is not known here: set postgres.version")
    return str(given or BY_DEBIAN[release])
