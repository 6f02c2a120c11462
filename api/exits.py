"""How the command line ends: 0 is done, everything else stands here."""

EXIT_REFUSED = 1  # refused, or a check that failed
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
