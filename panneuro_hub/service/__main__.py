"""``python -m panneuro_hub.service``."""

import os
import sys

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.service import private
from panneuro_hub.service.app import main

try:
    private.take(os.environ)  # before the options are read, which look there
except PanNeuroError as error:
    sys.exit(f"panneuro-service: {error}")
main()
