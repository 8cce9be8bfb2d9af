"""Names, streets and towns that people of Meridia have. Invented combinations of common names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pool:
    """Names of one community.

    Attributes:
        language: BCP-47 code of its language.
        label: The language's English name.
        weight: How common the community is.
        female, male, family: Names as they are written.
        latin: For another script: family and given names in Latin letters, by the written name.
    """

    language: str
    label: str
    weight: int
    female: tuple[str, ...]
    male: tuple[str, ...]
    family: tuple[str, ...]
    latin: dict[str, str]


POOLS: tuple[Pool, ...] = (
    Pool(
        "en", "English", 46,
        ("Alice", "Grace", "Emma", "Hannah", "Lucy", "Ruth", "Sophie", "Clara", "Nora", "Ivy", "Martha", "Olive"),
        ("James", "Arthur", "Henry", "Daniel", "Samuel", "Peter", "George", "Oliver", "Thomas", "Adam", "Simon", "Felix"),
        ("Smith", "Carter", "Bennett", "Harper", "Whitfield", "Marsh", "Lowell", "Hale", "Ashby", "Dunmore", "Kerr",
         "O'Brien", "Fletcher", "Penrose", "Sutton", "Wells"),
        {},
    ),
    Pool(
        "es", "Spanish", 16,
        ("María José", "Lucía", "Inés", "Carmen", "Rocío", "Belén", "Paula", "Noelia"),
        ("José", "Andrés", "Íñigo", "Martín", "Ramón", "Tomás", "Álvaro", "Joaquín"),
        ("Muñoz", "García", "Peña", "Núñez Ortega", "Ibáñez", "Castaño", "Ruiz", "Vázquez"),
        {},
    ),
    Pool(
        "de", "German", 12,
        ("Jürgen-Marie", "Käthe", "Heike", "Ännchen", "Greta", "Ursel", "Lieselotte", "Anja"),
        ("Jürgen", "Götz", "Matthias", "Sören", "Uwe", "Lukas", "Björn", "Konrad"),
        ("Müller", "Groß", "Schröder", "Köhler", "Weiß", "Böhm", "von Aue", "Krüger"),
        {},
    ),
    Pool(
        "pl", "Polish", 8,
        ("Łucja", "Małgorzata", "Zofia", "Agnieszka", "Żaneta", "Halina"),
        ("Łukasz", "Paweł", "Józef", "Bogusław", "Michał", "Stanisław"),
        ("Wójcik", "Kowal", "Zając", "Król", "Łaski", "Świątek"),
        {},
    ),
    Pool(
        "hi", "Hindi", 8,
        ("सीता", "प्रिया", "अनीता", "मीरा", "कविता", "सुनीता"),
        ("राम", "विजय", "अर्जुन", "संजय", "मोहन", "किरण"),
        ("कुमार", "शर्मा", "सिंह", "पटेल", "वर्मा", "गुप्ता"),
        {"सीता": "Sita", "प्रिया": "Priya", "अनीता": "Anita", "मीरा": "Meera", "कविता": "Kavita", "सुनीता": "Sunita",
         "राम": "Ram", "विजय": "Vijay", "अर्जुन": "Arjun", "संजय": "Sanjay", "मोहन": "Mohan", "किरण": "Kiran",
         "कुमार": "Kumar", "शर्मा": "Sharma", "सिंह": "Singh", "पटेल": "Patel", "वर्मा": "Verma", "गुप्ता": "Gupta"},
    ),
    Pool(
        "ar", "Arabic", 7,
        ("ليلى", "فاطمة", "مريم", "سلمى", "نور", "هدى"),
        ("يوسف", "أحمد", "خالد", "سامي", "عمر", "طارق"),
        ("حسن", "منصور", "الخطيب", "حداد", "درويش", "النجار"),
        {"ليلى": "Layla", "فاطمة": "Fatima", "مريم": "Maryam", "سلمى": "Salma", "نور": "Noor", "هدى": "Huda",
         "يوسف": "Yusuf", "أحمد": "Ahmad", "خالد": "Khalid", "سامي": "Sami", "عمر": "Omar", "طارق": "Tariq",
         "حسن": "Hassan", "منصور": "Mansour", "الخطيب": "Al-Khatib", "حداد": "Haddad", "درويش": "Darwish",
         "النجار": "Al-Najjar"},
    ),
    Pool(
        "he", "Hebrew", 3,
        ("רחל", "מרים", "נועה", "תמר"),
        ("דוד", "יונתן", "אורי", "משה"),
        ("כהן", "לוי", "מזרחי", "פרידמן"),
        {"רחל": "Rachel", "מרים": "Miriam", "נועה": "Noa", "תמר": "Tamar", "דוד": "David", "יונתן": "Yonatan",
         "אורי": "Uri", "משה": "Moshe", "כהן": "Cohen", "לוי": "Levi", "מזרחי": "Mizrahi", "פרידמן": "Friedman"},
    ),
)  # fmt: skip

ENGLISH = POOLS[0]

STREETS: tuple[str, ...] = (
    "Harbour Road", "Mill Lane", "Station Street", "Orchard Way", "Church Hill", "Market Square", "Quay Street",
    "Linden Avenue", "Bridge Street", "High Meadow", "Well Close", "Lighthouse Walk",
)  # fmt: skip
