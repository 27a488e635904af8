"""The one exception that means "what you gave us is wrong", in one sentence."""


class BadInput(ValueError):
    """Something from outside (a name, a file, a setting) that cannot be used.

    Its message is one sentence that names the value, the rule and the choices; the
    command line prints it without a traceback and exits with 2.
    """
