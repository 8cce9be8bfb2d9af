"""Bulk data (HL7 Bulk Data Access): what an export is asked for, what it reads, and the files that it makes."""
