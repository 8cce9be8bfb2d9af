"""The authorization server on the web: its endpoints for programs, and its pages for people."""
