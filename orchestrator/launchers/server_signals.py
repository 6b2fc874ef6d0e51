"""What the server that workers are forked from imports first: signals to all processes are the supervisor's to hear.

The server leaves with the supervisor all the same: the pipe between them closes then.
"""

import signal

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
