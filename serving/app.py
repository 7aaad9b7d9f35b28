"""The only place where the service is wired: settings -> registry -> line-up -> front door, shadow and follower."""

from typing import Any

from ray import serve

from models.errors import SettingsError
from models.reading import ReadingLimits
from serving.api import front_door
from serving.client import Client
from serving.following import first_lineup, follower
from serving.readers import Readers
from serving.settings import Settings, load_settings
from serving.shadow import shadow

NAME = "thorax"
"""Of the application; gRPC wants it as the metadata `application`."""


def build(args: dict[str, str]) -> Any:
    """The application, for `serve run serving.app:build` and `serve deploy`; set it up by `THORAX_` variables.

    Raises:
        SettingsError: a variable is wrong, or arguments were passed.
        RegistryError: the registry does not hold a model, or cannot be reached and nothing served here before.
        BundleError: a downloaded bundle is not what was registered and signed.
    """
    return application(_settings("build", args))


def build_page(args: dict[str, str]) -> Any:
    """The web page, an application of its own at `PAGE_ROUTE`; raises SettingsError as `build` does."""
    return page_application(_settings("build_page", args))


def _settings(builder: str, args: dict[str, str]) -> Settings:
    if args:
        raise SettingsError(where=f"serving.app:{builder}", reason="takes no arguments; set THORAX_ variables instead")
    return load_settings()


def application(settings: Settings) -> Any:
    """The application of these settings; raises as `build` does."""
    first_lineup(settings)
    compares = shadow(settings) if settings.shadow_percent else None
    return front_door(settings).bind(compares, follower(settings), settings)


def page_application(settings: Settings) -> Any:
    """The web page of these settings, in a process of its own: it asks the front door over HTTP, as any user does."""

    def built() -> Any:
        from serving.page.app import page_app

        limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
        readers = Readers(limits, workers=1, timeout_seconds=settings.request_timeout_seconds)
        readers.begin()
        address = f"http://{settings.host}:{settings.port}"
        return page_app(lambda: Client(address, attempts=2), readers.radiograph, settings.max_upload_bytes)

    @serve.deployment(name="page", max_ongoing_requests=100, ray_actor_options={"num_cpus": 0})
    @serve.ingress(built)
    class Page:
        """Nothing but what `built` makes."""

    page: Any = Page
    return page.bind()
