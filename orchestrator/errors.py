"""What a user reads when a command ends early."""

INTERRUPTED = 130  # the shell's exit status for Ctrl-C
AGAIN = "interrupted; give the same command again"  # where nothing has begun


class UserError(Exception):
    """Something that the user can mend: one sentence that says what is wrong and the way out."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while there was a sweep that can go on: one sentence that says how."""
