"""`python -m regimen_cluster`."""

import signal
import sys

from regimen_cluster.cli import main

signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `status | head` ends quietly
sys.exit(main())
