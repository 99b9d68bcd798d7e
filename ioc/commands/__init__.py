"""The commands of the command line, a file each group; `ioc.cli` puts them together."""
