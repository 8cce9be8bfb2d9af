"""What is measured: vital signs and laboratory panels with their LOINC codes, UCUM units and usual values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One numeric observation.

    Attributes:
        code: LOINC code.
        display: Its name.
        unit: Printed unit.
        ucum: UCUM code of the unit.
        mean, spread: Of the values of a healthy adult.
        digits: Digits after the point.
        low, high: Reference range as written, empty for none.
    """

    code: str
    display: str
    unit: str
    ucum: str
    mean: float
    spread: float
    digits: int
    low: str = ""
    high: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A laboratory panel: LOINC code, name and its measures."""

    code: str
    display: str
    measures: tuple[Measure, ...]


VITALS: dict[str, Measure] = {
    "temperature": Measure("8310-5", "Body temperature", "°C", "Cel", 36.7, 0.3, 1),
    "pulse": Measure("8867-4", "Heart rate", "beats/minute", "/min", 74, 9, 0),
    "breathing": Measure("9279-1", "Respiratory rate", "breaths/minute", "/min", 15, 2, 0),
    "oxygen": Measure("2708-6", "Oxygen saturation in Arterial blood", "%", "%", 97.5, 0.9, 0),
    "weight": Measure("29463-7", "Body weight", "kg", "kg", 74, 12, 1),
    "height": Measure("8302-2", "Body height", "cm", "cm", 171, 9, 0),
    "bmi": Measure("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", "kg/m2", 25, 3, 1),
}

PRESSURE = ("85354-9", "Blood pressure panel with all children optional")
SYSTOLIC = Measure("8480-6", "Systolic blood pressure", "mmHg", "mm[Hg]", 122, 11, 0)
DIASTOLIC = Measure("8462-4", "Diastolic blood pressure", "mmHg", "mm[Hg]", 77, 8, 0)

PANELS: dict[str, Panel] = {
    "blood": Panel(
        "58410-2",
        "CBC panel - Blood by Automated count",
        (
            Measure("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL", 13.8, 1.2, 1, "12.0", "16.5"),
            Measure(
                "6690-2",
                "Leukocytes [#/volume] in Blood by Automated count",
                "10*3/uL",
                "10*3/uL",
                7.2,
                1.9,
                1,
                "4.0",
                "11.0",
            ),
            Measure(
                "777-3",
                "Platelets [#/volume] in Blood by Automated count",
                "10*3/uL",
                "10*3/uL",
                255,
                50,
                0,
                "150",
                "400",
            ),
        ),
    ),
    "renal": Panel(
        "24362-6",
        "Renal function 2000 panel - Serum or Plasma",
        (
            Measure(
                "2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 0.95, 0.22, 2, "0.60", "1.30"
            ),
            Measure(
                "2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", 4.2, 0.35, 1, "3.5", "5.1"
            ),
            Measure(
                "2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", 140, 2.4, 0, "136", "145"
            ),
        ),
    ),
    "lipids": Panel(
        "24331-1",
        "Lipid 1996 panel - Serum or Plasma",
        (
            Measure(
                "2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 205, 32, 0, "100", "200"
            ),
            Measure(
                "2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 52, 11, 0, "40", "90"
            ),
            Measure(
                "2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 140, 38, 0, "40", "150"
            ),
        ),
    ),
    "diabetes": Panel(
        "55399-0",
        "Diabetes tracking panel",
        (
            Measure("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "%", 7.1, 0.9, 1, "4.0", "5.6"),
            Measure("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 142, 32, 0, "70", "99"),
        ),
    ),
    "thyroid": Panel(
        "3016-3",
        "Thyrotropin [Units/volume] in Serum or Plasma",
        (
            Measure(
                "3016-3",
                "Thyrotropin [Units/volume] in Serum or Plasma",
                "m[IU]/L",
                "m[IU]/L",
                2.6,
                1.3,
                2,
                "0.40",
                "4.00",
            ),
        ),
    ),
    "inflammation": Panel(
        "1988-5",
        "C reactive protein [Mass/volume] in Serum or Plasma",
        (
            Measure(
                "1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", "mg/L", 48, 22, 1, "0.0", "5.0"
            ),
        ),
    ),
}
