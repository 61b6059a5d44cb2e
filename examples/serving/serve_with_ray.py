"""One service on more than one machine: Ray Serve runs a replica of it on each, and shares requests out.

    python examples/serving/serve_with_ray.py PACKAGE --replicas 2 --port 8000

Each replica is the whole service of `reasondistill serve`: the same paths, page, limits and batches. It loads the
package itself, which must be at the same path on every machine, with `reasondistill[serve]` and `ray[serve]`. On one
machine Ray starts by itself; in a cluster, run this on the head with `--address auto`. Metrics are those of the replica
that answers; keep feedback in one place by asking one service for it.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any


def deployment(package: Path, replicas: int, cores: float) -> Any:
    """A service of ``replicas`` processes, to be run with `ray.serve.run`."""
    from ray import serve

    place = str(package.resolve())

    def application() -> Any:
        from reasondistill.serving import asgi_application

        return asgi_application(place, host="0.0.0.0")  # which names it goes by is known to what stands before Ray

    # A replica takes more at once than it computes in one batch; what is too much for its queue it answers with 429.
    options = {"num_replicas": replicas, "max_ongoing_requests": 512, "ray_actor_options": {"num_cpus": cores}}
    return serve.deployment(serve.ingress(application)()).options(**options).bind()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--cores", type=float, default=1, help="of each replica")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--address", help="of a cluster; without it Ray starts on this machine")
    options = parser.parse_args()
    import ray
    from ray import serve

    ray.init(address=options.address, log_to_driver=False)
    serve.start(http_options={"host": options.host, "port": options.port})
    serve.run(deployment(options.package, options.replicas, options.cores))
    print(f"page  http://{options.host}:{options.port}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
