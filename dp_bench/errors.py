"""The one exception for input that cannot be used."""


class BadInput(ValueError):
    """A name, file or setting from outside that cannot be used.

    Its message is one sentence that gives the value, the rule and the choices. The
    command line prints it without a traceback and exits with status 2.
    """
