"""Which rows of the trail are disclosures that a patient has an account of (HIPAA, 45 CFR 164.528).

Counted is what went out of the house: to services of others, and what was recorded as a disclosure. Not counted is what served
treatment, payment or health care operations, and what the patient got or asked for. A service that never stated its purpose is
counted: better an entry too many than one that is missing.
"""

from collections.abc import Mapping
from typing import Any

YEARS = 6
"""How far back the account goes."""

EXCLUDED = (
    "TREAT", "ETREAT", "CAREMGT", "BTG", "COVERAGE", "HPAYMT", "CLMATTCH", "ELIGDTRM", "REMITADV", "HOPERAT", "HSYSADMIN", "HQUALIMP",
    "PATADMIN", "PATSFTY", "PERFMSR", "HACCRED", "HAUDIT", "PATRQT", "FAMRQT", "PWATRNY", "SUPNWK",
)  # fmt: skip
"""Purposes (v3 ActReason) of treatment, payment and operations, and of what goes to the individual."""

READING = (
    "read", "vread", "history-instance", "history-type", "history-system", "search-type", "search-system", "search-compartment",
    "disclosure", "$everything", "$export", "$summary", "$document",
)  # fmt: skip
"""Kinds that hand something out."""

DISCLOSED: Mapping[str, Any] = {
    "$or": [{"au": "system"}, {"k": "disclosure"}],
    "k": {"$in": [*READING]},
    "oc": "0",
    "pu": {"$nin": [*EXCLUDED]},
    "rt": {"$ne": "AuditEvent"},
}
"""The filter."""
