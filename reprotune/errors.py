"""What a person can mend is a `Refused`; anything else that is raised is a bug."""

import re


class Refused(Exception):
    """One line: what, where, its value, and what is allowed or what to do."""


def line(told: object) -> str:
    """What an error says, in one line, without the name and password that an address in it may hold."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", " ".join(str(told).split()))[:500]
