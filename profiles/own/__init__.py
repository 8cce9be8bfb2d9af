"""The definitions of this server's own: extensions, code systems, value sets and profiles, as JSON, with an example of each profile."""
