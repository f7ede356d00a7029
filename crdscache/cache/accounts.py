"""Accounts and groups as people know them: by name, with the number in case two machines differ."""

import grp
import pwd


def user(number: int) -> str:
    """Name an account; by its number alone where it has no name here."""
    try:
        return f"{pwd.getpwuid(number).pw_name} ({number})"
    except KeyError:
        return str(number)


def group(number: int) -> str:
    """Name a group, likewise."""
    try:
        return f"{grp.getgrgid(number).gr_name} ({number})"
    except KeyError:
        return str(number)
