"""The environment as one frozen object, built once by whoever starts the service."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.engine import ENGINES, REDUCED
from models.errors import SettingsError
from models.signing import Keys

PREFIX = "THORAX_"
_MEBIBYTE = 1024 * 1024


class Settings(BaseSettings):
    """What may be set from outside; each field is a variable `THORAX_<FIELD>`.

    Attributes:
        host, port: where HTTP is answered. Without authentication only a loopback address is taken.
        page: whether browsers get the web page.
        grpc_port: where gRPC is answered; 0 for nowhere.
        metrics_port: where Prometheus scrapes.
        models: what serves, `name@alias` or `name@version`, separated by commas; the first answers by default.
        registry_uri: of the model registry; empty for a SQLite file in `registry_folder`.
        registry_folder: for the registry's files and for downloaded bundles.
        registry_poll_seconds: how often the service asks the registry what is to serve.
        signing_key: the file of the private key; empty for the one that `thorax registry keygen` makes.
        trusted_keys: the folder of public keys whose signatures count; empty for the one beside it.
        engine: a key of `models.engine.ENGINES`, or of `REDUCED` where its parity gate lets the bundle.
        min_replicas, max_replicas: of the front door, each with its models. With `engine_threads` at 0 there is one on
            a machine.
        engine_threads: of one replica, that read small pictures and score, and which Ray then reserves processors for;
            0 for one a processor.
        reading_workers: of one replica, processes that read DICOM and large pictures; 0 for one a processor.
        models_in_memory: of one replica; the one that was not asked for longest makes room for another.
        shadow_percent: of the answers, whose radiographs a shadow gets a copy of; 0 does without shadows.
        max_waiting_copies: for shadows; beyond them none is made.
        canary_max_failures: share of a canary's answers that may fail, beyond production's.
        canary_max_slowdown: of a canary's median answer, times production's.
        canary_min_answers: of both, before their times are compared.
        max_batch_size: radiographs scored at once; on processors, more than two take longer than one by one.
        batch_wait_seconds: how long the first of a batch waits for others though a thread of the engine is free.
        max_waiting_requests: at work or waiting, of one replica; more are turned away with 503.
        max_upload_bytes: of one request.
        max_held_bytes: of all files of one replica that are being received or answered; beyond, 503.
        max_pixels: of one image, checked before it is decoded.
        request_timeout_seconds: after which a request is answered with 504.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    page: bool = True
    grpc_port: Annotated[int, Field(ge=0, le=65535)] = 0
    metrics_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    models: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = (
        "thoracic@production",
        "pneumonia@production",
    )
    registry_uri: str = ""
    registry_folder: Path = Path("data/registry")
    registry_poll_seconds: Annotated[PositiveFloat, Field(allow_inf_nan=False)] = 5.0
    signing_key: str = ""
    trusted_keys: str = ""
    engine: str = "openvino"
    min_replicas: PositiveInt = 1
    max_replicas: PositiveInt = 1
    engine_threads: Annotated[int, Field(ge=0)] = 0
    reading_workers: Annotated[int, Field(ge=0)] = 0
    models_in_memory: PositiveInt = 8
    shadow_percent: Annotated[float, Field(ge=0, le=100)] = 100.0
    max_waiting_copies: PositiveInt = 4
    canary_max_failures: Annotated[float, Field(ge=0, le=1)] = 0.02
    canary_max_slowdown: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.0
    canary_min_answers: PositiveInt = 50
    max_batch_size: PositiveInt = 2
    batch_wait_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_waiting_requests: PositiveInt = 128
    max_upload_bytes: PositiveInt = 64 * _MEBIBYTE
    max_held_bytes: PositiveInt = 1024 * _MEBIBYTE
    max_pixels: PositiveInt = 50_000_000
    request_timeout_seconds: Annotated[PositiveFloat, Field(allow_inf_nan=False)] = 30.0

    @field_validator("models", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("models")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for model in value:
            name, _, which = model.partition("@")
            if not name or not which:
                raise ValueError(f"expected name@alias or name@version, but received {model!r}")
        if len({model.partition("@")[0] for model in value}) < len(value):
            raise ValueError(f"expected each model once, but received {', '.join(value)}")
        return value

    @field_validator("engine")
    @classmethod
    def _known(cls, value: str) -> str:
        known = ENGINES | REDUCED
        if value not in known:
            raise ValueError(f"expected one of {', '.join(known)}, but received {value!r}")
        return value

    @model_validator(mode="after")
    def _stays_local(self) -> Self:
        if not _is_loopback(self.host):
            raise ValueError(
                f"host: expected a loopback address such as 127.0.0.1, but received {self.host}: this release has no "
                "authentication yet, so it does not answer the network; put an authenticating TLS proxy in front"
            )
        return self

    @model_validator(mode="after")
    def _from_fewest_to_most(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas: expected at most max_replicas, {self.max_replicas}, but received {self.min_replicas}"
            )
        return self

    @property
    def registry_address(self) -> str:
        """The registry's URI, whichever way it was set."""
        return self.registry_uri or f"sqlite:///{self.registry_folder.absolute() / 'mlflow.db'}"

    @property
    def keys(self) -> Keys:
        """What signs here and whom to trust."""
        made = Keys.below(self.registry_folder)
        return Keys(Path(self.signing_key or made.private), Path(self.trusted_keys or made.trusted))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings() -> Settings:
    """The settings of this process's environment.

    Raises:
        SettingsError: a `THORAX_` variable is not known, or its value is of the wrong kind or out of range.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise SettingsError(
            where="environment", reason=f"{', '.join(unknown)} is not a setting; known are {', '.join(sorted(known))}"
        )
    try:
        return Settings()
    except ValidationError as error:
        sentences = (f"{'.'.join(str(part) for part in e['loc'])} {e['msg']}".strip() for e in error.errors())
        raise SettingsError(where="environment", reason="; ".join(sentences)) from error
