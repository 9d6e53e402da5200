# SPDX-License-Identifier: MIT
"""The application in a worker that is a new program: to import it is to start the worker."""

import app

app.begin_worker()
asgi = app.asgi
