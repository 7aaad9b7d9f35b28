"""Name + version or alias -> a verified bundle, on MLflow's model registry (a SQLite file or any MLflow server)."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bundle import read_manifest
from models.errors import BundleError, ModelNotFoundError, RegistryError, RegistryUnreachableError

CANDIDATE = "candidate"
PRODUCTION = "production"
_DIGEST_TAG = "thorax.digest"
_COMMIT_TAG = "thorax.commit"
# MLflow's own limits.
_METRICS_A_CALL = 1000
_PARAMETERS_A_CALL = 100
_PARAMETER_CHARACTERS = 6000


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered bundle.

    Attributes:
        name: of the model.
        version: counts from "1".
        aliases: that point to it now.
        digest: of the bundle.
        commit: of the code that trained it.
        metrics: the figures it was registered with.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    digest: str
    commit: str
    metrics: Mapping[str, float]


def _is_whole(bundle: Path, digest: str) -> bool:
    try:
        read_manifest(bundle, digest)
    except BundleError:
        return False
    return True


def _check_opens(database: Path) -> None:
    """Fails at once where MLflow would try for minutes to open the file."""
    database.parent.mkdir(parents=True, exist_ok=True)
    database.open("rb" if database.exists() else "ab").close()


def _flat(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings by their dotted keys; what is no text, as JSON."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value if isinstance(value, str) else json.dumps(value)


def _record(client: Any, run: str, metrics: Mapping[str, float], parameters: Mapping[str, str]) -> None:
    """Writes figures and parameters to a run; of a parameter that is too long for MLflow, its beginning."""
    from mlflow.entities import Metric, Param

    now_milliseconds = time.time_ns() // 1_000_000
    figures = [Metric(key, value, now_milliseconds, step=0) for key, value in metrics.items()]
    settings = [Param(key, value[:_PARAMETER_CHARACTERS]) for key, value in parameters.items()]
    for start in range(0, len(figures), _METRICS_A_CALL):
        client.log_batch(run, metrics=figures[start : start + _METRICS_A_CALL])
    for start in range(0, len(settings), _PARAMETERS_A_CALL):
        client.log_batch(run, params=settings[start : start + _PARAMETERS_A_CALL])


class Registry:
    """The registry at a URI.

    Args:
        uri: `sqlite:///...` or the address of an MLflow server.
        folder: for downloaded bundles and, with SQLite, the registered files.

    Every method raises `RegistryUnreachableError` where the registry does not answer, and `RegistryError` where it
    refuses what it was asked.
    """

    def __init__(self, uri: str, folder: Path) -> None:
        self._uri = uri
        self._folder = folder

    def register(self, bundle: Path, metrics: Mapping[str, float]) -> ModelVersion:
        """The version of the bundle, registered under the name of its model; the same bundle is the same version.

        Args:
            bundle: the folder.
            metrics: finite figures by their names.

        Raises:
            BundleError: the bundle is not whole.
        """
        manifest, digest = read_manifest(bundle)
        name = manifest.name
        for version in self.versions(name):
            if version.digest == digest:
                return version
        with self._client() as client:
            from mlflow.exceptions import MlflowException

            try:
                client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            run = client.create_run(self._experiment(client, name))
            _record(client, run.info.run_id, metrics, dict(_flat(manifest.training.parameters)))
            client.log_artifacts(run.info.run_id, str(bundle), "bundle")
            client.set_terminated(run.info.run_id)
            created = client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/bundle",
                run_id=run.info.run_id,
                tags={_DIGEST_TAG: digest, _COMMIT_TAG: manifest.training.commit},
            )
        return self.resolve(name, str(created.version))

    def set_alias(self, name: str, alias: str, version: str) -> ModelVersion:
        """The version, which the alias now points to.

        Raises:
            ModelNotFoundError: no such version.
        """
        self.resolve(name, version)
        with self._client() as client:
            client.set_registered_model_alias(name, alias, version)
        return self.resolve(name, version)

    def resolve(self, name: str, version_or_alias: str) -> ModelVersion:
        """The version of that number or alias.

        Raises:
            ModelNotFoundError: no such model, version or alias.
        """
        versions = self.versions(name)
        for version in versions:
            if version_or_alias == version.version or version_or_alias in version.aliases:
                return version
        known = ", ".join(f"{v.name}@{label}" for v in versions for label in (v.version, *v.aliases))
        raise ModelNotFoundError(wanted=f"{name}@{version_or_alias}", known=known or "nothing of that name")

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version of a model, newest first; empty where the name is not known."""
        with self._client() as client:
            from mlflow.exceptions import MlflowException

            try:
                aliases = client.get_registered_model(name).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return []
            found = client.search_model_versions(f"name='{name}'", order_by=["version_number DESC"])
            # Others may have registered, under that name, what is no bundle.
            return [self._version(client, entry, aliases) for entry in found if _DIGEST_TAG in entry.tags]

    def names(self) -> list[str]:
        """Every model's name, sorted."""
        with self._client() as client:
            return sorted(model.name for model in client.search_registered_models())

    def download(self, version: ModelVersion) -> Path:
        """The folder of the version's bundle, kept by digest and verified each time.

        Raises:
            BundleError: what the registry gave is not what was registered.
        """
        kept = self._folder / "bundles" / version.digest.replace(":", "-")
        if _is_whole(kept, version.digest):
            return kept
        with self._client() as client:
            from mlflow.artifacts import download_artifacts

            source = client.get_model_version(version.name, version.version).source
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
                arrived = Path(download_artifacts(artifact_uri=source, tracking_uri=self._uri, dst_path=scratch))
                read_manifest(arrived, version.digest)
                if not _is_whole(kept, version.digest):  # another process may have been first
                    shutil.rmtree(kept, ignore_errors=True)
                    arrived.rename(kept)
        return kept

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """MLflow's client; its failures to connect, in the words of this platform."""
        # MLflow waits minutes for a server by default, reports usage to its makers, and tells of each table it makes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            if self._uri.startswith("sqlite:///"):
                _check_opens(Path(self._uri.removeprefix("sqlite:///")))
            yield MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = str(error).splitlines()[0][:300]
            if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":  # it was reached, and refused
                raise RegistryError(reason=reason) from error
            raise RegistryUnreachableError(uri=self._uri, reason=reason) from error

    def _experiment(self, client: Any, name: str) -> str:
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        files = self._folder / "artifacts" / name
        location = files.absolute().as_uri() if self._uri.startswith("sqlite:") else None
        return str(client.create_experiment(name, artifact_location=location))

    @staticmethod
    def _version(client: Any, entry: Any, aliases: Mapping[str, str]) -> ModelVersion:
        version = str(entry.version)
        return ModelVersion(
            name=entry.name,
            version=version,
            aliases=tuple(sorted(alias for alias, target in aliases.items() if str(target) == version)),
            digest=entry.tags[_DIGEST_TAG],
            commit=entry.tags[_COMMIT_TAG],
            metrics=client.get_run(entry.run_id).data.metrics,
        )
