"""Where the files of jobs lie, if not in the database: a folder, or a bucket of an S3-compatible store. Settings say which."""

from fhir_server.filing.bucket import Bucket
from fhir_server.filing.folder import Folder
from fhir_server.model.files import Files
from fhir_server.settings import Settings

__all__ = ["Bucket", "Folder", "filed"]

FOLDER = "files"


def filed(settings: Settings, database: Files) -> Files:
    """Return where files lie by the settings.

    Args:
        settings: Effective settings.
        database: Where they lie in the database.
    """
    bulk = settings.bulk
    if bulk.storage == "folder":
        return Folder(bulk.folder or settings.data_dir / FOLDER)
    return Bucket(bulk) if bulk.storage == "s3" else database
