"""The ec2 provider against moto's server: made, tagged, stopped, started, terminated; and what it says when AWS refuses."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from cookline.control.providers.base import HostRequest
from cookline.control.providers.ec2.provider import Ec2Provider, host_key_of
from cookline.control.providers.registry import open_provider
from cookline.errors import RunError, UsageError

IMAGE = "ami-12c6146b"
REGION = "eu-central-1"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of a test account of its own: moto tells accounts apart by the access key."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "access-key-of-a-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key-of-a-test")


@pytest.fixture
def client(aws: str, credentials: None) -> Iterator[Any]:
    client = boto3.client("ec2", REGION, endpoint_url=aws)
    yield client
    client.close()


@pytest.fixture
def provider(tmp_path: Path, credentials: None) -> Ec2Provider:
    return Ec2Provider(tmp_path / ".cookline", answers=None, poll=0.01)


Ask = Callable[..., HostRequest]


@pytest.fixture
def ask(aws: str) -> Ask:
    """A request for a host whose name no other test has."""
    number = secrets.token_hex(3)

    def request(name: str = "web1", **settings: Any) -> HostRequest:
        return HostRequest(f"{name}-{number}", {"image": IMAGE, "region": REGION, "endpoint": aws, **settings})

    return request


def of_aws(client: Any, name: str) -> list[Any]:
    """All instances that AWS has for the host, terminated ones too."""
    found = client.describe_instances(Filters=[{"Name": "tag:cookline:instance", "Values": [name]}])
    return [each for group in found["Reservations"] for each in group["Instances"]]


said: list[str] = []


def test_it_is_made_stopped_started_rebooted_and_terminated(provider: Ec2Provider, ask: Ask, client: Any) -> None:
    request = ask()
    assert [host.state for host in provider.status([request])] == ["absent"]
    [host] = provider.create([request], said.append)
    [seen] = of_aws(client, request.name)
    assert (host.state, host.address, host.user) == ("running", seen["PublicIpAddress"], "admin")
    assert seen["State"]["Name"] == "running"

    provider.stop([request.name], said.append)
    assert provider.status([request])[0].state == "stopped"
    provider.stop([request.name], said.append)
    assert provider.create([request], said.append)[0].state == "running"
    provider.reboot([request.name], said.append)
    assert [each["InstanceId"] for each in of_aws(client, request.name)] == [seen["InstanceId"]]

    provider.destroy([request.name], said.append)
    provider.destroy([request.name], said.append)
    assert provider.status([request])[0].state == "absent"
    assert [each["State"]["Name"] for each in of_aws(client, request.name)] == ["terminated"]
    assert said[-1] == f"{request.name} is gone"


def test_every_setting_reaches_aws(provider: Ec2Provider, ask: Ask, client: Any) -> None:
    network = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=network, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = client.create_security_group(GroupName=ask().name, Description="ssh", VpcId=network)["GroupId"]
    client.create_key_pair(KeyName=ask().name)
    request = ask(
        type="t3.small",
        subnet=subnet,
        security_groups=[group],
        key_pair=ask().name,
        user_data="#!/bin/sh\necho hello\n",
        volume=20,
        public_address=False,
        connect="private",
        tags={"team": "shop"},
        user="debian",
    )
    [host] = provider.create([request], said.append)
    [seen] = of_aws(client, request.name)
    assert host.address == seen["PrivateIpAddress"] and host.address.startswith("10.9.1.")
    assert host.user == "debian"
    assert (seen["InstanceType"], seen["KeyName"], seen["SubnetId"]) == ("t3.small", request.settings["key_pair"], subnet)
    assert [each["GroupId"] for each in seen["NetworkInterfaces"][0]["Groups"]] == [group]
    tags = {tag["Key"]: tag["Value"] for tag in seen["Tags"]}
    assert (tags["Name"], tags["team"], tags["cookline:owner"]) == (request.name, "shop", provider.records.owner)
    [volume] = client.describe_volumes(VolumeIds=[seen["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Size"] == 20
    data = client.describe_instance_attribute(InstanceId=seen["InstanceId"], Attribute="userData")
    assert data["UserData"]["Value"]


def test_what_a_crash_left_half_made_is_found_by_its_tags(ask: Ask, client: Any, provider: Ec2Provider) -> None:
    """The record was written, AWS was asked, and the answer never came."""
    request = ask()
    provider.create([request], said.append)
    record = provider.records.find(request.name)
    assert record is not None
    lost = record.__class__(request.name, record.region, record.endpoint, record.profile)
    provider.records.save(lost)
    provider.create([request], said.append)
    assert len(of_aws(client, request.name)) == 1
    provider.records.save(lost)
    provider.destroy([request.name], said.append)
    assert [each["State"]["Name"] for each in of_aws(client, request.name)] == ["terminated"]


def test_an_instance_that_was_terminated_elsewhere_is_made_anew(provider: Ec2Provider, ask: Ask, client: Any) -> None:
    request = ask()
    provider.create([request], said.append)
    [first] = of_aws(client, request.name)
    client.terminate_instances(InstanceIds=[first["InstanceId"]])
    assert provider.status([request])[0].state == "absent"
    provider.create([request], said.append)
    assert len(of_aws(client, request.name)) == 2
    assert provider.status([request])[0].state == "running"


def test_two_hosts_at_once_and_nobody_elses(provider: Ec2Provider, ask: Ask, client: Any, tmp_path: Path) -> None:
    requests = [ask("web1"), ask("web2")]
    assert [host.state for host in provider.create(requests, said.append)] == ["running", "running"]
    other = Ec2Provider(tmp_path / "other", answers=None, poll=0.01)
    other.create(requests[:1], said.append)
    assert len(of_aws(client, requests[0].name)) == 2
    other.destroy([requests[0].name], said.append)
    assert [host.state for host in provider.status(requests)] == ["running", "running"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image": "debian"}, "has the setting `image`, which wants an AMI such as"),
        ({"imag": IMAGE}, "did you mean 'image'?"),
        ({"image": "ami-00000000", "volume": 9}, "cannot make .*ami-00000000.*InvalidAMIID"),
        ({"subnet": "subnet-00000000"}, "cannot make .*InvalidSubnetID"),
        ({"profile": "nobody"}, "cannot reach EC2: .*nobody"),
    ],
)
def test_settings_that_are_wrong(provider: Ec2Provider, ask: Ask, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        provider.create([ask(**settings)], said.append)


def test_no_credentials_no_region_no_way(
    provider: Ec2Provider, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without = {name: value for name, value in ask().settings.items() if name != "region"}
    with pytest.raises(UsageError, match="no region is named") as caught:
        provider.create([HostRequest("web9", without)], said.append)
    assert "settings: {region: ..}" in str(caught.value.hint)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UsageError, match="there are no credentials for AWS") as caught:
        Ec2Provider(tmp_path / "fresh", answers=None).create([ask()], said.append)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


def test_a_host_does_not_move(provider: Ec2Provider, ask: Ask) -> None:
    provider.create([ask()], said.append)
    with pytest.raises(UsageError, match="is in eu-central-1, and its settings say us-east-1"):
        provider.create([ask(region="us-east-1")], said.append)


def test_one_that_never_answers_is_told(ask: Ask, credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cookline.control.providers.ec2 import provider as module

    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.0)
    asked: list[tuple[str, int]] = []

    def deaf(address: str, port: int) -> bool:
        asked.append((address, port))
        return False

    with pytest.raises(RunError, match=r"nothing answers at .*, port 22") as caught:
        Ec2Provider(tmp_path / ".cookline", answers=deaf, poll=0.01).create([ask()], said.append)
    assert "security groups" in str(caught.value.hint)
    assert asked[0][1] == 22


def test_the_host_key_on_the_console() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJH8Qk2lH1c6dd3xX0Zk2f9eGq0m3mS5bT1b2uQv0k0D"
    console = f"boot\r\n-----BEGIN SSH HOST KEY KEYS-----\r\necdsa-sha2-nistp256 AAAA root@x\r\n{key} root@x\r\n"
    assert host_key_of(console) is None
    assert host_key_of(console + "-----END SSH HOST KEY KEYS-----\r\n") == key
    assert host_key_of("nothing") is None


def test_the_registry_has_it(tmp_path: Path) -> None:
    assert open_provider("ec2", tmp_path).can_start
