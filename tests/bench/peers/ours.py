"""The platform's own service with the released models in production."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx

from tests.bench.peers.chain import RELEASED
from tests.conftest import Service, registry_in, running_service
from tests.serving.live import SOON_SECONDS

ROUTE = "/v1/predictions"
_MODELS = ("thoracic", "pneumonia")
_SETTLING_SECONDS = 5


@contextmanager
def service(**settings: object) -> Iterator[Service]:
    """`thorax serve` with these settings, else as `make demo` starts it, once all of it has started.

    The front door answers some ten seconds before the page does, which starts meanwhile.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "registry"
        registry = registry_in(folder)
        for model in _MODELS:
            registry.promote(registry.register(RELEASED.with_name(model), {}, "bench"), "bench")
        with running_service(Path(scratch), registry_folder=folder, page=True, **settings) as running:
            _wait_for_page(running)
            sleep(_SETTLING_SECONDS)
            yield running


def _wait_for_page(running: Service) -> None:
    page = f"{running.address}/page/"
    deadline = monotonic() + SOON_SECONDS
    while httpx.get(page, timeout=SOON_SECONDS).status_code != httpx.codes.OK:
        if monotonic() > deadline:
            raise RuntimeError(f"Expected an answer of {page} within {SOON_SECONDS} seconds, but received none.")
        sleep(0.2)
