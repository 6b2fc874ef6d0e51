"""The error that a user reads."""


class UserError(Exception):
    """Something that the user can mend: one sentence that says what is wrong and the way out."""
