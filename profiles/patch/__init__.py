"""FHIRPath Patch (R4 3.1.0.5.3, fhirpatch.html): changes of a resource as a Parameters resource, applied and found."""
