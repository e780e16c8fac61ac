"""Units, their services and timers, switched on and off."""

from cookline import EnvironmentVariable, Node, Service, SystemdTimer, SystemdUnit

U = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"


def recipe(node: Node) -> None:
    node.ensure(SystemdUnit("shop.service", U))
    node.ensure(Service("shop", running=True, enabled=True))
    node.ensure(Service("shop", running=True))
    node.ensure(Service("shop", enabled=True))
    node.ensure(EnvironmentVariable("A", "b", service="shop"))
    node.ensure(EnvironmentVariable("A", "b", service="shop"))
    node.ensure(SystemdUnit("shop.service", U + "# more\n"))
    node.ensure(Service("shop", running=False, enabled=False))
    node.ensure(Service("shop", running=False, enabled=False))
    node.ensure(Service("shop", masked=False))
    node.ensure(SystemdUnit("shop.service", exists=False))
    node.ensure(SystemdTimer("tick", "/bin/true", calendar="daily"))
    node.ensure(Service("tick.timer", running=True, enabled=True))
    node.ensure(SystemdTimer("tick", exists=False))
    node.ensure(Service("cron", running=False, enabled=False))
    node.ensure(Service("cron", running=True, enabled=True))
    node.ensure(Service("cron", running=False))
    node.ensure(Service("cron", masked=True))
    node.ensure(Service("cron", masked=True))
    node.ensure(Service("cron", enabled=False))
