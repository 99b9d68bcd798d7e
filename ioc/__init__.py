"""The program: command line, settings, composition, metrics and health, shutdown, the embedded broker."""
