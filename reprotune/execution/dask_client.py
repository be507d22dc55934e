"""The connection to a Dask scheduler: an address that may be used, or a cluster on this machine."""

import gc
import ipaddress
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from reprotune.errors import ParamsError, one_line
from reprotune.params import Execution

_PATIENCE = 10  # seconds, for a scheduler to answer


@contextmanager
def client(execution: Execution, workers: int) -> Iterator[Any]:
    """A `distributed.Client`. Raises ParamsError for an address that is refused, or that does not answer."""
    from distributed import Client

    for noisy in ("distributed", "distributed.client"):  # what a person must know of it is a UserError
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    if execution.scheduler is None:
        with _cluster(workers) as here, Client(here) as connected:
            yield connected
    else:
        with _connected(checked(execution.scheduler, execution.insecure)) as connected:
            if not connected.nthreads():
                print(f"{execution.scheduler} has no worker yet: waiting for one", flush=True)
            yield connected


def _cluster(workers: int) -> Any:
    from dask import config
    from distributed import LocalCluster

    with config.set({"distributed.scheduler.allowed-failures": 0}):  # who dies is run alone at once
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # as the engine local: what is too much, the system decides
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None means a fixed port, which another cluster may have
            silence_logs=logging.CRITICAL,
        )


def _connected(address: str) -> Any:
    from distributed import Client

    try:
        return Client(address, timeout=_PATIENCE)
    except (OSError, TypeError, ValueError) as error:  # no answer; no certificates, or not those that it trusts
        reason = f"cannot be reached within {_PATIENCE} s ({one_line(error)})"
    gc.collect()  # What failed closes itself as it goes: in the middle of another's start it would wait for that.
    raise ParamsError("execution.scheduler", address, reason)


def checked(address: str, insecure: bool) -> str:
    """Raises ParamsError unless it is an address, and of this machine or encrypted, or declared to be insecure."""
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or parts.path:
        raise ParamsError("execution.scheduler", address, "must be null, tcp://HOST:PORT or tls://HOST:PORT")
    with suppress(ValueError):
        if parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback:
            return address
    if parts.scheme == "tcp" and not insecure:
        allowed = "runs what anyone sends it: must be tls://…, or on this machine, or execution.insecure must be true"
        raise ParamsError("execution.scheduler", address, allowed)
    return address
