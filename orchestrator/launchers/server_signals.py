"""What the server that workers are forked from imports first: signals to all processes are the supervisor's to hear.

The server leaves with the supervisor all the same: the pipe between them closes then. In any other process nothing changes.
"""

import signal
import sys

SERVER = "multiprocessing.forkserver"  # is in the command by which Python starts it

if any(SERVER in word for word in sys.orig_argv):
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
