"""The chain behind plain FastAPI and uvicorn: bytes in, a thread an answer, JSON out."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, Request, Response

from tests.bench.peers.chain import Chain

app = FastAPI()
chain = Chain(int(os.environ["ENGINE_THREADS"]), crowded=os.environ["CROWDED"] == "1")
pool = ThreadPoolExecutor(int(os.environ["THREADS"]))


@app.post("/predict")
async def predict(request: Request) -> Response:
    data = await request.body()
    answer = await asyncio.get_running_loop().run_in_executor(pool, chain.answer, data)
    return Response(answer, media_type="application/json")
