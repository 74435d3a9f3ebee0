"""The container's health check: the web process answers `/healthz` under a host name that it serves."""

import http.client
import os
import sys

host = os.environ.get("FL_ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".")
connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("BACKEND_PORT", "8000")), timeout=4)
connection.request("GET", "/healthz", headers={"Host": host})
sys.exit(connection.getresponse().status != 200)
