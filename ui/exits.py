"""How a command ends.

code  meaning
0     done, also when a list is empty
1     it ran and the answer is bad: ``BadAnswer``, in one line
2     it could not run: ``CannotRun``, in one line that says what to do
130   Ctrl-C
"""


class BadAnswer(Exception):
    """It ran, and the answer is not good: a hole, a moment that is not stored, one of several failed."""

    exit_code = 1


class CannotRun(Exception):
    """It could not run: usage, setting, connection, key, security."""

    exit_code = 2


"""Of any other error there is a line too, and this code."""
