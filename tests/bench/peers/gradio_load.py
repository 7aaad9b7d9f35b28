"""The same load as `wrk`, for who is asked in three steps: Gradio's clients send a file, call, and wait for events."""

import json
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import httpx

from tests.bench.peers.film import Message
from tests.bench.peers.wrk import CLIENTS, Load


def load(address: str, message: Message, seconds: float) -> Load:
    began = perf_counter()

    def work(_: int) -> int:
        answers = 0
        with httpx.Client(base_url=address, timeout=60) as client:
            while perf_counter() < began + seconds:
                ask(client, message)
                answers += 1
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = sum(pool.map(work, range(CLIENTS)))
    return Load(answers, 0, perf_counter() - began)


def ask(client: httpx.Client, message: Message) -> dict[str, float]:
    """The scores by finding."""
    headers = {"Content-Type": message.content_type}
    (path,) = client.post("/gradio_api/upload", content=message.body, headers=headers).raise_for_status().json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    called = client.post("/gradio_api/call/predict", json={"data": [file]}).raise_for_status().json()["event_id"]
    events = client.get(f"/gradio_api/call/predict/{called}").raise_for_status().text
    return json.loads(events.partition("event: complete\ndata: ")[2])[0]
