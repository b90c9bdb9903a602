"""A server that is little more than its agent: a session as JupyterLab's, in a tenth of the time.

It says where the agent is in ``agent.json`` of its folder, as a server's kernels know it.
Its ``page`` is a page whose server does what it likes: with the opener policy of the query,
and a service worker for the whole origin.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import jupyterhub._version as version

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent, set_up_logging
from panneuro_hub.agent.in_process import use_agent

# Passes page views on, and tells all pages that it controls what it could read of them.
_WORKER = """
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", event => {
  if (event.request.mode !== "navigate" || event.request.url.includes("/page")) return;
  event.respondWith((async () => {
    const answer = await fetch(event.request);
    const text = await answer.clone().text();
    for (const client of await self.clients.matchAll()) client.postMessage(text);
    return answer;
  })());
});
"""
_FILES = {
    "page": ("text/html", "<!doctype html><title>A page of a server</title>"),
    "worker.js": ("text/javascript", _WORKER),
}
LARGE = "16.0"  # cores, of the profile whose servers take their time


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        address = urlparse(self.path)
        name = address.path.rpartition("/")[2]
        kind, body = _FILES.get(name, ("application/json", "{}"))
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", version.__version__)
        self.send_header("Content-Type", kind)
        self.send_header("Service-Worker-Allowed", "/")
        for policy in parse_qs(address.query).get("opener", ()):
            self.send_header("Cross-Origin-Opener-Policy", policy)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the hub asks often."""


def main() -> None:
    set_up_logging()
    tempfile.tempdir = os.getcwd()  # what a killed server leaves stays in its home
    agent = CredentialAgent(AgentSettings.from_environment(os.environ))
    agent.start()
    use_agent(agent, os.environ)
    Path("agent.json").write_text(json.dumps(agent.environment()))
    if os.environ.get("CPU_LIMIT") == LARGE:
        # Progress is told only of what is under way: one who looks must find it so.
        time.sleep(3)
    address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        ThreadingHTTPServer((address.hostname, address.port), Handler).serve_forever()
    finally:
        agent.stop()


if __name__ == "__main__":
    main()
