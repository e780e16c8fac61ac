"""EC2 by boto3: the few calls that the provider needs, with AWS's errors in sentences that end with what mends them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cookline.errors import RunError, UsageError

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 60, 5
DEFAULT_TYPE = "t3.micro"
ALIVE = ("pending", "running", "stopping", "stopped")

HINTS = {
    "UnauthorizedOperation": "allow ec2:RunInstances, CreateTags, Describe*, Start-, Stop-, Reboot- and TerminateInstances",
    "AuthFailure": "the credentials are not good: `aws sts get-caller-identity` shows whose they are",
    "InvalidClientTokenId": "the credentials are not good: `aws sts get-caller-identity` shows whose they are",
    "RequestExpired": "the clock of this machine is wrong, or a session has ended",
    "InvalidKeyPair.NotFound": "settings: {key_pair: ..} names a key pair of the same region",
    "InstanceLimitExceeded": "ask AWS for a higher quota, or terminate what nobody needs",
    "VcpuLimitExceeded": "ask AWS for a higher quota, or terminate what nobody needs",
    "InsufficientInstanceCapacity": "try another type or another subnet",
}


class Cloud:
    """One region of one account. Every method raises RunError, or UsageError for what settings can mend."""

    def __init__(self, region: str | None, endpoint: str | None, profile: str | None) -> None:
        import boto3
        from botocore.config import Config

        settings = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"max_attempts": ATTEMPTS, "mode": "standard"},
        )
        with told("reach EC2"):
            session = boto3.session.Session(profile_name=profile)
            self.client = session.client("ec2", region_name=region, endpoint_url=endpoint, config=settings)

    def instances(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """id -> what AWS says of it; ids that it has forgotten are left out."""
        if not ids:
            return {}
        with told("look at instances"):
            return self._described(Filters=[{"Name": "instance-id", "Values": list(ids)}])

    def of_owner(self, owner: str, name: str) -> Mapping[str, Any] | None:
        """The instance that is not terminated and bears this project's tags for the host."""
        filters = {"tag:cookline:owner": [owner], "tag:cookline:instance": [name], "instance-state-name": list(ALIVE)}
        with told(f"look for {name}"):
            found = self._described(Filters=[{"Name": key, "Values": values} for key, values in filters.items()])
        return next(iter(found.values()), None)

    def _described(self, **wanted: Any) -> dict[str, Mapping[str, Any]]:
        pages = self.client.get_paginator("describe_instances").paginate(**wanted)
        return {each["InstanceId"]: each for page in pages for group in page["Reservations"] for each in group["Instances"]}

    def make(self, name: str, settings: Mapping[str, Any], owner: str, made: int) -> str:
        """Ask for one instance; its id. Asked again for the same `made` (after a crash), AWS answers with the same instance."""
        with told(f"make {name}"):
            answer = self.client.run_instances(**self._wanted(name, settings, owner, made))
            return str(answer["Instances"][0]["InstanceId"])

    def _wanted(self, name: str, settings: Mapping[str, Any], owner: str, made: int) -> dict[str, Any]:
        tags = {**settings.get("tags", {}), "Name": settings.get("tags", {}).get("Name", name)}
        tags |= {"cookline:owner": owner, "cookline:instance": name}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        wanted: dict[str, Any] = {
            "ImageId": settings["image"],
            "InstanceType": settings.get("type", DEFAULT_TYPE),
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": hashlib.sha256(f"{owner} {name} {made}".encode()).hexdigest()[:64],
            "TagSpecifications": [{"ResourceType": kind, "Tags": listed} for kind in ("instance", "volume")],
            # instance metadata by session token only: a hole in an application must not give out the role's keys
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        }
        for setting, parameter in (("key_pair", "KeyName"), ("user_data", "UserData")):
            if setting in settings:
                wanted[parameter] = settings[setting]
        if "role" in settings:
            wanted["IamInstanceProfile"] = {"Name": settings["role"]}
        if "volume" in settings:
            device = self._root_device(settings["image"])
            wanted["BlockDeviceMappings"] = [{"DeviceName": device, "Ebs": {"VolumeSize": settings["volume"]}}]
        return {**wanted, **_network(settings)}

    def _root_device(self, image: str) -> str:
        images = self.client.describe_images(ImageIds=[image])["Images"]
        if not images:
            raise UsageError(
                f"there is no image {image} in this region", hint="settings: {image: ..} names one of the same region"
            )
        return str(images[0]["RootDeviceName"])

    def start(self, ids: Sequence[str]) -> None:
        with told("start instances"):
            self.client.start_instances(InstanceIds=list(ids))

    def stop(self, ids: Sequence[str]) -> None:
        with told("stop instances"):
            self.client.stop_instances(InstanceIds=list(ids))

    def reboot(self, ids: Sequence[str]) -> None:
        with told("reboot instances"):
            self.client.reboot_instances(InstanceIds=list(ids))

    def terminate(self, ids: Sequence[str]) -> None:
        with told("terminate instances"):
            self.client.terminate_instances(InstanceIds=list(ids))

    def console(self, instance_id: str) -> str:
        """What the instance has printed while it booted; empty as long as AWS has nothing."""
        with told("read the console"):
            return str(self.client.get_console_output(InstanceId=instance_id).get("Output") or "")


def _network(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A network interface of our own where the address is asked for: EC2 takes the two only together."""
    groups, subnet = settings.get("security_groups"), settings.get("subnet")
    if "public_address" not in settings:
        return {**({"SecurityGroupIds": groups} if groups else {}), **({"SubnetId": subnet} if subnet else {})}
    interface = {"DeviceIndex": 0, "AssociatePublicIpAddress": settings["public_address"]}
    interface |= {**({"Groups": groups} if groups else {}), **({"SubnetId": subnet} if subnet else {})}
    return {"NetworkInterfaces": [interface]}


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """AWS's errors as ours."""
    from botocore import exceptions as aws

    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.TokenRetrievalError) as error:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `settings: {profile: ..}`, or give this machine a role"
        raise UsageError(f"cannot {what}: there are no credentials for AWS ({error})", hint=hint) from None
    except aws.NoRegionError:
        hint = "`settings: {region: ..}`, AWS_REGION or AWS_DEFAULT_REGION name one"
        raise UsageError(f"cannot {what}: no region is named", hint=hint) from None
    except aws.ProfileNotFound as error:
        raise UsageError(f"cannot {what}: {error}", hint="`aws configure list-profiles` shows the profiles") from None
    except aws.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", error))
        wrong = code.startswith(("Invalid", "Unsupported", "MissingParameter")) and code not in HINTS
        kind = UsageError if wrong else RunError
        raise kind(f"cannot {what}: {message} ({code})", hint=HINTS.get(code)) from None
    except aws.BotoCoreError as error:
        raise RunError(f"cannot {what}: {error}") from None
