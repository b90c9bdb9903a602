"""Team-aware classes for the identity providers of this field.

Each says where its provider tells the groups, and how a group is written in the
collaboration file: whole, since leaf names collide between organisations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from oauthenticator.azuread import AzureAdOAuthenticator
from oauthenticator.cilogon import CILogonOAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.globus import GlobusOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from traitlets import default

from panneuro_hub.hub.teams_mixin import TeamsMixin

_GLOBUS_GROUPS = "urn:globus:auth:scope:groups.api.globus.org:view_my_groups_and_memberships"


class PanNeuroGenericOAuthenticator(TeamsMixin, GenericOAuthenticator):
    """Any OpenID Connect provider; groups from the claim ``groups`` of the user info."""


class PanNeuroGitHubOAuthenticator(TeamsMixin, GitHubOAuthenticator):
    """GitHub; a group is ``organisation:team-slug``."""

    @default("populate_teams_in_auth_state")
    def _populate_teams_default(self) -> bool:
        return True

    @default("scope")
    def _scope_default(self) -> list[str]:
        return ["read:org"]

    @default("reauthentication_params")
    def _reauthentication_default(self) -> dict[str, str]:
        # GitHub has no way to ask for the password again; this asks for a click there.
        return {"prompt": "select_account"}

    async def provider_groups(self, auth_state: Mapping[str, Any]) -> set[str]:
        """Every GitHub team of the person, as ``organisation:team-slug``."""
        groups = set()
        for team in auth_state.get("teams") or ():
            match team:
                case {"organization": {"login": str(organization)}, "slug": str(slug)}:
                    groups.add(f"{organization}:{slug}")
        return groups


class PanNeuroCILogonOAuthenticator(TeamsMixin, CILogonOAuthenticator):
    """CILogon; groups from the claim ``isMemberOf``."""

    @default("auth_state_groups_key")
    def _groups_key_default(self) -> str:
        return f"{self.user_auth_state_key}.isMemberOf"

    def name_claims(self, user_info: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the claim that the settings name for the person's institution."""
        idp = user_info.get("idp")
        settings = (self.idps.get(idp) or {}) if isinstance(idp, str) else {}
        claim = settings.get("username_derivation", {}).get("username_claim")
        return (claim,) if isinstance(claim, str) else ()

    @default("reauthentication_params")
    def _reauthentication_default(self) -> dict[str, str]:
        return {"prompt": "login"}


class PanNeuroGlobusOAuthenticator(TeamsMixin, GlobusOAuthenticator):
    """Globus; a group is its UUID."""

    @default("auth_state_groups_key")
    def _groups_key_default(self) -> str:
        return "globus_groups"

    @default("scope")
    def _scope_default(self) -> list[str]:
        scopes = list(super()._scope_default())
        return scopes if _GLOBUS_GROUPS in scopes else [*scopes, _GLOBUS_GROUPS]

    @default("reauthentication_params")
    def _reauthentication_default(self) -> dict[str, str]:
        return {"prompt": "login"}

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        """Confirm the person alone: the base class puts their tokens into the pod."""
        await self.confirm_starting_user(user, spawner)


class PanNeuroGoogleOAuthenticator(TeamsMixin, GoogleOAuthenticator):
    """Google Workspace; a group is its whole address, ``group@domain``."""

    @default("reauthentication_params")
    def _reauthentication_default(self) -> dict[str, str]:
        # Google knows no prompt=login; this asks for a click there.
        return {"prompt": "select_account"}

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Fetch the groups always: the base class does so only for its own settings."""
        model: dict[str, Any] = await super().update_auth_model(auth_model)
        person = model["auth_state"][self.user_auth_state_key]
        if not (self.allowed_google_groups or self.admin_google_groups):
            groups = await self._fetch_member_groups(person["email"], person["domain"])
            person["google_groups"] = sorted(groups)
        return model

    async def httpfetch(self, url: Any, *args: Any, **kwargs: Any) -> Any:
        """Fetch as the base class does, and keep the whole addresses of groups."""
        answer = await super().httpfetch(url, *args, **kwargs)
        # The base class cuts an address at its @, and groups of two domains would be one:
        # an address without that sign is left whole, and is good in its further requests.
        for group in answer.get("groups", ()) if isinstance(answer, dict) else ():
            if isinstance(group, dict) and isinstance(group.get("email"), str):
                group["email"] = quote(group["email"], safe="")
        return answer

    async def provider_groups(self, auth_state: Mapping[str, Any]) -> set[str]:
        """Every Google group of the person, as its whole address."""
        groups = auth_state[self.user_auth_state_key].get("google_groups", ())
        return {unquote(group) for group in groups}


class PanNeuroAzureAdOAuthenticator(TeamsMixin, AzureAdOAuthenticator):
    """Microsoft Entra ID (Azure AD); a group is its object id.

    A refresh only decodes the login's own id token again, so that a membership holds
    for `membership_grace` after a login, and no longer.
    """

    refresh_is_fresh = False

    @default("reauthentication_params")
    def _reauthentication_default(self) -> dict[str, str]:
        # Entra says auth_time only where its admin has asked for that claim.
        return {"prompt": "login"}
