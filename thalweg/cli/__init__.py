"""The command line: a thin skin over the package, one module a command, each loaded only when it is called."""
