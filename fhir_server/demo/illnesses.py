"""What people of Meridia suffer from, what they take for it and what they do not bear: SNOMED CT, ATC and CVX codes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drug:
    """A medicine with its usual dose.

    Attributes:
        code: ATC code.
        name: International non-proprietary name.
        dose: Quantity and UCUM unit of one dose, such as `("10", "mg")`.
        daily: How many times a day.
        days: How long one prescription lasts.
    """

    code: str
    name: str
    dose: tuple[str, str]
    daily: int
    days: int


@dataclass(frozen=True, slots=True)
class Illness:
    """A condition that encounters are about.

    Attributes:
        code: SNOMED CT concept.
        display: Its term.
        low, high: Ages between which it occurs.
        often: For a lasting condition the share of that age group (in %), for an acute one its relative frequency.
        drugs: Keys of `DRUGS` prescribed for it.
        panels: Keys of `measurements.PANELS` that are checked with it.
        sex: `female` or `male` where only they have it.
        severe: Whether it brings people to the emergency department.
    """

    code: str
    display: str
    low: int
    high: int
    often: int
    drugs: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    sex: str = ""
    severe: bool = False


DRUGS: dict[str, Drug] = {
    "lisinopril": Drug("C09AA03", "lisinopril", ("10", "mg"), 1, 90),
    "amlodipine": Drug("C08CA01", "amlodipine", ("5", "mg"), 1, 90),
    "metformin": Drug("A10BA02", "metformin", ("500", "mg"), 2, 90),
    "atorvastatin": Drug("C10AA05", "atorvastatin", ("20", "mg"), 1, 90),
    "salbutamol": Drug("R03AC02", "salbutamol", ("0.1", "mg"), 2, 30),
    "fluticasone": Drug("R03BA05", "fluticasone", ("0.125", "mg"), 2, 30),
    "levothyroxine": Drug("H03AA01", "levothyroxine sodium", ("0.075", "mg"), 1, 90),
    "sertraline": Drug("N06AB06", "sertraline", ("50", "mg"), 1, 30),
    "omeprazole": Drug("A02BC01", "omeprazole", ("20", "mg"), 1, 30),
    "apixaban": Drug("B01AF02", "apixaban", ("5", "mg"), 2, 30),
    "bisoprolol": Drug("C07AB07", "bisoprolol", ("2.5", "mg"), 1, 90),
    "iron": Drug("B03AA07", "ferrous sulfate", ("200", "mg"), 1, 90),
    "paracetamol": Drug("N02BE01", "paracetamol", ("500", "mg"), 3, 5),
    "ibuprofen": Drug("M01AE01", "ibuprofen", ("400", "mg"), 3, 5),
    "amoxicillin": Drug("J01CA04", "amoxicillin", ("500", "mg"), 3, 7),
    "nitrofurantoin": Drug("J01XE01", "nitrofurantoin", ("100", "mg"), 2, 5),
    "sumatriptan": Drug("N02CC01", "sumatriptan", ("50", "mg"), 1, 10),
    "loratadine": Drug("R06AX13", "loratadine", ("10", "mg"), 1, 30),
}

LASTING: tuple[Illness, ...] = (
    Illness("38341003", "Hypertensive disorder", 40, 110, 35, ("lisinopril", "amlodipine"), ("renal",)),
    Illness("44054006", "Diabetes mellitus type 2", 40, 110, 14, ("metformin",), ("diabetes", "renal")),
    Illness("55822004", "Hyperlipidemia", 35, 110, 25, ("atorvastatin",), ("lipids",)),
    Illness("195967001", "Asthma", 4, 60, 9, ("salbutamol", "fluticasone")),
    Illness("13645005", "Chronic obstructive lung disease", 50, 110, 8, ("salbutamol",), ("blood",)),
    Illness("40930008", "Hypothyroidism", 25, 110, 6, ("levothyroxine",), ("thyroid",)),
    Illness("35489007", "Depressive disorder", 16, 110, 8, ("sertraline",)),
    Illness("49436004", "Atrial fibrillation", 60, 110, 9, ("apixaban", "bisoprolol"), ("renal", "blood")),
    Illness("235595009", "Gastroesophageal reflux disease", 25, 110, 8, ("omeprazole",)),
    Illness("37796009", "Migraine", 12, 65, 9, ("sumatriptan",)),
    Illness("61582004", "Allergic rhinitis", 5, 70, 10, ("loratadine",)),
    Illness("396275006", "Osteoarthritis", 50, 110, 15, ("paracetamol",)),
)

ACUTE: tuple[Illness, ...] = (
    Illness("195662009", "Acute viral pharyngitis", 1, 110, 20, ("paracetamol",)),
    Illness("10509002", "Acute bronchitis", 1, 110, 14, ("paracetamol",)),
    Illness("65363002", "Otitis media", 0, 12, 10, ("amoxicillin",)),
    Illness("68566005", "Urinary tract infectious disease", 14, 110, 8, ("nitrofurantoin",), ("blood",), "female"),
    Illness("271737000", "Anemia", 10, 110, 5, ("iron",), ("blood",)),
    Illness("44465007", "Sprain of ankle", 6, 75, 8, ("ibuprofen",)),
    Illness("24079001", "Atopic dermatitis", 0, 40, 6),
    Illness("233604007", "Pneumonia", 0, 110, 4, ("amoxicillin",), ("blood", "inflammation"), severe=True),
    Illness("74400008", "Appendicitis", 6, 60, 3, ("paracetamol",), ("blood", "inflammation"), severe=True),
    Illness("263102004", "Fracture subluxation of wrist", 5, 110, 4, ("ibuprofen",), severe=True),
    Illness("110030002", "Concussion injury of brain", 4, 110, 3, ("paracetamol",), severe=True),
)

# (SNOMED CT substance, display, category, criticality, (manifestation code, display)).
ALLERGENS: tuple[tuple[str, str, str, str, tuple[str, str]], ...] = (
    ("764146007", "Penicillin", "medication", "high", ("247472004", "Weal")),
    ("387207008", "Ibuprofen", "medication", "low", ("271807003", "Eruption of skin")),
    ("256349002", "Peanut", "food", "high", ("39579001", "Anaphylaxis")),
    ("102263004", "Eggs (edible)", "food", "low", ("271807003", "Eruption of skin")),
    ("256277009", "Grass pollen", "environment", "low", ("76067001", "Sneezing")),
    ("260147004", "House dust mite", "environment", "low", ("76067001", "Sneezing")),
)

# (CVX code, name, age in months when it is due).
CHILDHOOD_VACCINES: tuple[tuple[str, str, int], ...] = (
    ("08", "Hep B, adolescent or pediatric", 0),
    ("20", "DTaP", 2),
    ("10", "IPV", 2),
    ("49", "Hib (PRP-OMP)", 4),
    ("133", "Pneumococcal conjugate PCV 13", 4),
    ("03", "MMR", 12),
    ("21", "varicella", 15),
)
INFLUENZA = ("140", "Influenza, seasonal, injectable, preservative free")
TETANUS = ("113", "Td (adult) preservative free")
