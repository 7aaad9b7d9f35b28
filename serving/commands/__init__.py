"""The command line, a file a group of commands; libraries that take long to import are imported where they are used."""
