"""An archive out of S3, or of anything that speaks like it (`endpoint`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cookline.control.stack.artifact import LARGEST_SOURCE
from cookline.errors import SourceError

if TYPE_CHECKING:
    from cookline.control.stack.models import Source
    from cookline.control.stack.secret_resolver import Resolver

CONNECT_SECONDS, READ_SECONDS = 10, 60
ATTEMPTS = 3


def fetch(source: Source, resolver: Resolver) -> tuple[bytes, dict[str, Any]]:
    """The object's bytes and {"version": ..} where the bucket keeps versions. Raises SourceError.

    Without `access_key` the credentials are those that boto3 finds: environment, profile, role of the machine.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    place = f"s3://{source.bucket}/{source.key}"
    # an empty mapping, not None: the proxies of the environment are not asked
    settings = Config(
        proxies={},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"max_attempts": ATTEMPTS, "mode": "standard"},
        # names with dots have no certificate of their own; endpoints of other makers know paths only
        s3={"addressing_style": "path"} if source.endpoint else None,
    )
    try:
        client = boto3.session.Session().client(
            "s3",
            region_name=source.region,
            endpoint_url=source.endpoint,
            aws_access_key_id=resolver.resolve(source.access_key),
            aws_secret_access_key=resolver.resolve(source.secret_key),
            config=settings,
        )
        wanted = {"Bucket": source.bucket, "Key": source.key}
        answer = client.get_object(**wanted, **({"VersionId": source.version} if source.version else {}))
        with answer["Body"] as body:
            content = b"" if answer["ContentLength"] > LARGEST_SOURCE else body.read(LARGEST_SOURCE + 1)
    except (BotoCoreError, ClientError) as error:
        raise SourceError(f"{place} cannot be read: {error}", hint=_hint(error)) from None
    if answer["ContentLength"] > LARGEST_SOURCE or len(content) > LARGEST_SOURCE:
        raise SourceError(f"{place} has more than {LARGEST_SOURCE // 1024**2} MB")
    version = answer.get("VersionId")
    return bytes(content), {"version": version} if version and version != "null" else {}


def _hint(error: Exception) -> str | None:
    kind = type(error).__name__
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    if kind in ("NoCredentialsError", "PartialCredentialsError") or code in ("AccessDenied", "InvalidAccessKeyId", "403"):
        return "give `access_key` and `secret_key` (!secret), or the credentials that boto3 looks for"
    if kind == "NoRegionError":
        return "give the source a `region`"
    return None
