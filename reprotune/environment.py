"""What of the user's environment reaches the libraries of a stage: nothing that decides what they draw, track or say.

What decides bits is in `arithmetic.dispatch`.
"""

import io
import os
import pwd
import subprocess
import sys
import warnings
from pathlib import Path

# Where MLflow's store is and how it is reached. What else a launcher may have set would turn our runs into its own.
_OF_THE_STORE = (
    "MLFLOW_TRACKING_",
    "MLFLOW_WORKSPACE",
    "MLFLOW_HTTP_",
    "MLFLOW_S3_",
    "MLFLOW_BOTO_",
    "MLFLOW_GCS_",
    "MLFLOW_SQLALCHEMYSTORE_",
    "MLFLOW_MYSQL_SSL_",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_HOST",  # where `stages.ui` shows it
    "MLFLOW_PORT",
    "MLFLOW_SERVER_",
)
_UNWANTED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as Python has it


def isolate() -> None:
    """Bring the variables, of this process and of all that it starts, to what the libraries of a stage can work with.

    To be called before any of them is imported.
    """
    for name in [name for name in os.environ if name.removeprefix("_").startswith("MLFLOW_")]:
        if not name.startswith(_OF_THE_STORE):
            del os.environ[name]
    os.environ["MPLBACKEND"] = "svg"  # a notebook's may be of a package that is not here
    _name_the_user()
    _open_streams()
    _print_anything()
    if os.environ.pop("PYTHONWARNINGS", None):  # errors, for instance
        sys.warnoptions.clear()  # which workers would be given
        warnings.resetwarnings()
        for category in _UNWANTED:
            warnings.simplefilter("ignore", category)


def _name_the_user() -> None:
    """A container's user may have no name, no home, or none to write in, and libraries look as they are imported."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        os.environ.setdefault("LOGNAME", str(os.getuid()))
        home = str(Path(".dvc/tmp/home").resolve())
    os.environ.setdefault("HOME", home)
    if not os.access(os.environ["HOME"], os.W_OK):  # where matplotlib would keep what it knows of the fonts
        os.environ.setdefault("MPLCONFIGDIR", str(Path(".dvc/tmp/matplotlib").resolve()))


def _open_streams() -> None:
    """What starts a service may have closed them: the next file to be opened would take their place, and be printed to.

    In the order of their numbers, as each takes the lowest that is free.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _print_anything() -> None:
    """What an ASCII terminal cannot show is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def git(*arguments: str) -> str:
    """What git prints; nothing if it refuses, as where there is no checkout, or if there is no git."""
    try:
        found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
        return found.stdout.strip()
    except FileNotFoundError:
        return ""
