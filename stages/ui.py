"""MLflow's page of the store that the stages write to, and a link to each experiment; takes `mlflow ui`'s options."""

import argparse
import os
import sys

from reprotune import cli
from reprotune.errors import UserError, one_line


def main() -> None:
    from reprotune.tracking import store

    with store.usable():
        address = store.prepared()
    if address.startswith("http"):
        raise UserError(f"MLFLOW_TRACKING_URI = {one_line(address)}: this server has its own page; open that")
    with store.usable():
        links = store.links()
    for name, link in links.items():
        print(f"{name}: {_server()}{link}", flush=True)
    print("the page is there in some seconds; Ctrl-C ends it", flush=True)
    os.environ.setdefault("MLFLOW_BACKEND_STORE_URI", address)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *sys.argv[1:]])  # noqa: S606


def _server() -> str:
    """Where the page will be, as `mlflow ui` reads its options."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("-h", "--host", default=os.environ.get("MLFLOW_HOST", "127.0.0.1"))
    options.add_argument("-p", "--port", default=os.environ.get("MLFLOW_PORT", "5000"))
    given, _ = options.parse_known_args()
    return f"http://{given.host}:{given.port}"


if __name__ == "__main__":
    cli.run(main)
