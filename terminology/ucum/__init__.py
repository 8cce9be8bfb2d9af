"""Units of measure: the Unified Code for Units of Measure (UCUM, https://ucum.org/ucum), read from its own table."""
