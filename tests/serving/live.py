"""Asking a service that runs, and waiting for what it does by itself."""

import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

SOON_SECONDS = 120  # on a busy machine


def wait_for(service, condition):
    deadline = time.monotonic() + SOON_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.2)
    lines = httpx.get(service.metrics).text.splitlines()
    pytest.fail("\n".join(line for line in lines if line.startswith("ray_thorax") and "_bucket" not in line))


def metric(service, name, **labels):
    """The sum of the samples of that name with these labels; None where there is none yet."""
    families = text_string_to_metric_families(httpx.get(service.metrics).text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    values = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
    return sum(values) if values else None


@dataclass
class Asking:
    """Asks until it is told to stop, and keeps every answer."""

    service: object
    data: bytes
    clients: int = 3
    answers: list = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self.threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _ask(self):
        with httpx.Client(base_url=self.service.address, timeout=60) as client:
            while not self.stopped.is_set():
                self.answers.append(client.post("/v1/predictions", content=self.data))

    @property
    def served(self):
        return [answer.json()["model"]["version"] for answer in self.answers]
