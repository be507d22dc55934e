"""A machine without a network: on PYTHONPATH, each Python process runs this first, and those that it starts too.

Nothing beyond this machine is looked up or connected to, and REFUSED names the file that says what was tried. Other
programs (git) are not held, and none is given a remote here. IMPORTED names the file that says what was imported, a
program and a module a line; what a program forks is not that program.
"""

import os
import socket
import sys
from pathlib import Path

HERE = {None, "", b"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname()}

PID = os.getpid()
IMPORTED = os.open(os.environ.get("IMPORTED", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "import" and os.getpid() == PID:
        os.write(IMPORTED, f"{sys.argv[:1]} {arguments[0]}\n".encode())
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):  # else a file's
        host = arguments[1][0]
    else:
        return
    if (host.decode() if isinstance(host, bytes) else host) not in HERE:
        with Path(os.environ["REFUSED"]).open("a") as file:
            file.write(f"{' '.join(sys.argv)}: {event} {host!r}\n")
        raise OSError(f"{host!r} is beyond this machine")


sys.addaudithook(watch)
