"""A unit that goes neither runs nor starts at boot."""

from cookline import Node, Package, Service, SystemdUnit

START = """
printf '[Service]\\nExecStart=/bin/sleep 1000\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/old.service
systemctl daemon-reload; systemctl enable --now old
"""


def recipe(node: Node) -> None:
    node.ensure(SystemdUnit("old.service", exists=False))
    node.ensure(Service("old", running=False, enabled=False))
    node.ensure(Package("cron", exists=False))
    node.ensure(Service("cron", running=False, enabled=False))
