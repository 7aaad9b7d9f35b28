"""The only place where the service is wired: settings -> registry -> predictors -> front door."""

from typing import Any

from models.bundle import CARD, Manifest, read_manifest
from models.errors import SettingsError
from models.registry import ModelVersion, Registry
from serving.api import Api
from serving.predictor import ServedModel, predictor
from serving.schemas import ModelDescription, ModelName
from serving.settings import Settings, load_settings


def build(args: dict[str, str]) -> Any:
    """The application, for `serve run serving.app:build` and `serve deploy`; set it up by `THORAX_` variables.

    Raises:
        SettingsError: a variable is wrong, or arguments were passed.
        RegistryError: the registry cannot be reached or does not hold a model.
        BundleError: a downloaded bundle is not what was registered.
    """
    if args:
        raise SettingsError(where="serving.app:build", reason="takes no arguments; set THORAX_ variables instead")
    return application(load_settings())


def application(settings: Settings) -> Any:
    """The application of these settings; raises as `build` does."""
    registry = Registry(settings.registry_address, settings.registry_folder, settings.keys)
    predictors, descriptions = {}, []
    for asked in settings.models:
        name, _, alias = asked.partition("@")
        version = registry.resolve(name, alias)
        bundle = registry.download(version)
        served = ServedModel(ModelName(name=name, version=version.version, digest=version.digest), alias, bundle)
        predictors[name] = predictor(served, settings)
        manifest, _ = read_manifest(bundle, version.digest)
        card = (bundle / CARD).read_text(encoding="utf-8")
        descriptions.append(_description(version, registry.figures(version), manifest, card))
    front_door: Any = Api  # which Serve's decorators have made a deployment
    return front_door.bind(predictors, descriptions, settings)


def _description(version: ModelVersion, figures: dict[str, float], manifest: Manifest, card: str) -> ModelDescription:
    return ModelDescription(
        name=version.name,
        version=version.version,
        aliases=list(version.aliases),
        digest=version.digest,
        findings=list(manifest.findings),
        age_group=manifest.age_group,
        confounded=list(manifest.confounded),
        metrics=figures,
        card=card,
    )
