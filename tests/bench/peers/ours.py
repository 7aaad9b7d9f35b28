"""The platform's own service with the released models in production."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.peers.chain import RELEASED
from tests.conftest import Service, registry_in, running_service

ROUTE = "/v1/predictions"
_MODELS = ("thoracic", "pneumonia")


@contextmanager
def service() -> Iterator[Service]:
    """`thorax serve`, as `make demo` starts it, with a registry of its own."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "registry"
        registry = registry_in(folder)
        for model in _MODELS:
            registry.promote(registry.register(RELEASED.with_name(model), {}, "bench"), "bench")
        with running_service(Path(scratch), registry_folder=folder, page=True) as running:
            yield running
