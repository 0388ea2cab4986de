"""`python -m enforcement`: the handler in front of Kong or flagd, with settings from the environment.

SIGTERM ends it: what is being answered is answered first.
"""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from .access import Policy
from .flagd import FlagdFile
from .handler import Backend, Enforcer
from .kong import AclGroups, ConsumerGroups
from .receiver import application
from .state import Tollbell

WRONG: Final = 2
logger: Final = logging.getLogger("enforcement")
KONG: Final = {"kong-acl": AclGroups, "kong-consumer-groups": ConsumerGroups}


def main(environment: Mapping[str, str]) -> int:
    """Serve until SIGTERM; return the exit status: 2 where a setting is missing or wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        app, host, port = _configured(environment)
    except KeyError as exc:
        sys.stderr.write(f"enforcement: {exc.args[0]} is not set\n")
        return WRONG
    except ValueError as exc:
        sys.stderr.write(f"enforcement: {exc}\n")
        return WRONG
    web.run_app(app, host=host, port=port, access_log=None, print=logger.info)
    return 0


def _configured(environment: Mapping[str, str]) -> tuple[web.Application, str, int]:
    policy = Policy()
    if "ENFORCEMENT_NAMES" in environment:
        policy = Policy(names=tuple(_listed(environment["ENFORCEMENT_NAMES"])))
    backend = _backend(environment)
    enforcer = Enforcer(backend, _listed(environment["ENFORCEMENT_SECRETS"]), policy=policy)
    tollbell = Tollbell(
        environment["ENFORCEMENT_TOLLBELL_URL"],
        _listed(environment["ENFORCEMENT_RULES"]),
        environment.get("ENFORCEMENT_TOLLBELL_TOKEN", ""),
    )
    host, port = _address(environment.get("ENFORCEMENT_LISTEN", "127.0.0.1:9000"))
    return application(enforcer, tollbell.read), host, port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"ENFORCEMENT_LISTEN={text}: must be HOST:PORT")
    return host.strip("[]"), int(port)


def _backend(environment: Mapping[str, str]) -> Backend:
    kind, features = environment["ENFORCEMENT_BACKEND"], _pairs(environment["ENFORCEMENT_FEATURES"])
    if kind == "flagd":
        return FlagdFile(Path(environment["ENFORCEMENT_FLAGD_FILE"]), features)
    if kind not in KONG:
        raise ValueError(f"ENFORCEMENT_BACKEND={kind}: is none of flagd, {', '.join(KONG)}")
    token = environment.get("ENFORCEMENT_KONG_TOKEN")
    headers = {"Kong-Admin-Token": token, "Authorization": f"Bearer {token}"} if token else {}
    return KONG[kind](environment["ENFORCEMENT_KONG_URL"], features, headers=headers)


def _pairs(text: str) -> dict[str, str]:
    """Read `llm_tokens=cut-off-tokens,storage=cut-off-storage`."""
    pairs = [one.partition("=") for one in _listed(text)]
    if not pairs or not all(feature and name for feature, _, name in pairs):
        raise ValueError("ENFORCEMENT_FEATURES: must be FEATURE=NAME, comma-separated: the group or flag of each")
    return {feature: name for feature, _, name in pairs}


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


if __name__ == "__main__":
    sys.exit(main(os.environ))
