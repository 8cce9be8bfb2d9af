"""Loading of NDJSON: lines cut into batches, and each batch checked and stored, by this process or by several."""
