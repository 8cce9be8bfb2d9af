"""Release files of code systems, read as streams of concepts."""
