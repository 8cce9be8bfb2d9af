"""One file for each RESTful interaction (R4 3.1.0)."""
