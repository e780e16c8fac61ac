"""Packages with versions, holds, removals and those that they depend on."""

from cookline import Directory, Execute, File, Node, Package


def recipe(node: Node) -> None:
    node.ensure(Package("cookline-hello", version="1.0"))
    node.ensure(Package("cookline-hello"))
    node.ensure(Package("cookline-hello", version="1.0"))
    node.ensure(Package("cookline-hello", version="1.*"))
    node.ensure(File("/usr/bin/cookline-hello", mode="0755"))
    node.ensure(Package("cookline-hello", version="1.1", held=True))
    node.ensure(Package("cookline-hello", held=True))
    node.ensure(Package("cookline-hello", held=False))
    node.ensure(Package("cookline-hello", exists=False, purge=True))
    node.ensure(File("/usr/bin/cookline-hello", exists=False))
    node.ensure(Package("cookline-hello", exists=False))
    node.ensure(Package(["curl", "logrotate"]))
    node.ensure(Package("libcurl4"))
    node.ensure(File("/usr/bin/curl"))
    node.ensure(Directory("/etc/logrotate.d"))
    node.ensure(Execute("curl --version", only_if="command -v curl"))
