"""The only place where the service is wired: settings -> registry -> line-up -> front door, shadow and follower."""

from typing import Any

from models.errors import SettingsError
from serving.api import front_door
from serving.following import first_lineup, follower
from serving.settings import Settings, load_settings
from serving.shadow import shadow


def build(args: dict[str, str]) -> Any:
    """The application, for `serve run serving.app:build` and `serve deploy`; set it up by `THORAX_` variables.

    Raises:
        SettingsError: a variable is wrong, or arguments were passed.
        RegistryError: the registry does not hold a model, or cannot be reached and nothing served here before.
        BundleError: a downloaded bundle is not what was registered and signed.
    """
    if args:
        raise SettingsError(where="serving.app:build", reason="takes no arguments; set THORAX_ variables instead")
    return application(load_settings())


def application(settings: Settings) -> Any:
    """The application of these settings; raises as `build` does."""
    first_lineup(settings)
    compares = shadow(settings) if settings.shadow_percent else None
    return front_door(settings).bind(compares, follower(settings), settings)
