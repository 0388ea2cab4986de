"""/livez, /readyz and /metrics: served by every role, without a token."""

from collections.abc import Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from consumer import patience
from consumer.patience import Check
from consumer.serve.bodies import MAX_BYTES


def application(checks: Mapping[str, Check], registry: CollectorRegistry) -> web.Application:
    """Return the three endpoints.

    `/livez`: 200 while the process can answer. `/readyz`: 200 where every one of *checks* passes, else 503 with the
    reason of each that does not. `/metrics`: Prometheus' text format.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        failing = patience.failing(checks)
        body = {"status": "waiting" if failing else "ok", "checks": {name: failing.get(name, "ok") for name in checks}}
        return web.json_response(body, status=503 if failing else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=MAX_BYTES)
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app
