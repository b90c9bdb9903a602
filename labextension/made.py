"""Finish what was built: without what only the builder needs, and with a digest of its source."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parent / "panneuro_hub" / "jupyter" / "labextensions" / "panneuro-hub"
SOURCE = ("package.json", "package-lock.json", "tsconfig.json", "src/*.ts", "style/*")


def digest(folder: Path) -> str:
    """The SHA-256 of everything that the build is made of."""
    whole = hashlib.sha256()
    for path in sorted(path for pattern in SOURCE for path in folder.glob(pattern)):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()


def main() -> None:
    """Write the digest beside the build."""
    for path in BUILT.rglob("*.map"):
        path.unlink()
    (BUILT / "source.json").write_text(json.dumps({"sha256": digest(HERE)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
