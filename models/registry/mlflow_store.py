"""Where versions, files and history lie: MLflow's model registry, a SQLite file or any MLflow server.

A model's versions are MLflow's, with the bundle and its evidence as files of their run. The history of model `m` is the
registered model `m.history`: MLflow numbers its versions without gaps and never gives a number twice, which makes it an
append-only list on any MLflow server. MLflow's own aliases are a copy of what the history says, for its page; nothing
here reads them, so that moving one on that page changes nothing.
"""

import errno
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import RegistryError, RegistryUnreachableError
from models.registry.history import Stored
from models.registry.version import Registered

BUNDLE = "bundle"
EVIDENCE = "evidence"
_DIGEST = "thorax.digest"
_FACTS = "thorax.facts"
_ENTRY = "thorax.entry"
_SIGNATURE = "thorax.signature"
_HISTORY = ".history"
_NO_FILES = "thorax:/history"
"""MLflow wants an address of files of every version; an entry has none."""
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
# MLflow's own limits.
_VERSIONS_A_CALL = 10_000
_METRICS_A_CALL = 1000
_PARAMETERS_A_CALL = 100
_PARAMETER_CHARACTERS = 6000
_TEXT_CHARACTERS = 5000
_REASON_CHARACTERS = 500


class MlflowStore:
    """The registry's content at a URI.

    Args:
        uri: `sqlite:///...` or the address of an MLflow server.
        folder: where the registered files lie with SQLite; a server keeps its own.

    Every method raises `RegistryUnreachableError` where the registry does not answer, and `RegistryError` where it
    refuses what it was asked.
    """

    def __init__(self, uri: str, folder: Path) -> None:
        self._uri = uri
        self._folder = folder

    def names(self) -> list[str]:
        """Every model's name, sorted."""
        with self._client() as client:
            names = [model.name for model in client.search_registered_models()]
        return sorted(name for name in names if not name.endswith(_HISTORY))

    def versions(self, name: str) -> list[Registered]:
        """Every version of a model, newest first; empty where the name is not known."""
        # Others may have registered, under that name, what is no bundle.
        return [_registered(entry) for entry in self._entries(name, "DESC") if _DIGEST in entry.tags]

    def add(
        self,
        name: str,
        folder: Path,
        digest: str,
        facts: Mapping[str, str],
        figures: Mapping[str, float],
        settings: Mapping[str, Any],
    ) -> Registered:
        """A new version of a model.

        Args:
            name: of the model.
            folder: holds the folders `bundle` and `evidence`.
            digest: of the bundle.
            facts: about where it comes from.
            figures: finite, by their names.
            settings: of the training, nested.
        """
        with self._client() as client:
            _create_model(client, name)
            run = client.create_run(self._experiment(client, name))
            _record(client, run.info.run_id, figures, dict(_flat(settings)))
            client.log_artifacts(run.info.run_id, str(folder))
            client.set_terminated(run.info.run_id)
            card = next((folder / BUNDLE).glob("*.md"), None)
            created = client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{BUNDLE}",
                run_id=run.info.run_id,
                tags={_DIGEST: digest, _FACTS: json.dumps(dict(facts), sort_keys=True)},
                description=card.read_text(encoding="utf-8")[:_TEXT_CHARACTERS] if card else None,
            )
            return _registered(created)

    def figures(self, name: str, version: str) -> dict[str, float]:
        """What a version was registered with."""
        with self._client() as client:
            run = client.get_model_version(name, version).run_id
            return dict(client.get_run(run).data.metrics)

    @contextmanager
    def files(self, name: str, version: str, which: str) -> Iterator[Path]:
        """The folder `bundle` or `evidence` of a version, copied to a place that is gone afterwards.

        The place is on the disk of the registry's folder, so that what is in it can be moved there.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".arriving-") as scratch:
            with self._client() as client:
                from mlflow.artifacts import download_artifacts

                run = client.get_model_version(name, version).run_id
                uri = f"{client.get_run(run).info.artifact_uri}/{which}"
                arrived = Path(download_artifacts(artifact_uri=uri, tracking_uri=self._uri, dst_path=scratch))
            yield arrived

    def remove(self, name: str, version: str) -> None:
        """Deletes a version and its files."""
        with self._client() as client:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            run = client.get_run(client.get_model_version(name, version).run_id)
            client.delete_model_version(name, version)
            get_artifact_repository(run.info.artifact_uri, tracking_uri=self._uri).delete_artifacts()
            client.delete_run(run.info.run_id)

    def history(self, name: str) -> list[Stored]:
        """Every entry of a model's history in the order of arrival, as it lies there."""
        return [
            Stored(int(entry.version), entry.tags.get(_ENTRY, ""), entry.tags.get(_SIGNATURE, ""))
            for entry in self._entries(name + _HISTORY, "ASC")
        ]

    def append(self, name: str, text: str, signature: str, description: str) -> int:
        """Adds an entry to the history, and gives its number in the order of arrival."""
        with self._client() as client:
            _create_model(client, name + _HISTORY)
            tags = {_ENTRY: text, _SIGNATURE: signature}
            created = client.create_model_version(name + _HISTORY, source=_NO_FILES, tags=tags, description=description)
            return int(created.version)

    def aliases(self, name: str) -> dict[str, str]:
        """MLflow's own aliases of a model and the versions they point to."""
        with self._client() as client:
            from mlflow.exceptions import MlflowException

            try:
                found = client.get_registered_model(name).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return {}
            return {alias: str(version) for alias, version in found.items()}

    def set_aliases(self, name: str, aliases: Mapping[str, str]) -> None:
        """Lets MLflow's own aliases be these and no others."""
        before = self.aliases(name)
        with self._client() as client:
            for alias in before.keys() - aliases.keys():
                client.delete_registered_model_alias(name, alias)
            for alias, version in aliases.items():
                if before.get(alias) != version:
                    client.set_registered_model_alias(name, alias, version)

    def _entries(self, name: str, order: str) -> list[Any]:
        with self._client() as client:
            found: list[Any] = []
            token = None
            while True:
                page = client.search_model_versions(
                    f"name='{name}'",
                    max_results=_VERSIONS_A_CALL,
                    order_by=[f"version_number {order}"],
                    page_token=token,
                )
                found += page
                token = page.token
                if not token:
                    return found

    def _experiment(self, client: Any, name: str) -> str:
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        files = self._folder / "artifacts" / name
        location = files.absolute().as_uri() if self._uri.startswith("sqlite:") else None
        return str(client.create_experiment(name, artifact_location=location))

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
            check_room(error)
            reason = " ".join(str(error).split())[:_REASON_CHARACTERS]
            if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":  # it was reached, and refused
                raise RegistryError(reason=reason) from error
            raise RegistryUnreachableError(uri=self._uri, reason=reason) from error


def check_room(error: BaseException) -> None:
    """Raises `RegistryError` where it was a full disk."""
    if isinstance(error, OSError) and error.errno in _FULL:
        reason = f"Expected room for the registry's files, but {error.strerror}. Free some, and try again."
        raise RegistryError(reason=reason) from error


def _registered(entry: Any) -> Registered:
    return Registered(
        name=entry.name,
        version=str(entry.version),
        digest=entry.tags[_DIGEST],
        facts=json.loads(entry.tags.get(_FACTS, "{}")),
        created_seconds=entry.creation_timestamp / 1000,
    )


def _create_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


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


def _record(client: Any, run: str, figures: Mapping[str, float], settings: Mapping[str, str]) -> None:
    """Writes figures and settings to a run; of a setting that is too long for MLflow, its beginning."""
    from mlflow.entities import Metric, Param

    now_milliseconds = time.time_ns() // 1_000_000
    metrics = [Metric(key, value, now_milliseconds, step=0) for key, value in figures.items()]
    parameters = [Param(key, value[:_PARAMETER_CHARACTERS]) for key, value in settings.items()]
    for start in range(0, len(metrics), _METRICS_A_CALL):
        client.log_batch(run, metrics=metrics[start : start + _METRICS_A_CALL])
    for start in range(0, len(parameters), _PARAMETERS_A_CALL):
        client.log_batch(run, params=parameters[start : start + _PARAMETERS_A_CALL])
