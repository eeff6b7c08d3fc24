"""The one exception that stands for a mistake of the user."""


class UserError(Exception):
    """Wrong input: the message says what was expected, what was found and what to do.

    The command line prints it as one line without a traceback and exits with status 2.
    """
