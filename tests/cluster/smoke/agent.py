"""Run inside the agent's container, with nothing but Python: it hands out keys, and is small."""

import http.client
import importlib.util
import json
import os
import sys
from pathlib import Path

problems = []
token = Path(os.environ["PANNEURO_TOKEN_FILE"]).read_text().strip()
agent = http.client.HTTPConnection("127.0.0.1", int(os.environ["PANNEURO_AGENT_PORT"]), timeout=60)
agent.request("GET", "/credentials", headers={"Authorization": token})
answer = agent.getresponse()
keys = json.loads(answer.read())
if answer.status != 200 or not keys.get("Token"):
    problems.append(f"no keys: HTTP {answer.status}")
if os.getuid() != 65532:
    problems.append(f"runs as {os.getuid()}")
problems += [
    f"has {name}"
    for name in ("pip", "ensurepip", "pydantic", "panneuro_hub.hub", "panneuro_hub.vending")
    if importlib.util.find_spec(name)
]
print(f"python {sys.version.split()[0]}")
print(f"keys until {keys.get('Expiration')}")
sys.exit("; ".join(problems) or 0)
