# An application for uvicorn. SPDX-License-Identifier: MIT
import os


async def app(scope, receive, send):
    if scope["type"] == "http":
        body = b"good %d\n" % os.getpid()
        length = str(len(body)).encode()
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})
