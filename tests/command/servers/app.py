# An application for gunicorn. SPDX-License-Identifier: MIT
import os


def app(environ, start_response):
    body = b"good %d\n" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
