"""Ray and Serve on this machine, from start to stop."""

import os
import random
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from models.errors import SettingsError, StartError
from serving.settings import Settings
from serving.shedding import haproxy_rules, moment_ms

# Read by Ray, and Gradio, when they are imported. HAProxy carries several times the requests of Serve's default proxy.
_RAY_ENVIRONMENT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Replicas hand a whole file to each other in one message; gRPC's own limit is 4 MiB.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    # Seconds in which load balancers notice that a replica stops. Here is only HAProxy, which is told; by default every
    # stop would take longer than the 30 seconds that Serve waits for itself. Requests at work are still answered.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    # A proxy that takes three times this long to start is killed and started again, so that a busy machine with the 5
    # seconds of the default never gets one; the start as a whole has 60 seconds.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "20",
    # By default Ray's workers come after whatever else a machine does; here they answer whoever waits.
    "RAY_worker_niceness": "0",
    # How often the controller looks; at its default of a tenth of a second that takes a processor some 6 % of its time.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    # Serve's own figures, which ours hold, too: HAProxy would write a line of each request, which Python would read.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # HAProxy's own pages, on every address of the machine; they count requests and name no patient.
    "RAY_SERVE_HAPROXY_METRICS_PORT": "9101",
    "RAY_SERVE_HAPROXY_STATS_PORT": "8404",
    # Seconds without a byte, after which whoever has not sent a whole request is let go; the default is an hour.
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
_HEALTH_CHECK = "5s"  # between two, as by Serve's own default
_MOST_CONNECTIONS = 20_000
_FILES_OF_A_CONNECTION = 2.5  # to the client, to the replica, and half of one end of a pipe between them
_OTHER_FILES = 400
_FIRST_PORT = 30_000  # of replicas, by Serve's own default
_END_OF_PORTS = 32_700  # Linux hands out ports from 32768 on
_PORTS = 40
_TRIES = 3
_LOGGING = {"log_level": "WARNING", "enable_access_log": False}


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The service, answering at the address it gives until the block ends; a termination signal is a Ctrl-C to it.

    Raises:
        SettingsError: a port is taken, or this machine has no room for the replicas.
        RegistryError, BundleError: see `serving.app.build`.
        StartError: Ray does not start; all others are raised before.
    """
    _check_room(settings)
    # Serve has no setting for further rules of HAProxy's. It writes this one, as it is given, into each backend, at the
    # end of a line `default-server`: our rules stand on lines of their own, and another such line takes what follows.
    rules = haproxy_rules(moment_ms(settings.max_waiting_requests))
    os.environ.setdefault("RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER", f"{_HEALTH_CHECK}\n{rules}    default-server")
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _check_free("THORAX_PORT", settings.host, settings.port)
    if settings.grpc_port:
        _check_free("THORAX_GRPC_PORT", settings.host, settings.grpc_port)
    _check_free("THORAX_METRICS_PORT", "", settings.metrics_port)
    for name in ("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT"):
        _check_free(name, "", int(os.environ[name]))
    first = _free_ports(settings.host)
    for start, protocol in ((first, "HTTP"), (first + _PORTS // 2, "GRPC")):
        os.environ.setdefault(f"RAY_SERVE_FALLBACK_PROXY_{protocol}_PORT", str(start))
        os.environ.setdefault(f"RAY_SERVE_DIRECT_INGRESS_MIN_{protocol}_PORT", str(start + 1))
        os.environ.setdefault(f"RAY_SERVE_DIRECT_INGRESS_MAX_{protocol}_PORT", str(start + _PORTS // 2 - 1))
    os.environ.setdefault("RAY_SERVE_HAPROXY_MAXCONN", str(_connections()))
    import ray
    from ray import serve

    from serving.api import PAGE_ROUTE
    from serving.app import NAME, application, page_application

    wired = application(settings)
    _start_ray(settings.metrics_port)
    signal.signal(signal.SIGTERM, _interrupt)  # Ray's own handler aborts and leaves its processes to others
    try:
        serve.start(
            http_options={"host": settings.host, "port": settings.port},
            grpc_options=_grpc_options(settings.grpc_port),
            logging_config=_LOGGING,
        )
        serve.run(wired, name=NAME, logging_config=_LOGGING)
        if settings.page:
            serve.run(page_application(settings), name="page", route_prefix=PAGE_ROUTE, logging_config=_LOGGING)
        yield f"http://{settings.host}:{settings.port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def _start_ray(metrics_port: int) -> None:
    """Ray gives its own processes half a minute, which on a busy machine may not be enough at the first time."""
    import ray

    for left in reversed(range(_TRIES)):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level="warning",
                _node_ip_address="127.0.0.1",
                _metrics_export_port=metrics_port,
            )
            return
        except Exception as error:  # Ray's own has no class
            ray.shutdown()
            if not left:
                raise StartError(tries=_TRIES, reason=str(error).rstrip(".")) from error


def _grpc_options(port: int) -> dict[str, Any] | None:
    if not port:
        return None
    return {"port": port, "grpc_servicer_functions": ["serving.rpc_pb2_grpc.add_ThoraxServicer_to_server"]}


def _connections() -> int:
    """How many clients may be connected at once: as many as the files allow that this process may open.

    HAProxy does not start where it may open fewer files than its connections could need.
    """
    wanted = int(_FILES_OF_A_CONNECTION * _MOST_CONNECTIONS) + _OTHER_FILES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return int((files - _OTHER_FILES) / _FILES_OF_A_CONNECTION)


def _free_ports(host: str) -> int:
    """The first port of a block behind HAProxy that no other service on this machine uses.

    Ray's own ports are the same for every service. While one starts, its HAProxy would take the fallback proxy or a
    replica of another service for its own, and that one would answer. Chance picks the block, for two services that
    start at once.
    """
    blocks = range(_FIRST_PORT, _END_OF_PORTS, _PORTS)
    for first in random.sample(blocks, len(blocks)):
        if all(_is_free(host, port) for port in range(first, first + _PORTS)):
            return first
    raise SettingsError(
        where="RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT",
        reason=f"expected {_PORTS} free ports in a row from {_FIRST_PORT} on; stop what holds them",
    )


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _check_room(settings: Settings) -> None:
    """Ray would wait for ever for processors that this machine does not have."""
    processors = os.cpu_count() or 1
    most = processors // settings.engine_threads if settings.engine_threads else 1
    if settings.min_replicas > most:
        reason = (
            f"expected at most {most} on this machine, which has {processors} processors, with THORAX_ENGINE_THREADS="
            f"{settings.engine_threads}, but received {settings.min_replicas}; ask for fewer, or set fewer threads"
        )
        raise SettingsError(where="THORAX_MIN_REPLICAS", reason=reason)


def _check_free(name: str, host: str, port: int) -> None:
    """Ray would say so with a traceback, and only after half a minute."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (
                f"expected a free port, but {port} cannot be had ({error.strerror}); stop what is there or set another"
            )
            raise SettingsError(where=name, reason=reason) from error


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
