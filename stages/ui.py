"""MLflow's page of the store that the stages write to, at http://127.0.0.1:5000; takes the options of `mlflow ui`."""

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
    os.environ.setdefault("MLFLOW_BACKEND_STORE_URI", address)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    cli.run(main)
