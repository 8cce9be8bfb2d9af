"""The ASGI edge: URLs, headers and media types to FhirRequest and back."""
