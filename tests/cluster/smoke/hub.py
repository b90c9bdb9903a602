"""Run inside the hub's container, beside the hub that the image starts by itself."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import urllib.error
import urllib.request

problems = []


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


for group, names in {
    "jupyterhub.spawners": ["panneuro", "panneuro-local"],
    "jupyterhub.authenticators": ["panneuro-oidc", "panneuro-github", "panneuro-cilogon"],
    "jupyterhub.proxies": ["traefik_file"],
}.items():
    for name in names:
        (entry,) = importlib.metadata.entry_points(group=group, name=name)
        print(f"{group} {name}: {entry.load().__name__}")

for name in ("jupyterhub", "jupyterhub-kubespawner", "oauthenticator", "panneuro-hub"):
    print(name, importlib.metadata.version(name))
for module in ("aiobotocore", "jupyterhub_idle_culler", "psycopg", "kubernetes_asyncio"):
    __import__(module)
print(subprocess.run(["traefik", "version"], check=True, capture_output=True, text=True).stdout)
subprocess.run(["panneuro-hub", "check", os.environ["PANNEURO_COLLABORATION"]], check=True)

# Through the proxy: the hub itself, and the service, which lets no stranger in.
for path, wanted in {"/hub/health": 200, "/services/panneuro/api/credentials": 403}.items():
    got = status(f"http://127.0.0.1:8000{path}")
    print(path, got)
    if got != wanted:
        problems.append(f"{path} answers {got}, not {wanted}")
if os.getuid() != 1000:
    problems.append(f"runs as {os.getuid()}")
if importlib.util.find_spec("pip"):
    problems.append("has pip")
sys.exit("; ".join(problems) or 0)
