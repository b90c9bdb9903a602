"""Configuration of a gateway that is little more than dask-gateway itself, for its clients.

Worker profiles stand for what a gateway can answer.
"""

import os
import sys

from aiohttp import web
from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.local import UnsafeLocalBackend
from dask_gateway_server.options import Mapping, Options, String


class SmallBackend(UnsafeLocalBackend):
    async def setup(self, app):
        await super().setup(app)
        app.router.add_get("/api/v1/clusters/{name}/notices", self.notices)

    async def notices(self, request):
        cluster = await self.get_cluster(request.match_info["name"])
        ended = cluster.status.name not in ("PENDING", "RUNNING")
        return web.json_response({"ended": "nobody used it" if ended else None})

    async def process_cluster_options(self, user, request):
        options, config = await super().process_cluster_options(user, request)
        match options["profile"]:
            case "huge":
                raise PublicException(
                    "nhp-navigation has no worker profile 'huge'; it has: standard"
                )
            case "forbidden":
                raise web.HTTPForbidden(reason="ada's access to nhp-navigation has ended")
            case "away":
                raise web.HTTPServiceUnavailable(reason="the hub is out of reach")
            case "broken":
                raise KeyError("a bug")
            case "dies":
                config.scheduler_cmd = ["false"]
        return options, config


c = get_config()  # noqa: F821

c.DaskGateway.backend_class = SmallBackend
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.Proxy.address = f"127.0.0.1:{os.environ['PORT']}"
c.Proxy.tcp_address = f"127.0.0.1:{os.environ['TCP_PORT']}"
c.SmallBackend.cluster_options = Options(
    String("project"),
    String("profile"),
    String("image"),
    Mapping("environment"),
    handler=lambda options: {"environment": options.environment},
)
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "dask", "scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "dask", "worker"]
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.worker_memory = "1 G"
c.ClusterConfig.adaptive_period = 1
c.ClusterConfig.cluster_max_workers = 4
c.SmallBackend.cluster_start_timeout = 30
c.SmallBackend.check_timeouts_period = 1
c.SmallBackend.cluster_heartbeat_period = 1
