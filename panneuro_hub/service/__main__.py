"""``python -m panneuro_hub.service``."""

import os
import sys

from panneuro_hub import secret_env
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.service.app import main

try:
    secret_env.load_secret_environment(os.environ)  # before the options are read, which look there
except PanNeuroError as error:
    sys.exit(f"panneuro-service: {error}")
main()
