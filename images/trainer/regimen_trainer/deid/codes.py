"""Numbers and codes that nothing clinical explains: an identifier unless shown otherwise.

Whatever holds three digits or more is judged by its form: a dose, a range, a size, a laboratory value, a year, a spine level, a code of
diagnoses, procedures, drugs or findings stays; so do short numbers, since most are measurements. The rest goes. Long plain numbers stay
only where the words around them measure, count, pay or code something.
"""

import re
from functools import lru_cache

from regimen_trainer.deid.lexicon import english, medical_words
from regimen_trainer.deid.recognizer import Found, Recognizer, after_lead, recognizer, tag, word_set

_PIECE = re.compile(r"\d[^\s\d]*\d[^\s\d]*\d\S*")
"""From a first digit to the next space, with three digits or more."""
_TOKEN = re.compile(r"\w+(?:[-/._:+*]+\w+)*")
_WORD = re.compile(r"(?<![a-z\[])[a-z]+")
"""A word that is not our own tag."""
ENOUGH = 3
"""Digits of which a code has at least so many."""
_PARTS = re.compile(r"[-/._:+*]+")
UNITS = word_set("""
mg mgs mcg ug g gm gms gram grams kg kgs lb lbs oz ml mls l dl cc cm cms mm m in ft u unit units iu meq mmol mol mosm ng pg nmol pmol umol mmhg
h hr hrs hour hours min mins minute minutes s sec secs second seconds d day days wk wks week weeks mo month months yr yrs year years yo
f c fr ga gauge k w j kj kv kvp ma mas gy cgy sv msv hz khz bpm cfu copies cells cal kcal calorie calories percent degree degrees am pm x
tab tabs tablet tablets cap caps pk st nd rd th s pack packs ppd mcl ul cubic fl cmh2o dpm rpm mph ppm ppb hpf lpf amp amps vial vials
""")
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_WHEN = word_set("pre post mid early late since")
_NUMBER = r"\d{1,6}(?:\.\d{1,4})?"
_CODE_LETTERS = r"(?:CO|PR|OA|PI|CR|MA|N|M)"
_ELEMENTS = r"(?:Tc|I|F|Ga|Lu|Xe|In|Tl|Y|Sr|Sm|Ra|Ir|Cs|Co|Pd|Au|Rb|Cr|Kr|Am|P|C|N|O|H|Re|Ho|Cu|Zr|Ac)"
_VITALS = r"(?:BP|HR|RR|T|P|R|SPO2|SATS?|WT|HT|BMI|BG|BS|EF|LVEF|INR|NA|HGB|WBC|PLT|HCT|BUN|TEMP|TMAX|PULSE|FIO2|PEEP|TV|PSA|LDL|HDL|TSH)"
_CLINICAL = re.compile(
    "|".join(
        (
            rf"{_NUMBER}(?:[-/x]{_NUMBER}){{0,3}}[-/]?(?:{_UNIT}|m2|mm3|cmm)(?:[-/.](?:{_NUMBER})?-?(?:{_UNIT}|m2|mm3|mm|cmm|dose)?)*",  # 500mg
            rf"(?:{_UNIT})[-/]{_NUMBER}",
            r"\d{1,2}:\d\d(?::\d\d)?(?:[AP]\.?M|H|HRS?)",
            r"\d{1,4}(?:\.\d+)?(?:x\d{1,4}(?:\.\d+)?)+(?:cm|mm|m|in)?",  # 10x12x8cm
            r"[A-TV-Z]\d[0-9A-Z]\.[0-9A-Z]{1,4}(?:-[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?)?|[VE]\d{2,3}\.\d{1,2}",  # ICD
            r"[A-Z]\d{2}-[A-Z]?\d{2}|[A-Z]\d{1,3}",  # ICD chapters, remarks, single markers
            rf"{_CODE_LETTERS}-?\d{{1,3}}",  # reasons of a denial
            r"[CTLS]\d{1,2}(?:[-/][CTLS]?\d{1,2}){1,4}|CN\d{1,2}-\d{1,2}|V\d(?:-V?\d)+",  # levels, nerves, leads
            rf"{_ELEMENTS}-?\d{{1,3}}m?|\d{{1,3}}m?{_ELEMENTS}",  # isotopes
            r"(?:CA|CD|CYP|S|IL|HPV|HLA|HLA-[A-Z]{1,4}|PSMA|MIR|U|P|EV|KRAS|CK|HSP|GP|PD|MAGE|DRG|APR-DRG|MS-DRG)-?\d{1,3}[A-Z]?\d?",
            r"[ACDEFGHIKLMNPQRSTVWY]\d{2,3}[ACDEFGHIKLMNPQRSTVWY]|[CPGNM]\.[A-Z0-9_>*+-]+|RS\d{3,9}",  # variants of genes
            r"[CPYRA]{0,3}T(?:[0-4X]|IS)[A-D]?N[0-3X][A-C]?(?:M[01X][A-C]?)?",  # stages
            r"G\d{1,2}(?:P\d{1,4})?(?:A\d+)?(?:L\d+)?|P\d{4}|\d{1,2}W\d{1,2}D?",  # pregnancies
            rf"{_VITALS}:?\d{{1,3}}(?:\.\d+|/\d{{2,3}})?",
            r"(?:CMS|HCFA|ADA|UB|FORM|FY|ICD|DSM|SF|X)-?\d{1,4}[A-Z]?(?:-(?:CM|PCS))?",
            r"(?:19|20)\d\dS|[OHQX]\d{3}(?::H\d)?|H\dN\d\w*|SARS-COV-?2|FEV1/FVC",
            r"(?:FOLFOX|FOLFIRI|CHOP|ABVD|DCF|MVAC|ECOG|NIHSS|GCS|MMSE|MOCA|PHQ|GAD|AUDIT|APGAR|KPS|ASA|NYHA|BIRADS|BI-RADS|PIRADS|TIRADS)\W?\d+(?:[-/]\d+)*",
        )
    ),
    re.IGNORECASE,
)
"""What is clinical by its form."""
_HCPCS = re.compile(r"[A-V]\d{4}(?:-[A-Z0-9]{2})?|\d{4}[FTU]|\d{5}-[0-9A-Z]{2}", re.IGNORECASE)
"""HCPCS, CPT II and III, CPT with a modifier: in texts that speak of coding."""
_ICD_BARE = re.compile(r"[A-TV-Z]\d[0-9A-Z]{1,5}|[0-9A-HJ-NP-Z]{7}", re.IGNORECASE)
"""Diagnoses without their dot, procedures of ICD-10: right after a word of coding."""
CODING = word_set("""
cpt hcpcs icd code codes coded coding billed billing bill procedure procedures modifier modifiers drg ndc loinc snomed sctid rxnorm rxcui cvx
revenue dx diagnosis diagnoses pcs service services payable denied units charge charges
""")
_CODES = re.compile(
    r"(?<!\[)\b(?:cpt|hcpcs|icd\W?(?:9|10)?(?:\W?(?:cm|pcs))?|ndc|loinc|snomed(?:\Wct)?|sctid|rxnorm|rxcui|cvx|drg|atc|umls|mesh|taxonomy|modifier|dx|diagnos[ie]s|codes?)\b[^.;\n]{0,24}$"
)
_MEASURED = re.compile(
    r"(?:\$|\b(?:platelets?|plts?|wbc|rbc|counts?|ferritin|bnp|nt-probnp|cpk|ck|ldh|ast|alt|lipase|amylase|troponin|hcg|psa|cea|afp|load|titers?|volume|dose|total"
    r"|amount|paid|pay|cost|charged?s?|allowed|billed|owed|owes|income|salary|weigh(?:s|ed|t)?|calories|steps|level|at least|over|under|about|approximately|around|than|to|of))\W{1,3}(?:is |was |of )?[<>~]?\s?$"
)
_AFTER = re.compile(
    rf"\s?-?(?:(?!in\s[a-z])(?:{_UNIT})\b|%|/|x\s?10|k\b|copies|cells|colonies|people|patients|dollars|usd|steps|times|rads?|per (?:mm|ml|ul|hpf|day|minute|hour|kg)|international|platelets|leukocytes)",
    re.IGNORECASE,
)

_VITAL = re.compile(
    r"\b(?:bp|pressures?|hr|rate|pulse|rates|systolic|temps?|sats?|sugars?|glucose|range|ranging|between|age|ages|from|running|levels?|degrees|flexion|extension|abduction|rotation|c|t|l|s)\W{1,3}(?:is |was |of |in the |at )?$"
)
_CLOCK = re.compile(
    r"(?:\b(?:at|around|about|until|till|by|from|to|between|and|since|time|time:|approximately|before|after|is|was|on|of)|[@~\d-]|(?:am|pm|:\d\d),)\s?$"
)
_O_CLOCK = re.compile(r"\s?(?:h\b|hrs?\b|hours?\b|:|am\b|pm\b|-\d{4}\b|today|this morning|yesterday|on arrival)", re.IGNORECASE)
"""Around a time of the day without its colon."""


@lru_cache(maxsize=100_000)
def _judged(token: str) -> bool | None:
    """Whether a token is an identifier by its form alone; None where the words around it must tell."""
    digits = sum(map(str.isdigit, token))
    if digits < ENOUGH:
        return False
    if token.isdigit():
        return None if digits > 4 or (digits == 4 and (token[:2] not in ("19", "20") or token > "2039")) else False
    if not any(map(str.isalpha, token)):
        return None if _HCPCS.fullmatch(token) else _figures(token, digits)
    lower = token.lower()
    if re.fullmatch(r"\d{5,}-?[a-fh-jl-tv-z]", lower):
        return True
    if _CLINICAL.fullmatch(token) or lower in medical_words() or _worded(lower):
        return False
    pieces = token.split("/")
    if len(pieces) > 1 and all(sum(map(str.isdigit, piece)) < ENOUGH for piece in pieces):
        return False
    return None if _ICD_BARE.fullmatch(token) or _HCPCS.fullmatch(token) else True


def _worded(lower: str) -> bool:
    """500-milligram, mid-2019: figures and words of English."""
    parts = _PARTS.split(lower)
    figures = [part for part in parts if part.isdigit()]
    words = [part for part in parts if part.isalpha()]
    known = len(figures) + len(words) == len(parts) and all(
        word in UNITS or word in _WHEN or (len(word) > 2 and word in english()) for word in words
    )
    year = len(figures) == 1 and len(figures[0]) == 4 and figures[0][:2] in ("19", "20")
    return known and (year or (parts[0].isdigit() and all(len(figure) <= 4 for figure in figures)))


def _figures(token: str, digits: int) -> bool | None:
    """Numbers joined by signs: ranges, ratios, pressures, times, decimals, LOINC; nothing longer."""
    parts = _PARTS.split(token.strip("_"))
    signs = set(re.sub(r"\d", "", token))
    longest = max(map(len, parts))
    if signs == {"/"}:
        return longest > 4 or len(parts) > 4
    if signs == {"."}:
        leading = len(parts[0]) > 1 and parts[0].startswith("0")
        return leading or digits > 9 if len(parts) == 2 else digits > 4
    if signs == {":"}:
        return longest > 2 and not (len(parts) == 2 and len(parts[0]) < 3 and longest < 7)
    if signs == {"-"}:
        if longest == 1 or (len(parts) == 2 and (_is_range(*parts) or _is_loinc(token))):
            return False
        return None if (len(parts) == 3 and digits in (10, 11)) or (len(parts) == 2 and longest < 5) else digits > 4 or len(parts) > 2
    numbers = re.split(r"[-/+:]", token)
    return not (len(numbers) <= 4 and all(re.fullmatch(r"\d{0,4}(?:\.\d{1,3})?", number) for number in numbers))


def _is_range(low: str, high: str) -> bool:
    if low.startswith("0") or len(high) > 4:
        return False
    return (len(low) < 3 and int(low) > int(high)) or (int(low) < int(high) and (len(high) - len(low) < 2 or int(high) % 50 == 0))


def _is_loinc(token: str) -> bool:
    """LOINC's numbers end with a check digit (Luhn's)."""
    number, _, check = token.partition("-")
    doubled = (str(2 * int(digit)) if place % 2 == 0 else digit for place, digit in enumerate(reversed(number)))
    return len(check) == 1 and len(number) < 6 and -sum(int(digit) for digit in "".join(doubled)) % 10 == int(check)


def _explained(text: str, token: str, start: int, end: int, coding: bool) -> bool:
    """Whether the words around a token say that it measures, counts, pays or codes something."""
    left = text[max(0, start - 40) : start].lower()
    if _CODES.search(left) or (coding and (_HCPCS.fullmatch(token) or (len(token) == 5 and token.isdigit()))):
        return True
    if not token.isdigit():
        return re.fullmatch(r"\d{1,4}-\d{1,4}", token) is not None and bool(_AFTER.match(text, end) or _VITAL.search(left))
    if len(token) == 4 and (_CLOCK.search(left) or _O_CLOCK.match(text, end)) and int(token[:2]) < 25 and int(token[2:]) < 60:
        return True
    round_number = token.endswith("000") or (len(token) < 6 and token.endswith("00")) or (len(token) == 4 and token.endswith("50"))
    return bool(_AFTER.match(text, end)) or (token[0] != "0" and (round_number or (len(token) < 8 and bool(_MEASURED.search(left)))))


def clean(text: str, found: Found) -> str:
    """The text with its unexplained codes replaced, which `found` counts."""
    pieces, last, coding = list[str](), 0, None
    for piece in _PIECE.finditer(text):
        begins = piece.start()
        while begins > last and not text[begins - 1].isspace():
            begins -= 1
        for match in _TOKEN.finditer(text, begins, piece.end()):
            token, start, end = match[0], match.start(), match.end()
            verdict = _judged(token)
            if verdict is None:
                if coding is None:
                    coding = not CODING.isdisjoint(_WORD.findall(text.lower()))
                verdict = not _explained(text, token, start, end, coding)
            if verdict:
                pieces += (text[last:start], tag("CODE"))
                last = end
                found["CODE"] = found.get("CODE", 0) + 1
    return "".join((*pieces, text[last:])) if pieces else text


def _spaced(match: re.Match[str]) -> str:
    """Groups of digits, not years and not a series of measurements."""
    groups = re.findall(r"\d{3,}", match[0])
    years = all(len(group) == 4 and group[:2] in ("19", "20") for group in groups)
    lettered = match["letters"] is not None
    digits = sum(map(str.isdigit, match[0])) if lettered else sum(map(len, groups))
    return match[0] if years or digits < 7 or not (lettered or max(map(len, groups)) > 3) else tag("CODE")


_STATE = "alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|georgia|hawaii|idaho|illinois|indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi|missouri|montana|nebraska|nevada|hampshire|jersey|mexico|new|york|north|south|carolina|dakota|ohio|oklahoma|oregon|pennsylvania|rhode|island|tennessee|texas|utah|vermont|virginia|west|washington|wisconsin|wyoming|[A-Z]{2}"
_CARS = "car|truck|van|suv|sedan|pickup|motorcycle|minivan|coupe|hatchback|trailer|boat|jeep|scooter|snowmobile|atv|rv|ford|honda|toyota|chevrolet|chevy|nissan|subaru|hyundai|kia|dodge|ram|gmc|buick|mazda|volkswagen|vw|volvo|tesla|bmw|audi|lexus|acura|chrysler|pontiac|saturn|cadillac|lincoln|camry|corolla|civic|accord|silverado|prius|vehicle"


CODES = (
    recognizer("CODE", r"(?<![\w.,/-])\d(?:[ -]{1,3}\d){5,}(?![\w/%]|[.,]\d)", shapes=("0 0 0 0", "0-0-0-0", "0 - 0")),
    recognizer("CODE", r"(?<![\w.,$/-])\d\d(?: \d\d){3,}(?: \d)?(?![\w/%]|[.,]\d)", shapes=("00 00 00",)),
    recognizer(
        "CODE",
        r"(?<![\w*#•])[xX*•#]{2,}(?:[-. ]?[xX*•#]{2,})*[-. ]?\d{4}\b",
        shapes=("x0000", "x-0000", "*0000", "*-0000", "#0000", "#-0000", "•0000", "•-0000", "x 0000", "* 0000"),
    ),
    recognizer("ACCOUNT", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b", shapes=("00 0000", "0000 0000"), flags=0),
    recognizer(
        "VEHICLE",
        r"(?<![\w'’.-])(?:[A-HJ-NPR-Z0-9][ -]){9,16}[A-HJ-NPR-Z0-9](?![\w'’])",
        lambda match: tag("VEHICLE") if sum(map(str.isdigit, match[0])) > 2 and re.search("[A-Za-z]", match[0]) else match[0],
        shapes=("0 0 0", "a 0", "0 a", "-0-0"),
    ),
    recognizer("CODE", r"(?<![\w'’.-])(?:[A-Z][ -]){2,6}(?:\d[ -]){2,6}\d(?![\w.,/%-]\d?)", shapes=("0 0 0", "0-0-0"), flags=0),
    recognizer(
        "LICENSE",
        r"(?P<lead>\b(?i:licen[cs]e|permit|passport|certificate|cert|card|ID|title|registration)(?:\s(?i:is|was|no\.?|number|of|reads|verified:?|[A-Z]{2}|on\sfile|plate))*[\s:#]+)(?=[A-Z]*\d[A-Z\d]*\b)(?=\d*[A-Z])[A-Z\d]{5,14}\b",
        after_lead("LICENSE"),
        words="license licence permit passport certificate cert card id title registration",
        flags=0,
    ),
    recognizer("CODE", r"(?<![\w.])@\w[\w.]{2,}", shapes=("@",)),
    recognizer(
        "CODE",
        r"(?<![\w.,$-])(?P<letters>[A-Z]{1,4}\d{0,4}-?[ -])?\d{3,5}(?: \d{3,5})+(?: \d{1,4})?(?![\w%/]|[.,]\d)",
        _spaced,
        shapes=("000 0",),
    ),
    recognizer(
        "CODE",
        r"\b(?:[\w~-]+[\\/])*[\w()~-]+\.(?:wav|mp3|m4a|flac|ogg|wsq|pdf|docx?|xlsx?|csv|txt|zip|bin|avi|wmv|dicom|nii|edf)\b",
        words="wav mp m flac ogg wsq pdf doc docx xls xlsx csv txt zip bin avi wmv dicom nii edf",
        needs=(
            ".wav",
            ".mp3",
            ".m4a",
            ".flac",
            ".ogg",
            ".wsq",
            ".pdf",
            ".doc",
            ".xls",
            ".csv",
            ".txt",
            ".zip",
            ".bin",
            ".avi",
            ".wmv",
            ".dicom",
            ".nii",
            ".edf",
        ),
    ),
    recognizer(
        "VEHICLE",
        r"(?P<lead>\b(?:plates?|tags?|registered|registration|sedan|pickup|truck|van|motorcycle|suv|ems unit|ambulance|permit|vehicle)\b(?:\s(?:is|was|for|no|number|with|reads))*[\s:#(]+)"
        r"(?=[A-Z\d -]{0,4}\d)(?:[A-Z]{2,3}[ -]\d{2,4}|\d{2,4}[ -][A-Z]{2,3}|\d[A-Z]{2}[ -][A-Z]\d{3})(?![\w-])",
        after_lead("VEHICLE"),
        words="plate plates tag tags registered registration sedan pickup truck van motorcycle suv ems ambulance permit vehicle",
    ),
    recognizer(
        "VEHICLE",
        rf"(?P<lead>\b(?i:plates?|lic(?:en[cs]e)?\s(?:plate|tag)|tags?|reg(?:istration)?|placard|vin)\b(?:[\s:#,]+(?i:is|was|are|number|no|reads?|reading|says?|ending|in|from|of|that|which|spells|spelling|spelled|marked|bearing|showing|listed|as|with|on|state|temp|temporary|custom|vanity|the|his|her|car|{_STATE}))*[\s:#,(]+[\"“']?)"
        r"(?:(?=[A-Z\d -]{0,6}\d)[A-Z\d]{1,6}(?:[ ·•_/-][A-Z\d]{1,6}){1,5}(?![a-z])|[A-Z]{4,8}\b|(?=[A-Z\d]*\d)(?=[A-Z\d]*[A-Z])[A-Z\d]{4,8}\b)",
        after_lead("VEHICLE"),
        words="plate plates license licence tag tags registration reg placard vin",
        flags=0,
    ),
    recognizer(
        "VEHICLE",
        rf"\b(?:[A-Z]{{3}}[ -]?\d{{3,4}}|\d{{3,4}}[ -]?[A-Z]{{3}}|\d[A-Z]{{3}}\d{{3}}|[A-Z]{{2}}\d[ -]?[A-Z0-9]{{3}})\b(?=[^.;\n]{{0,40}}\b(?:plates?|tags?|{_CARS})\b)",
        words=_CARS.replace("|", " ") + " plate plates tag tags",
        flags=0,
    ),
    recognizer(
        "VEHICLE",
        rf"(?P<lead>\b(?i:plates?|tags?|reg(?:istration)?)(?:\s(?:is|was|reads?|number|no|in|from|{_STATE}))*[\s:#,(]+)(?:[a-z]{{3}}[ -]?\d{{3,4}}|\d{{3,4}}[ -]?[a-z]{{2,3}}|\d[a-z]{{3}}[ -]?\d{{3}}|[a-z]{{3}}[ -]?\d[a-z]\d{{1,2}}|[a-z]{{1,2}}\d{{2}}[ -]?[a-z]{{3}}|\d{{2}}[a-z][ -]?\d{{3}}|[a-z]{{3,7}}\d{{1,3}}|[a-z]{{1,2}}[ -]?\d{{4,5}})\b(?!\s?mg)",
        after_lead("VEHICLE"),
        words="plate plates tag tags registration reg",
    ),
    recognizer(
        "VEHICLE",
        rf"(?P<lead>\b(?i:{_CARS})\b[^.;\n]{{0,48}}?[\s(])(?:[A-Z]{{2,3}}[ -]\d{{3,4}}|\d{{3,4}}[ -][A-Z]{{2,3}}|\d[A-Z]{{2,3}}[ -]?[A-Z]?\d{{2,3}}|[A-Z]{{2,3}}\d{{3,4}}|[A-Z]{{3}}[ -]\d[A-Z]\d{{1,2}}|[A-Z]{{2}}[ -]\d{{4}}[ -][A-Z]{{2}}|\d{{2}}[A-Z][ -]?\d{{3}}|[A-Z]{{1,2}}\d{{2}}[ -]?[A-Z]{{3}}|[A-Z]{{4,6}}\d{{1,3}}|\d{{3}}[ -]?[A-Z]\d{{2}})(?![\w-])",
        after_lead("VEHICLE"),
        words=_CARS.replace("|", " "),
        flags=0,
    ),
    Recognizer(clean, frozenset(), ("0",), ()),
)
