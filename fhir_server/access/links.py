"""Whose records belong together: Patients that a human has confirmed to be one person (docs/identity.md).

`Patient.link` alone opens nothing, for any app that may write a Patient may write it.
"""

from fhir_server.store import Store


async def linked(store: Store, patients: frozenset[str]) -> frozenset[str]:
    """Return the patients and all that confirmed links lead to from them, over several steps, bounded.

    Confirming and undoing a link raise the epoch of authorization, so that what was found before is asked for anew.

    Args:
        store: The record.
        patients: Logical ids of Patients.

    Raises:
        Unavailable: The database cannot be reached.
    """
    return await store.patient_links.reached(patients) if patients else patients
