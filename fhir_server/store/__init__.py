"""MongoDB, spoken only here."""
