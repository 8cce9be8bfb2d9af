"""A small synthetic country: organizations, places, staff and patients, the same at every run. Nobody in it is real."""
