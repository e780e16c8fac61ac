"""Settings of the system, each declared twice or seen by another kind."""

from cookline import (
    BlockInFile,
    EnvironmentVariable,
    File,
    FirewallRule,
    Hostname,
    HostsEntry,
    IniSetting,
    KernelModule,
    LineInFile,
    Link,
    Locale,
    Logrotate,
    Mount,
    Node,
    Package,
    Sudoers,
    Sysctl,
    Timezone,
)


def recipe(node: Node) -> None:
    node.ensure(HostsEntry("10.0.0.7", ["db"]))
    node.ensure(HostsEntry("10.0.0.7", ["db"]))
    node.ensure(Hostname("web9"))
    node.ensure(Hostname("web9"))
    node.ensure(Timezone("Europe/Berlin"))
    node.ensure(Timezone("Europe/Berlin"))
    node.ensure(Link("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin"))
    node.ensure(File("/etc/timezone", "Europe/Berlin\n"))
    node.ensure(Locale("C.UTF-8", categories={"LC_TIME": "C.UTF-8"}))
    node.ensure(Locale("C.UTF-8", categories={"LC_TIME": "C.UTF-8"}))
    node.ensure(Sysctl("vm.swappiness", 10, live=False))
    node.ensure(Sysctl("vm.swappiness", 10, live=False))
    node.ensure(KernelModule("br_netfilter", loaded=False))
    node.ensure(KernelModule("br_netfilter", loaded=False))
    node.ensure(Mount("/mnt/x", "tmpfs", "tmpfs"))
    node.ensure(Mount("/mnt/x", "tmpfs", "tmpfs"))
    node.ensure(File("/mnt/x/f", "f"))
    node.ensure(Package("logrotate"))
    node.ensure(Logrotate("shop", "/var/log/shop.log"))
    node.ensure(Package("nftables"))
    node.ensure(FirewallRule("web", "tcp dport 80 accept"))
    node.ensure(FirewallRule("web", "tcp dport 80 accept"))
    node.ensure(Package("sudo"))
    node.ensure(Sudoers("ops", users="root", nopasswd=True))
    node.ensure(EnvironmentVariable("EDITOR", "vi"))
    node.ensure(LineInFile("/etc/environment", "EDITOR=vi"))
    node.ensure(IniSetting("/etc/x.ini", "a", "b", 1, create=True))
    node.ensure(IniSetting("/etc/x.ini", "a", "b", 1))
    node.ensure(BlockInFile("/etc/x.ini", "c=1"))
    node.ensure(BlockInFile("/etc/x.ini", "c=1"))
