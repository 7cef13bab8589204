"""Words that synthetic claims are made of. Codes are real ICD-10-CM and CPT codes; people and numbers are invented."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Procedure:
    """A procedure with its usual price in dollars (median of a log-normal)."""

    code: str
    words: str
    price: float


@dataclass(frozen=True)
class Specialty:
    """Diagnoses and the procedures that suit them."""

    diagnoses: tuple[tuple[str, str], ...]
    procedures: tuple[Procedure, ...]


SPECIALTIES = (
    Specialty(
        (
            ("M54.50", "low back pain"),
            ("M17.11", "knee osteoarthritis"),
            ("M75.41", "shoulder impingement"),
            ("M51.26", "disc displacement"),
        ),
        (
            Procedure("97110", "physical therapy", 900),
            Procedure("72148", "lumbar MRI", 2600),
            Procedure("20610", "joint injection", 1200),
            Procedure("27447", "knee replacement", 24000),
        ),
    ),
    Specialty(
        (("I25.10", "coronary artery disease"), ("I48.91", "atrial fibrillation"), ("I10", "hypertension"), ("I50.9", "heart failure")),
        (
            Procedure("93000", "electrocardiogram", 300),
            Procedure("93306", "echocardiogram", 2200),
            Procedure("78452", "stress test", 3900),
            Procedure("92928", "coronary stent", 28000),
        ),
    ),
    Specialty(
        (("E11.9", "type 2 diabetes"), ("E11.65", "hyperglycemia"), ("E78.5", "high cholesterol"), ("E03.9", "underactive thyroid")),
        (
            Procedure("83036", "hemoglobin test", 150),
            Procedure("95250", "glucose monitoring", 1700),
            Procedure("99214", "office visit", 350),
            Procedure("A9276", "glucose sensor supply", 6000),
        ),
    ),
    Specialty(
        (("J45.909", "asthma"), ("J44.9", "obstructive lung disease"), ("G47.33", "sleep apnea"), ("J18.9", "pneumonia")),
        (
            Procedure("94010", "spirometry", 400),
            Procedure("71250", "chest CT", 2400),
            Procedure("95810", "sleep study", 4200),
            Procedure("32663", "lung surgery", 31000),
        ),
    ),
)

FIRST_NAMES = (
    "Maria",
    "James",
    "Aisha",
    "Robert",
    "Linda",
    "Wei",
    "Patricia",
    "Carlos",
    "Susan",
    "Ahmed",
    "Karen",
    "Dmitri",
    "Nancy",
    "Kofi",
    "Helen",
    "Tomasz",
    "Ingrid",
    "Marcus",
    "Priya",
    "Samuel",
    "Yolanda",
    "Victor",
    "Beatrice",
    "Hiro",
    "Denise",
    "Omar",
)
LAST_NAMES = (
    "Gonzalez",
    "Whitfield",
    "Okafor",
    "Petersen",
    "Nakamura",
    "Delgado",
    "Kowalski",
    "Abernathy",
    "Rahman",
    "Lindqvist",
    "Moreau",
    "Castellano",
    "Fitzgerald",
    "Ibrahim",
    "Hartmann",
    "Vasquez",
    "Thornton",
    "Banerjee",
    "Mbeki",
    "Sorensen",
    "Callahan",
    "Oyelaran",
)
STREETS = ("Maple", "Jefferson", "Lakeview", "Birch", "Franklin", "Harbor")

OPENINGS = (
    "{who}, {age} years old, seen {date}: {procedure} for {diagnosis}.",
    "{procedure} for {who}, aged {age}, with {diagnosis}.",
    "On {date} {who} asked for {procedure}; {diagnosis}.",
    "Request of {date}: {procedure}. {who} has {diagnosis}.",
    "{who} has {diagnosis}. Ordered: {procedure}, {date}.",
    "Member {member} received {procedure}, billed under {diagnosis}.",
)
SUPPORTED = (
    "The records support medical necessity.",
    "Medical necessity is documented.",
    "Conservative treatment failed, so the request is medically necessary.",
    "The procedure is consistent with the diagnosis.",
    "Findings justify the procedure.",
    "The treatment is appropriate for the condition.",
)
UNSUPPORTED = (
    "The records do not support medical necessity.",
    "Medical necessity is not documented.",
    "Conservative treatment was not tried, so the request is not medically necessary.",
    "The procedure is not consistent with the diagnosis.",
    "Findings do not justify the procedure.",
    "The treatment is not appropriate for the condition.",
)
AUTHORIZED = ("Prior authorization is on file.", "The request was authorized in advance.", "Authorization was granted before the service.")
UNAUTHORIZED = ("No prior authorization was found.", "Prior authorization is missing.", "The service was not authorized in advance.")
CONTACTS = (
    "",
    "",
    "",
    "",
    "Callback {phone}.",
    "Questions to {email}.",
    "MRN {mrn}.",
    "SSN on file {ssn}.",
    "Home address {house} {street} Street.",
    "See claim {claim_number}.",
    "Notes at https://portal.example.org/{mrn}.",
    "Treating physician: Dr. {doctor}.",
)

COURSES = (
    "Symptoms began three weeks ago and are slowly improving",
    "The patient reports no relief from rest",
    "Pain is worse at night",
    "There is shortness of breath on exertion",
    "Appetite and sleep are normal",
    "No fever or weight loss was reported",
    "Home readings were above target",
    "The patient walks two miles a day",
    "Mild swelling was noted on examination",
    "Lungs are clear on both sides",
    "Heart rate is regular",
    "Range of motion is limited",
    "Laboratory values are within range",
    "Imaging shows no acute change",
    "Medication is taken as directed",
    "Two doses were missed last week",
)
PLANS = (
    "continue the current medication",
    "start physical therapy twice a week",
    "repeat laboratory tests in six weeks",
    "return to the clinic in one month",
    "call if symptoms get worse",
    "reduce salt in the diet",
    "refer to a specialist",
    "increase the dose after one week",
    "keep the wound dry for two days",
    "schedule imaging",
    "stop smoking",
    "begin a walking program",
)
DRUGS = ("metformin 500 mg", "lisinopril 10 mg", "ibuprofen 400 mg", "atorvastatin 20 mg", "albuterol 90 mcg", "levothyroxine 50 mcg")
DOCUMENT_TYPES = ("prescription", "discharge_summary", "soap_note", "procedure_note")
