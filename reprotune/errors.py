"""What a person can mend is a `Refused`; anything else that is raised is a bug."""


class Refused(Exception):
    """One line: what, where, its value, and what is allowed or what to do."""
