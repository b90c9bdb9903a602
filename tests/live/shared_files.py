"""The files of a session's projects as JupyterLab's file browser sees them, on a real store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest
from traitlets.config import Config
from transfers import PROJECT, Bench, made_bench

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.jupyter.project_files import ProjectFilesManager

DRIVE = f"project-{PROJECT}:"
FILES = {
    "day-1/a b/é.csv": b"a,b\n1,2\n",
    "day-1/raw.bin": bytes(range(256)),
    "day-1/.zattrs": b"{}",
    "day-1/.panneuro/manifest.json": b"{}",
    "note.ipynb": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
}


@contextmanager
def shared_files(
    seaweedfs: SeaweedFS, folder: Path, lifetime: timedelta = timedelta(minutes=10)
) -> Iterator[tuple[ProjectFilesManager, Bench]]:
    """A contents manager in a session whose keys last `lifetime`; its files are `FILES`."""
    (folder / "home").mkdir()
    with made_bench(seaweedfs, folder, lifetime) as bench, pytest.MonkeyPatch.context() as patch:
        bench.empty()
        for path, content in FILES.items():
            bench.admin.put_object(Bucket="lab", Key=f"{PROJECT}/{path}", Body=content)
        outside = bench.environment
        ticket = Path(outside["PANNEURO_TICKET_FILE"])
        agent = CredentialAgent(AgentSettings(outside["PANNEURO_SERVICE_URL"], ticket))
        agent.start()
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        for name, value in {**agent.environment(), "PANNEURO_PROJECT": PROJECT}.items():
            patch.setenv(name, value)
        config = Config()
        config.FileContentsManager.root_dir = str(folder / "home")
        config.JupyterFs.root_manager_class = (
            "jupyter_server.services.contents.largefilemanager.AsyncLargeFileManager"
        )
        try:
            made = ProjectFilesManager(config=config)
            assert made.known.wait(60)
            yield made, bench
        finally:
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            agent.stop()
