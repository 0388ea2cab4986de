"""What the URL and the secrets of a channel must be for its format, what of a URL is secret, and how fast it may go."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from consumer.formats.pagerduty import ROUTING_KEY
from schemas import urls
from schemas.channels import Format
from schemas.secret import Secret

# Requests a second of one channel, where it says nothing else. Discord's limits must not be written down: its answers
# say them. Of Workflows none is documented.
_RATES: Final[Mapping[Format, float]] = {"slack": 1.0, "pagerduty": 2.0}
_SLACK_HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_SLACK_PATH: Final = re.compile(r"/(?:services/[^/?]+/[^/?]+/[^/?]+|(?:triggers|workflows)/[^?]+)/?")
_DISCORD_HOSTS: Final = re.compile(r"(?:(?:ptb|canary)\.)?discord(?:app)?\.com")
_DISCORD_PATH: Final = re.compile(r"/api(?:/v[0-9]+)?/webhooks/[0-9]+/(?P<token>[A-Za-z0-9_\-]+)/?(?:\?.*)?")
_RETIRED_TEAMS: Final = re.compile(r"(?:.+\.)?webhook\.office\.com|outlook\.office(?:365)?\.com")
_PAGERDUTY_HOST: Final = re.compile(r"events(?:\.eu)?\.pagerduty\.com")
_PAGERDUTY_PATH: Final = "/v2/enqueue"
_ROUTING_KEY: Final = re.compile(r"[0-9A-Za-z]{32}")
_SIGNATURE: Final = re.compile(r"[?&]sig=(?P<sig>[^&]*)")


@dataclass(frozen=True, slots=True)
class UrlFinding:
    """What is odd about a channel's URL: the end of a sentence that begins with it, without anything of the URL.

    Attributes:
        is_refused: else it is a warning: a proxy of one's own may well stand there.
    """

    text: str
    is_refused: bool


def default_rate(fmt: Format) -> float | None:
    """Return how many requests a second a channel of *fmt* makes where it says nothing; None: no limit."""
    return _RATES.get(fmt)


def target_url(fmt: Format, url: str) -> str:
    """Return the URL to POST to: Discord reports what it didn't save only with `wait=true`."""
    if fmt != "discord":
        return url
    base, _, query = url.partition("?")
    members = [one for one in query.split("&") if one and one.partition("=")[0] != "wait"]
    return f"{base}?{'&'.join([*members, 'wait=true'])}"


def look(fmt: Format, url: str, is_own: Callable[[str], bool] = lambda _: False) -> UrlFinding | None:
    """Return what is odd about *url*, in which `schemas.urls` found nothing wrong, for a channel of *fmt*; or None.

    Args:
        fmt: of the channel.
        url: of the channel.
        is_own: whether a host is the operator's: a test's receiver on a loopback address, or a proxy.
    """
    parts = urls.split(url)
    if is_own(parts.host):
        return None
    match fmt:
        case "openmeter" | "flat" | "cloudevents" | "template":
            return None
        case "slack":
            return _slack(parts)
        case "teams":
            return _teams(parts)
        case "discord":
            return _discord(parts)
        case "pagerduty":
            return _pagerduty(parts)
        case _:
            assert_never(fmt)


def secret_problems(fmt: Format, secrets: Mapping[str, Secret]) -> list[tuple[tuple[str, ...], str]]:
    """Return what is wrong with a channel's *secrets* for *fmt*, each with its place; never anything of a value."""
    if fmt != "pagerduty":
        return []
    key = secrets.get(ROUTING_KEY)
    if key is None:
        return [(("secrets", ROUTING_KEY), "is missing: PagerDuty needs the integration key of its service there")]
    if not _ROUTING_KEY.fullmatch(key.reveal()):
        problem = f"has {len(key.reveal())} characters: an integration key is 32 letters and digits"
        return [(("secrets", ROUTING_KEY), problem)]
    return []


def has_secret_url(fmt: Format) -> bool:
    """Whether a URL of *fmt* is a password in itself, whatever the channel says."""
    return fmt in {"slack", "teams", "discord"}


def secret_part(fmt: Format, url: str, *, is_marked: bool = False) -> str | None:
    """Return the part of *url* that must not be seen, to be masked wherever it appears; None where there is none.

    Args:
        fmt: of the channel.
        url: of the channel.
        is_marked: the channel says that its URL is secret.
    """
    target = urls.split(url).target
    if fmt == "discord" and (found := _DISCORD_PATH.fullmatch(target)):
        return found["token"]
    if fmt == "teams" and (found := _SIGNATURE.search(target)) and found["sig"]:
        return found["sig"]
    return target.removeprefix("/") or None if has_secret_url(fmt) or is_marked else None


def _slack(parts: urls.Parts) -> UrlFinding | None:
    if parts.host not in _SLACK_HOSTS:
        return _refused("is not a webhook of Slack: those begin with https://hooks.slack.com/services/")
    if not parts.is_tls or not _SLACK_PATH.fullmatch(parts.target):
        return _refused("is not a whole webhook of Slack: copy https://hooks.slack.com/services/T…/B…/… from its app")
    if not parts.target.startswith("/services/"):
        return _warning("is a workflow's: it takes only variables that the workflow declares, `text` among them")
    return None


def _teams(parts: urls.Parts) -> UrlFinding | None:
    if _RETIRED_TEAMS.fullmatch(parts.host):
        return _refused(
            "is a connector of Office 365, which Microsoft has retired: in Teams, open Workflows, choose"
            " “Send webhook alerts to a channel”, and take the URL that it shows"
        )
    return None if parts.is_tls else _warning("is not https: its signature can be read on the way")


def _discord(parts: urls.Parts) -> UrlFinding | None:
    if not _DISCORD_HOSTS.fullmatch(parts.host):
        return _warning("is not Discord's own host: what stands there must answer as Discord does")
    if not parts.is_tls or not _DISCORD_PATH.fullmatch(parts.target):
        return _refused("is not a webhook of Discord: copy https://discord.com/api/webhooks/ID/TOKEN, without a suffix")
    return None


def _pagerduty(parts: urls.Parts) -> UrlFinding | None:
    if not _PAGERDUTY_HOST.fullmatch(parts.host):
        return _warning("is not PagerDuty's own host: what stands there must answer as PagerDuty does")
    if not parts.is_tls or parts.target != _PAGERDUTY_PATH:
        return _refused("is not the Events API v2: write https://events.pagerduty.com/v2/enqueue")
    return None


def _refused(text: str) -> UrlFinding:
    return UrlFinding(text, is_refused=True)


def _warning(text: str) -> UrlFinding:
    return UrlFinding(text, is_refused=False)
