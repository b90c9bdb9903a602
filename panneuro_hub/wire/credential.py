"""Short-lived keys, in the form of the container-credentials protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Credential:
    """Short-lived keys for a session's grants; they mask themselves when printed.

    Parameters
    ----------
    access_key_id : str
        Identifies the keys. It is not secret; a store's own logs show it.
    secret_access_key, session_token : str
        The secrets.
    expires : datetime
        The expiration that the store states (aware, UTC); never invented.
    renew_after : datetime
        The time at which to request the next keys (aware, UTC), well before `expires`.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime
    renew_after: datetime

    def to_json(self) -> dict[str, str]:
        """Return the response of the container-credentials protocol.

        ``RenewAfter`` is ours; the SDKs ignore it.

        Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
        """
        return {
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key,
            "Token": self.session_token,
            "Expiration": format_time(self.expires),
            "RenewAfter": format_time(self.renew_after),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Credential:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If a key is missing or a time is invalid; the text contains no value.
        """
        try:
            expires = parse_time(document["Expiration"])
            return cls(
                access_key_id=str(document["AccessKeyId"]),
                secret_access_key=str(document["SecretAccessKey"]),
                session_token=str(document["Token"]),
                expires=expires,
                renew_after=parse_time(document.get("RenewAfter", document["Expiration"])),
            )
        except KeyError as missing:
            raise ValueError(f"a credential without {missing.args[0]}") from None
        except TypeError:
            raise ValueError("a credential whose times are not text") from None


def format_time(moment: datetime) -> str:
    """Return an aware datetime as RFC 3339 in UTC, to the second, ending in ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Return the datetime of an RFC 3339 text, aware and in UTC.

    Raises
    ------
    ValueError
        If `text` is not a time with a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
