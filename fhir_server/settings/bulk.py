"""Settings of bulk exports and imports, and of where the files lie that they make."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from fhir_server.settings.section import Section


class Bulk(Section):
    """Bulk exports and imports, and where their files lie."""

    hours: float = Field(
        default=24, gt=0, le=8760, description="How long the files of an export can be fetched after it is complete."
    )
    exports: int = Field(
        default=4, ge=1, le=1000, description="Exports that one client may have under way at the same time."
    )
    file_bytes: int = Field(
        default=2**26,
        ge=1,
        description="Size in bytes from which on a file of an export ends, and the next one begins.",
    )
    storage: Literal["database", "folder", "s3"] = Field(
        default="database",
        description="Where the files of jobs lie: in the `database` (GridFS), in a `folder` that all server processes see, or in a bucket of "
        "an `s3`-compatible store. Files of before stay where they are, and are not found any more.",
    )
    folder: Path | None = Field(default=None, description="The folder; unset: `files` in the data directory.")
    bucket: str = Field(default="", pattern=r"^[a-z0-9.-]{0,63}$", description="The bucket.")
    prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9._-]+/)*$",
        description="What the names in the bucket begin with, such as `fhir/`.",
    )
    endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="URL of the store; empty: that of Amazon S3 in the region.",
    )
    region: str = Field(default="us-east-1", description="Region of the bucket.")
    access_key: str = Field(default="", description="Access key; empty: credentials that the machine has.")
    secret_key: SecretStr | None = Field(default=None, description="Secret key.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.storage == "s3" and not self.bucket:
            raise ValueError("bulk.storage is s3, so bulk.bucket has to say which bucket")
        if self.storage == "s3" and find_spec("obstore") is None:
            raise ValueError(
                "bulk.storage is s3, which needs the extra aquifer[s3]; install it, or choose another storage"
            )
        if bool(self.access_key) != (self.secret_key is not None):
            raise ValueError("bulk.access_key and bulk.secret_key go together")
        return self
