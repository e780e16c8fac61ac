"""FirewallRule: one rule of the host's own table in nftables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional

from cookline.errors import CommandError, ResourceError, ResourceUsageError
from cookline.host import units
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.programs import find_program, require_program
from cookline.host.resources.text_diff import unified_diff
from cookline.host.system import System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

TABLE = "inet cookline"
FILE = "/etc/cookline-firewall.nft"
UNIT = "cookline-firewall.service"
UNIT_TEXT = """\
# written by cookline
[Unit]
Description=firewall rules of cookline
DefaultDependencies=no
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
After=local-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {file}
ExecStop=/usr/sbin/nft delete table {table}

[Install]
WantedBy=sysinit.target
"""
CHAINS = ("input", "forward", "output")
# What is never shut out: answers to what the host asked, the host itself, and what IPv6 cannot work without (RFC 4890).
ALWAYS = {
    "input": (
        "ct state established,related accept",
        'iifname "lo" accept',
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept",
    )
}
LINE = re.compile(r'\t\t(?P<rule>.*) comment "cookline (?P<order>\d+) (?P<name>[A-Za-z0-9_.-]+) (?P<mark>[0-9a-f]{12})"')


class Rule(NamedTuple):
    """One rule as it stands in the file."""

    chain: str
    order: int
    name: str
    text: str

    @property
    def mark(self) -> str:
        """Tells in the kernel, too, which text of a rule is loaded: nft writes texts back in words of its own."""
        return content_hash(f"{self.chain} {self.order} {self.text}".encode())[:12]

    def line(self) -> str:
        return f'\t\t{self.text} comment "cookline {self.order} {self.name} {self.mark}"'


class FirewallRule(Resource):
    """A rule of nftables in the table `inet cookline`, which is this host's alone: other tables stay as they are. All its
    rules stand in one file; each change is checked by nft and replaces the whole table at once, so that no packet sees half of
    it. They are loaded before the network at boot. Packets that no rule decides on are accepted: end with a rule that drops.

    rule_name   letters, digits, _, . and -
    rule        as nft writes it: "tcp dport { 80, 443 } accept"
    chain       input, forward or output
    order       0 to 999: rules with lower numbers come first, those with the same by name
    exists      False removes the rule; with the last one go table, file and unit

    Answers to the host's own packets, its loopback and IPv6's neighbours are always let in.

    >>> FirewallRule("web", "tcp dport { 80, 443 } accept").desired()
    {'rule': 'input 500: tcp dport { 80, 443 } accept', 'loaded': True, 'at_boot': True}
    >>> FirewallRule("rest", "drop", order=999).name
    'FirewallRule[rest]'
    """

    rule_name: str
    rule: str = ""
    chain: str = field(default="input", kw_only=True)
    order: int = field(default=500, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.rule_name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", self.rule_name):
            raise ResourceUsageError(f"FirewallRule needs a name of letters, digits, _, . and -, not {self.rule_name!r}")
        if self.chain not in CHAINS:
            raise ResourceUsageError(f"FirewallRule[{self.rule_name}] has chain {self.chain!r}; there are {', '.join(CHAINS)}")
        if not isinstance(self.order, int) or not 0 <= self.order <= 999:
            raise ResourceUsageError(f"FirewallRule[{self.rule_name}] has order {self.order!r}; give 0 to 999")
        braces = self.rule.count("{") != self.rule.count("}")
        if self.exists and (not self.rule.strip() or braces or re.search(r"[\n;#]|\bcomment\b", self.rule)):
            raise ResourceUsageError(
                f"FirewallRule[{self.rule_name}] needs one rule without ;, # and comment, not {self.rule!r}"
            )
        self._set(rule=" ".join(self.rule.split()))

    def _wanted(self) -> Rule:
        return Rule(self.chain, self.order, self.rule_name, self.rule)

    def current(self, host: System) -> State:
        rules = read_rules(host)
        own = next((rule for rule in rules if rule.name == self.rule_name), None)
        state: State = {"rule": own and f"{own.chain} {own.order}: {own.text}"}
        if self.exists:
            state["loaded"] = self._wanted().mark in loaded_marks(host)
            state["at_boot"] = units.enabled(host, UNIT)
        return state

    def desired(self) -> State:
        if not self.exists:
            return {"rule": None}
        return {"rule": f"{self.chain} {self.order}: {self.rule}", "loaded": True, "at_boot": True}

    def apply(self, host: System, changes: Changes) -> None:
        require_program(host, "nft", "nftables", self.name)
        rules = self._edited(host)
        if not rules:
            self._remove_all(host)
            return
        text = ruleset(rules)
        host.write(FILE, text.encode(), mode="0600", uid=0, gid=0, verify=lambda staged: self._check(host, staged))
        host.run(["nft", "-f", FILE], timeout=self.timeout or 60.0)
        unit = UNIT_TEXT.format(file=FILE, table=TABLE).encode()
        path = f"{units.LINK_PATHS[0]}/{UNIT}"
        if host.read(path) != unit:
            host.write(path, unit, mode="0644")
            units.daemon_reload(host)
        if not units.enabled(host, UNIT):
            host.run(["systemctl", "enable", "--quiet", "--", UNIT])

    def _check(self, host: System, staged: str) -> None:
        try:
            host.run(["nft", "-c", "-f", staged], timeout=60.0)
        except CommandError as error:
            told = re.sub(rf"{re.escape(staged)}:\d+:[\d-]+: ", "", error.stderr.strip())
            raise ResourceError(f"nft refuses {self.rule!r}; nothing has changed:\n{told[-2000:]}") from None

    def _edited(self, host: System) -> List[Rule]:
        others = [rule for rule in read_rules(host) if rule.name != self.rule_name]
        return sorted([*others, self._wanted()] if self.exists else others)

    @staticmethod
    def _remove_all(host: System) -> None:
        host.run(["systemctl", "disable", "--quiet", "--", UNIT], ok=None)
        host.run(["nft", "delete", "table", *TABLE.split()], ok=None)
        host.remove(f"{units.LINK_PATHS[0]}/{UNIT}")
        host.remove(FILE)
        units.daemon_reload(host)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The former text of the rule, or its absence."""
        own = next((rule for rule in read_rules(host) if rule.name == self.rule_name), None)
        if own is None:
            return FirewallRule(self.rule_name, exists=False)
        return FirewallRule(self.rule_name, own.text, chain=own.chain, order=own.order)

    def predict(self, host: Overlay, changes: Changes) -> None:
        require_program(host, "nft", "nftables", self.name)
        rules = self._edited(host)
        host.write(FILE, ruleset(rules).encode(), mode="0600") if rules else host.remove(FILE)
        host.settle(self.name, self.desired(), None)

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        if self.sensitive or "rule" not in changes:
            return None
        return unified_diff(FILE, host.read(FILE) or b"", ruleset(self._edited(host)).encode())

    def watched_paths(self) -> List[str]:
        return [FILE]

    def declaration(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in ("rule_name", "rule", "chain", "order", "exists")}


def read_rules(host: System) -> List[Rule]:
    """The rules of the file."""
    rules: List[Rule] = []
    chain = ""
    for line in (host.read(FILE) or b"").decode("utf-8", "replace").splitlines():
        begun = re.fullmatch(r"\tchain (\w+) \{", line)
        chain = begun.group(1) if begun else chain
        found = LINE.fullmatch(line)
        if found:
            rules.append(Rule(chain, int(found["order"]), found["name"], found["rule"]))
    return rules


def ruleset(rules: List[Rule]) -> str:
    """The whole file: nft reads it in one transaction, which takes the old table away and puts the new one in its place."""
    lines = ["# written by cookline; changed by hand, it is put right again", f"table {TABLE}", f"delete table {TABLE}"]
    lines.append(f"table {TABLE} {{")
    for chain in CHAINS:
        own = sorted(rule for rule in rules if rule.chain == chain)
        if own:
            head = f"\t\ttype filter hook {chain} priority filter; policy accept;"
            always = [f"\t\t{text}" for text in ALWAYS.get(chain, ())]
            lines += [f"\tchain {chain} {{", head, *always, *(rule.line() for rule in own), "\t}"]
    return "\n".join([*lines, "}", ""])


def loaded_marks(host: System) -> List[str]:
    """The marks of all rules that the kernel has, asked once a run."""
    return host.remember("nftables", lambda: _loaded_marks(host))  # type: ignore[no-any-return]


def _loaded_marks(host: System) -> List[str]:
    if find_program(host, "nft") is None:
        return []
    listed = host.query(["nft", "list", "table", *TABLE.split()])
    return re.findall(r'comment "cookline \d+ [A-Za-z0-9_.-]+ ([0-9a-f]{12})"', listed.stdout)
