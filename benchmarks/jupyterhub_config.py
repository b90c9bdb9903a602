"""A hub of the benchmark; what differs between two is in a file of settings."""

import json
import os
from pathlib import Path

from panneuro_hub.configure import configure

c = get_config()
given = json.loads(Path(os.environ["PANNEURO_BENCHMARK"]).read_text())
for name, traits in given["traits"].items():
    c[name].update(traits)
if given["configure"]:
    configure(c, **given["configure"])
