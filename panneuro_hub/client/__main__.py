"""``python -m panneuro_hub.client``."""

from panneuro_hub.client.command import main

main(prog_name="panneuro")
