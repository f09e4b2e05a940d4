"""Define the settings of the cloud and of health checks."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from face_app.common.settings.program import PREFIX, Program
from face_app.common.settings.section import Broker, Metrics, Name, Seconds, Section

# Blanks and a final slash come with copied text; obstore panics at the one and doubles the other.
Endpoint = Annotated[str, AfterValidator(lambda text: text.strip().rstrip("/"))]

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\w+)?")
_PATH = re.compile(r"[A-Za-z0-9._~%+@:/-]*")


class Store(Section):
    """Configures the store for faces."""

    kind: Literal["mount", "s3", "directory"] = Field(
        "directory",
        description="mount: s3fs, confirmed through the S3 API; s3: S3 API; directory: a plain folder.",
    )
    path: Path | None = Field(None, description="Folder of the mount, or plain folder.")
    bucket: str = Field("face-app", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="Bucket name.")
    endpoint: Endpoint | None = Field(
        None, description="S3 address as http(s)://HOST[:PORT][/PATH], without the bucket; unset: AWS."
    )
    public_endpoint: Endpoint | None = Field(None, description="S3 address in links for browsers; unset: endpoint.")
    ca_file: Path | None = Field(
        None, description="CA certificates of the store, PEM; unset: those of this machine. s3fs has its own setting."
    )
    region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9._-]+$", description="S3 region.")
    credentials_file: Path | None = Field(None, description="File with ACCESS_KEY:SECRET_KEY, as s3fs reads it.")

    @model_validator(mode="after")
    def _check_kind(self) -> "Store":
        if self.kind != "s3" and not self.path:
            raise ValueError(f"path is missing: store kind {self.kind!r} needs a folder to write to")
        if self.kind != "directory" and not self.credentials_file:
            raise ValueError(f"credentials_file is missing: store kind {self.kind!r} needs ACCESS_KEY:SECRET_KEY")
        return self

    @model_validator(mode="after")
    def _check_endpoints(self) -> "Store":
        # Not a check of each field: its error would contain the whole value, with a password.
        for name, value in (("endpoint", self.endpoint), ("public_endpoint", self.public_endpoint)):
            if value is None:
                continue
            problem = _endpoint_problem(value)
            if problem:
                raise ValueError(f"{name} {problem}; set it to http(s)://HOST[:PORT][/PATH]")
            rest = _without_bucket(value, self.bucket)
            if rest != value and self.kind != "directory":
                raise ValueError(f"{name} contains the bucket {self.bucket}; set {name} to {rest}")
        return self


def _endpoint_problem(endpoint: str) -> str:
    """Return what is wrong with an address, without the address itself; empty if it can be used."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        return "has an invalid port" if "ort " in str(error) else "has an invalid host"
    problems = {
        "is empty": not endpoint,
        "contains a blank or a special character": not re.fullmatch(r"[!-~]*", endpoint),
        "does not begin with http:// or https://": not endpoint.startswith(("http:", "https:")),
        "contains a user or a password, which belong in credentials_file": "@" in parts.netloc,
        "contains a query": "?" in endpoint,
        "contains a fragment": "#" in endpoint,
        "has no host": not host,
        "has an invalid host": not _HOST.fullmatch(host),
        "has an invalid port": port == 0 or parts.netloc.endswith(":"),
        "has an invalid path": not _PATH.fullmatch(parts.path),
    }
    return next((problem for problem, found in problems.items() if found), "")


def _without_bucket(endpoint: str, bucket: str) -> str:
    """Return an address without the bucket, as consoles add it to the host or the path.

    Requests name the bucket themselves. With both, a store takes the second name as the beginning of each key.
    """
    parts = urlsplit(endpoint)
    path = "/".join(each for each in parts.path.split("/") if unquote(each) != bucket)
    netloc = parts.netloc[len(bucket) + 1 :] if parts.netloc.lower().startswith(f"{bucket}.") else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, path=path))


class Bucket(Section):
    """Configures access and expiry of the bucket; ``face-app bucket ensure`` applies them."""

    public: bool = Field(False, description="Let anonymous clients read a face by its address; listing stays denied.")
    expire_days: int | None = Field(
        None, ge=0, le=36_500, description="Days until the store deletes an object; 0: never; unset: unchanged."
    )
    quarantine_days: int | None = Field(
        None, ge=0, le=36_500, description="Days until the store deletes a refused message; 0: never; unset: unchanged."
    )


class Erasure(Section):
    """Configures the erasure of faces on request."""

    credentials_file: Path | None = Field(
        None, description="File with ACCESS_KEY:SECRET_KEY of a key that may delete; unset: the key of the store."
    )
    staleness: Seconds = Field(
        60, description="Seconds within which each subscriber knows a new tombstone; the same in all programs."
    )


class CloudProgram(Program):
    """Is the base of the settings of a program that reads from the cloud's brokers."""

    broker: Broker = Broker()
    brokers: list[Broker] = Field(
        [], description="Brokers of several cloud hosts, each with the keys of `broker`, which they replace."
    )

    @property
    def every_broker(self) -> tuple[Broker, ...]:
        """Return the brokers to connect to, at least one."""
        return tuple(self.brokers) or (self.broker,)

    @model_validator(mode="after")
    def _check_brokers(self) -> "CloudProgram":
        if self.brokers and "broker" in self.model_fields_set:
            raise ValueError("broker and brokers are both set: set one of them")
        places = [f"{broker.host}:{broker.port}" for broker in self.brokers]
        # Two connections of one program to one broker have the same client id and end each other.
        twice = {place for place in places if places.count(place) > 1}
        if twice:
            raise ValueError(f"brokers contains {', '.join(sorted(twice))} twice: remove one")
        return self


class CloudSettings(CloudProgram):
    """Contains the settings of ``face-app subscribe``, ``audit``, ``bucket`` and ``erase``."""

    subscriber: Name = Field("subscriber-1", description="Name of this subscriber; the CN of its certificate.")
    group: Name = Field("face-app", description="Subscribers of one group share the messages.")
    workers: int = Field(32, ge=1, le=64, description="Number of faces stored in parallel.")
    receive_maximum: int = Field(
        200, ge=1, le=65535, description="Maximum number of unacknowledged messages of each broker."
    )
    max_bytes: int = Field(5_000_000, ge=1, description="Refuse larger messages.")
    max_pixels: int = Field(16_000_000, ge=1, description="Refuse larger images before they are decoded.")
    store: Store
    bucket: Bucket = Bucket()
    erasure: Erasure = Erasure()
    metrics: Metrics = Metrics()


class HealthSettings(Program):
    """Contains the settings of either program that ``face-app health`` needs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True)

    metrics: Metrics = Metrics()
