"""Whatever fails behind the door leaves it as problem details."""

import asyncio
import json

import httpx
import pytest
from fastapi import FastAPI

from serving.problems import answer_with_problems
from tests.models.test_errors import FAMILY, example


def ask(failure, path="/"):
    """The answer of a door whose route fails like this."""
    door = FastAPI()
    answer_with_problems(door)

    @door.get("/")
    async def fail(number: int = 0) -> None:
        raise failure

    async def answer():
        transport = httpx.ASGITransport(door, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return await client.get(path)

    return asyncio.run(answer())


@pytest.mark.parametrize("error", FAMILY)
def test_every_error_is_answered_as_problem_json(error):
    response = ask(example(error))
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (response.status_code, error.code)


@pytest.mark.parametrize("error", FAMILY)
def test_503_and_nothing_else_says_when_to_come_back(error):
    response = ask(example(error))
    assert response.headers.get("retry-after") == ("2" if response.status_code == 503 else None)


def test_a_query_of_the_wrong_kind_is_a_bad_request_that_names_its_place():
    problem = ask(None, "/?number=two").json()
    assert (problem["status"], problem["code"]) == (400, "bad_request")
    assert "query.number" in problem["detail"]


def test_an_unknown_route_and_a_wrong_method_keep_their_status():
    response = ask(None, "/nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_an_unforeseen_failure_tells_neither_caller_nor_log_what_was_sent(capsys):
    response = ask(ValueError("CANARY^NAME"))
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The service failed. Its log says why.",
        "code": "internal",
    }
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["failed", "refused"]
    assert lines[0]["error"] == "ValueError"
    assert "test_problems.py" in lines[0]["places"][-1]
    assert "CANARY" not in json.dumps(lines)
