"""``python -m panneuro_hub.service``."""

from panneuro_hub.service.app import main

main()
