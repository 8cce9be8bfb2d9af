"""The formats of releases by name: which one files are in, and how they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from terminology.load import claml, cvx, icd10cm, loinc, mapped, resource, rf2, rf2_package, rxnorm, who
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release


@dataclass(frozen=True, slots=True)
class Options:
    """What a user says of a release beside its files.

    Attributes:
        url: System URI, for formats that do not imply it.
        version: What it is called, empty for what its files tell.
        language: Of displays, where a release has several.
        date: State at that day, as YYYYMMDD, of a full release of SNOMED CT.
        module: SCTID of the module of an edition of SNOMED CT.
        columns: What the columns of a plain table are.
        decode: Gives the resource that bytes say, or raises ValueError.
        tell: Is told the name of each file before it is read.
    """

    url: str = ""
    version: str = ""
    language: str = "en"
    date: str = ""
    module: str = ""
    columns: mapped.Columns = field(default_factory=mapped.Columns)
    decode: resource.Decode = resource.decoded
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        title: For people.
        recognise: Tells whether files are in it.
        read: Gives the release.
        takes: Options that it heeds.
    """

    title: str
    recognise: Callable[[Sequence[File]], bool]
    read: Callable[[Files, Options], Release]
    takes: frozenset[str] = frozenset({"version"})


FORMATS: Mapping[str, Format] = {
    "rf2": Format(
        "SNOMED CT, RF2",
        rf2_package.recognise,
        lambda files, said: rf2.read(files, said.language, said.date, said.module, said.tell),
        frozenset({"language", "date", "module"}),
    ),
    "loinc": Format("LOINC, CSV", loinc.recognise, lambda files, said: loinc.read(files, said.version, said.tell)),
    "rxnorm": Format("RxNorm, RRF", rxnorm.recognise, lambda files, said: rxnorm.read(files, said.version, said.tell)),
    "icd-10-cm": Format("ICD-10-CM", icd10cm.recognise, lambda files, said: icd10cm.read(files, said.version)),
    "claml": Format(
        "ClaML (ICD-10 and others)",
        claml.recognise,
        lambda files, said: claml.read(files, said.url, said.version),
        frozenset({"url", "version"}),
    ),
    "who": Format(
        "ICD-11 and ICD-10 tables of WHO",
        who.recognise,
        lambda files, said: who.read(files, said.url, said.version),
        frozenset({"url", "version"}),
    ),
    "cvx": Format("CVX", cvx.recognise, lambda files, said: cvx.read(files, said.version)),
    "codesystem": Format(
        "a CodeSystem resource",
        resource.recognise,
        lambda files, said: resource.read(files, said.decode, said.url, said.version),
        frozenset({"url", "version"}),
    ),
    "csv": Format(
        "a table with a mapping",
        mapped.recognise,
        lambda files, said: mapped.read(files, said.columns, said.url, said.version),
        frozenset({"url", "version", "columns"}),
    ),
}


def recognised(files: Files) -> str:
    """Return the name of the format that files are in.

    Raises:
        BrokenRelease: They are in none.
    """
    if not files.all:
        raise BrokenRelease("There are no files.", files.label)
    for name, one in FORMATS.items():
        if one.recognise(files.all):
            return name
    shown = ", ".join(one.base for one in files.all[:3])
    raise BrokenRelease(
        f"The format of these files ({shown}…) is not known by their names. Say it: {', '.join(FORMATS)}.", files.label
    )


def read(files: Files, said: Options, name: str = "") -> Release:
    """Return the release that files hold.

    Args:
        files: They.
        said: What is known beside.
        name: Of the format, empty to find it; a table with a mapping given is `csv`.

    Raises:
        BrokenRelease: They are not as their format has it, or in none.
    """
    name = name or ("csv" if said.columns.columns else recognised(files))
    if name not in FORMATS:
        raise BrokenRelease(f"There is no format '{name}': {', '.join(FORMATS)} are read.")
    one = FORMATS[name]
    release = one.read(files, said)
    if said.version and "version" not in one.takes:
        raise BrokenRelease(
            f"The version of {one.title} follows from its files, and is {release.head.version}.", files.label
        )
    return release
