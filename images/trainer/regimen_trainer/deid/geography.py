"""Addresses and places below a state. States and countries stay.

A city is found before its state, or where the words around it speak of a place; the lists hold those of the United States. A ZIP code
keeps its first three digits unless so few people live in that area that these would tell too much.
"""

import re

from regimen_trainer.deid.lexicon import is_known, is_misspelt, places, word_counts
from regimen_trainer.deid.medical import EPONYMS, NOUNS, PROTECTED
from regimen_trainer.deid.recognizer import Cues, Reading, Recognizer, after_lead, recognizer, tag, word_set

SMALL_AREAS = word_set("036 059 063 102 203 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893")
"""First three digits of ZIP codes of areas with at most 20,000 people, by the Census of 2000 or that of 2010."""
SHORT_FOR_MORE = frozenset(
    {"AL", "CO", "CT", "DE", "HI", "ID", "IN", "LA", "MA", "MD", "ME", "MS", "MT", "NC", "ND", "OK", "OR", "PA", "PR", "RI", "SC", "VA"}
)
"""Letters that mean more than a state: `CT 70450` is a procedure, and so is `MD 20610`. Before these, a ZIP code must exist."""
_CODES = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY])"
_STATES = (
    r"(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland"
    r"|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New\s(?:Hampshire|Jersey|Mexico|York)|North\s(?:Carolina|Dakota)|Ohio|Oklahoma|Oregon"
    r"|Pennsylvania|Rhode\sIsland|South\s(?:Carolina|Dakota)|Tennessee|Texas|Utah|Vermont|(?:West\s)?Virginia|Washington|Wisconsin|Wyoming)"
)
_STATE_BEFORE = re.compile(rf"(?P<comma>,\s*)?\b(?P<state>{_CODES}|{_STATES})\.?,?\s+$")
SUFFIX = r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Terrace|Ter|Circle|Cir|Parkway|Pkwy|Highway|Hwy|Trail|Trl|Square|Sq|Loop|Alley|Plaza|Crescent|Pike|Turnpike|Run|Row)"
_CLEAR = r"(?:street|avenue|ave|boulevard|blvd|lane|road|rd|drive|court|parkway|terrace|circle|highway|hwy|ln|pkwy|trl|trail|turnpike|st|dr|ct|pl|cir|ter)"
_UNIT = r"(?:,?\s+(?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|#)\.?\s*#?\s?[A-Za-z]?-?\d*[A-Za-z]?\b)?"
_TOWARDS = (
    r"(?:lives?|living|lived|resid(?:es|ed|ing)|resident|moved|moving|move|born|raised|grew\s+up|grown\s+up|works?|working|worked|visit(?:ed|ing|s)?|travel(?:l?ed|l?ing|s)?|trip|flew|drove|driving|"
    r"relocat(?:ed|ing)|comes?|came|native|home|farm|house|hospital|clinic|practice|office|facility|from|back|near|outside|town|city|area|located|vacation(?:ed|ing)?|transferred|stay(?:ed|ing|s)?)"
)
_NOT_STREETS = word_set("""
the a an of per to for on in at by and or mg ml days day weeks years year hours minutes miles mile feet blocks times down up this that his
her with is was lead leads segment non mr mrs ms see saw seen then after before until pt patient patients while when as it he she they we you i ml mcg cc cm mm yo
year-old male female units points percent degrees beats steps and/or more other times who
""")
_STREET_WORDS = "street st avenue ave road rd lane ln drive dr boulevard blvd court ct way place pl terrace ter circle cir parkway pkwy highway hwy trail trl square sq loop alley plaza crescent pike turnpike run row"
_STATE_WORDS = (
    "al ak az ar ca co ct de dc fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or pa pr ri sc sd tn tx ut vt va wa wv wi wy "
    + re.sub(r"[^a-z]+", " ", _STATES.replace(r"\s", " ").lower())
)


def _zip(match: re.Match[str]) -> str:
    digits = match["zip"][:3]
    return f"{match.groupdict().get('lead', '')}[ZIP {'000' if digits in SMALL_AREAS else digits}]"


def _zip_after_state(match: re.Match[str]) -> str:
    """Five digits are a ZIP code after a state; after letters that mean more, only one that exists there."""
    before = _STATE_BEFORE.search(match.string[max(0, match.start() - 18) : match.start()])
    if before is None or (
        before["state"] in SHORT_FOR_MORE and not before["comma"] and f"{before['state']} {match['zip']}" not in places().zip_codes
    ):
        return match[0]
    return _zip(match)


def _spoken_street(match: re.Match[str]) -> str:
    """Streets in lower case: words that no street is called tell a sentence from an address."""
    return match[0] if _NOT_STREETS.intersection(match["street"].lower().split()) else tag("ADDRESS")


def _before_state(match: re.Match[str]) -> str:
    """`City, ST`: any capitalised words before a state's name; before letters that are also a degree, known cities only."""
    city, state = match["city"].lower(), match["state"]
    known = city in places().cities or (city in places().every and match["gap"].startswith(","))
    if not known and (state in SHORT_FOR_MORE or city in PROTECTED):
        return match[0]
    return f"{tag('PLACE')}{match['gap']}{state}"


def _towards(match: re.Match[str]) -> str:
    """The longest city's name in up to three words after a word that leads to a place."""
    words = match["city"].split()
    known = places().cities
    for length in range(len(words), 0, -1):
        city = " ".join(words[:length]).lower()
        rest = match["city"][len(" ".join(words[:length])) :]
        after = (rest + match.string[match.end() : match.end() + 20]).split()
        if city in known and not (city in EPONYMS and after and after[0].lower().strip(".,;") in NOUNS):
            return f"{match['lead']}{tag('PLACE')}{rest}"
    return match[0]


_DWELLS = (
    r"lives?|living|lived|resid(?:es|ed|ing)|resident|moved|moving|relocat(?:ed|ing)|born(?:\s+and\s+raised)?|raised|grew\s+up|grown\s+up|travel(?:l?ed|l?ing|s)?|trip|flew|drove(?:\s+in)?|driving|"
    r"native|farm|house|apartment|condo|room|vacation(?:ed|ing)?|town|city|village|neighborhood|suburb|outbreak|(?:outside|another|local|community)\s+hospital|transferred|transfer|"
    r"crash|commutes?|originally|hails?|comes?|coming|visiting|winters?|summers?|stationed|incarcerated|jail|prison|shelter|sheriff|funeral|wedding|church"
)
_DWELLING_WORDS = (
    "lives live living lived resides resided residing resident moved moving relocated relocating born raised grew grown travel travels traveled travelled traveling trip flew drove driving "
    "native farm house apartment condo room vacation vacationed town city village neighborhood suburb outbreak hospital transferred transfer crash commute commutes originally hails come coming visiting winter winters summers "
    "comes stationed incarcerated jail prison shelter sheriff funeral wedding church"
)
_NO_CITIES = word_set("""
icu ed er or pacu nicu picu micu sicu ccu clinic hospital emergency department surgery radiology cardiology neurology oncology rehab rehabilitation room unit ward floor bed home
nursing hospice care center building day monday tuesday wednesday thursday friday saturday sunday trendelenburg supine
""")


def _dwelling(match: re.Match[str]) -> str:
    """Capitalised words after a word that leads to a place are one, in texts that are not in capitals; there, cities alone."""
    city, words = match["city"].lower().rstrip("."), match["city"].lower().split()
    if city in PROTECTED or (words[0] in PROTECTED and (len(words) == 1 or city not in places().every)) or not _NO_CITIES.isdisjoint(words):
        return match[0]
    if words[0] in ("new", "north", "south", "west", "rhode") and re.match(_STATES, match["city"]):
        return match[0]
    if match["city"].isupper():
        return _longest(match, places().every)
    after = match.string[match.end() : match.end() + 20].split()
    if words[-1] in EPONYMS and after and after[0].lower().strip(".,;") in NOUNS:
        return match[0]
    return match["lead"] + tag("PLACE") + ("." if match["city"].endswith(".") else "")


def _dwelling_small(match: re.Match[str]) -> str:
    """In lower case cities alone, and those that are words too only where the sentence is about coming from there."""
    led = re.match(r"drove|moved|born|raised|grew|transferred|native|originally|hails", match["lead"])
    longest = _longest(match, places().every if led else places().cities)
    first = re.split(r"[\s.]", match["city"])[0]
    if longest == match[0] and len(first) > 4 and not is_known(first) and first not in word_counts() and not is_misspelt(first):
        return match["lead"] + tag("PLACE") + match["city"][len(first) :]
    return longest


def _spelt(city: str) -> str:
    """As the list spells it: sault sainte marie, coeur d alene."""
    return city.lower().replace("ste. ", "sainte ").replace("st. ", "saint ").replace("d'", "d ").replace("d’", "d ")


def _longest(match: re.Match[str], known: frozenset[str]) -> str:
    words = match["city"].split(" ")
    for length in range(len(words), 0, -1):
        city = " ".join(words[:length])
        bare = city.rstrip(".,")
        if _spelt(bare) in known and bare.lower() not in PROTECTED and bare.lower() not in _NO_CITIES:
            return f"{match['lead']}{tag('PLACE')}{match['city'][len(bare) :]}"
    return match[0]


def _distinct(match: re.Match[str]) -> str:
    """A city wherever it stands, where its name can be nothing else."""
    words = match["city"].split(" ")
    known = places().distinct
    for length in range(len(words), 0, -1):
        city = " ".join(words[:length])
        if _spelt(city) in known and not is_known(city.lower()):
            return match["lead"] + tag("PLACE") + match["city"][len(city) :]
    return match[0]


def _county(match: re.Match[str]) -> str:
    name = match["county"]
    known = name.lower() in places().counties
    return f"{match['lead'] or ''}{tag('PLACE')}" if known or (name[0].isupper() and name.lower() not in PROTECTED) else match[0]


_CITY = r"[A-Z][a-z'’.]+(?:[ -](?:of |de |du |d['’]|La |Las |Los )?[A-Z][a-z'’]+){0,2}"
GEOGRAPHY = (
    recognizer("ADDRESS", r"\b(?:P\.?\s?O\.?|post\s+office)\s*box\s*#?\s*\d[\w-]*", words="box"),
    recognizer(
        "ADDRESS",
        rf"\d(?<!\w.)\d{{0,5}}(?:-\d+)?[A-Za-z]?\s+(?:(?:[NSEW]|NE|NW|SE|SW)\.?\s+)?(?:(?:[A-Z][\w'’.-]*|\d{{1,3}}(?:st|nd|rd|th|ST|ND|RD|TH))\s+){{1,4}}?(?:{SUFFIX}|{SUFFIX.upper().replace('?:', '?:')})\b\.?"
        rf"(?:\s(?:[NSEW]|NE|NW|SE|SW)\b)?{_UNIT}",
        words=_STREET_WORDS,
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        rf"\d(?<![\w.].)\d{{0,5}}\s+(?P<street>(?:(?:north|south|east|west|[nsew]\.?)\s+)?(?:[a-z'’]+|\d{{1,3}}(?:st|nd|rd|th))(?:\s+[a-z'’]+){{0,2}}?)\s+{_CLEAR}\b{_UNIT}",
        _spoken_street,
        words=_STREET_WORDS,
    ),
    recognizer(
        "ADDRESS",
        r"\b\d{2,6}\s+(?:Broadway|(?:US|State|County|Route|Rte|Highway|Hwy|CR|SR|FM)[\s-]*(?:Route|Road|Highway)?[\s-]*\d{1,4})\b",
        words="broadway us state county route rte highway hwy cr sr fm",
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:on|at|off)\s+)[A-Z][a-z'’]+(?:\s+[A-Z][a-z'’]+)?\s+(?:Street|Avenue|Road|Boulevard|Lane|Blvd|Ave|Highway|Route)\b(?:\s#?\d{1,5}\b)?",
        after_lead("ADDRESS"),
        words=_STREET_WORDS,
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:corner|intersection|junction)\s+of\s+)(?!(?:the|his|her|a|an|my|their|each|both|mouth|eye|lip|bed|room)\b)"
        r"[\w'’.-]+(?:\s[\w'’.-]+){0,3}?\s(?:and|&)\s[\w'’-]+(?:\s[A-Z][\w'’-]+){0,2}",
        after_lead("ADDRESS"),
        words="corner intersection junction",
    ),
    recognizer(
        "ADDRESS",
        r"\b(?:FM|(?:Farm|County|State|US)\s+(?:Road|Rd|Route|Highway)|(?:US|U\.S\.|State|County|Interstate|Highway|Hwy|Rte|Route|CR|SR)(?:[\s-]+(?:Route|Road|Rd|Highway|Hwy))?)[\s-]*#?\d{1,4}[A-Z]?\b|\bI-\d{2,3}\b(?=[^.]{0,20}\b(?:crash|exit|highway|mile)|\s(?:north|south|east|west)bound)",
        words="fm farm us s state county interstate highway hwy rte route cr sr i",
        needs=("0", *"123456789"),
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"\b(?:farm\s+road|(?:us|state|county|interstate)\s+(?:route|road|highway)|(?:interstate|highway|hwy|rte|route))\s+\d{1,4}\b|\bfm\s\d{3,4}\b",
        words="fm farm us state county interstate highway hwy rte route",
        needs=("0", *"123456789"),
    ),
    recognizer(
        "ZIP", r"(?P<zip>\d(?<![\w$.-].)\d{4})(?:-\d{4})?(?![\w-])", _zip_after_state, words=_STATE_WORDS, needs=("0", *"123456789")
    ),
    recognizer(
        "ZIP",
        r"(?P<lead>\b(?:zip|postal)(?:\s?code)?(?:\s+(?:is|of))?[\s:#]*)(?P<zip>\d{3}\s?\d{2})(?:-\d{4})?\b",
        _zip,
        words="zip zipcode postal",
    ),
    recognizer("ZIP", r"(?P<lead>)(?<![\w-])(?P<zip>\d{5})-\d{4}(?![\w-])", _zip, shapes=("00000-0000",)),
    recognizer(
        "ZIP", r"(?P<lead>\[(?:PLACE|ADDRESS)\],?\s+)(?P<zip>\d{5})\b", _zip, shapes=("place] 0", "place], 0", "address] 0", "address], 0")
    ),
    recognizer(
        "PLACE",
        rf"\b(?P<city>{_CITY})(?P<gap>,?\s+)(?P<state>(?<=,\s){_CODES}|{_CODES}(?=\s+\[ZIP)|(?<=,\s){_STATES}|{_STATES}(?=\s+\[ZIP))\b",
        _before_state,
        words=_STATE_WORDS,
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>)\b(?P<county>[A-Z][\w'’.]+(?:\s(?:(?:qui|du|de|la|of)\s)?[A-Z][\w'’]+){0,2})\s+(?:County|Parish|Borough|Township|COUNTY|PARISH)\b",
        _county,
        words="county parish borough township",
        flags=0,
    ),
    recognizer("PLACE", r"(?P<lead>\b(?:in|of|from|to)\s+)(?P<county>[A-Za-z'’.]+(?:\s[a-z'’]+){0,2})\s+county\b", _county, words="county"),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b(?i:{_DWELLS})(?:\s+(?i:here|there|back|up|down|over|out|away|to|alone|together|currently|originally|most|all|her|his|life))*\s+(?i:in|from|to|of|near|outside|at|around)\s+(?:(?:the|downtown|north|south|east|west|rural|central|THE|DOWNTOWN)\s+)*)"
        r"(?P<city>(?:[A-Z][\w'’.]+|[A-Z]['’][A-Z]\w+)(?:[ -](?:(?:of|de|du|qui|la|las|los|the)\s)?(?:d['’])?[A-Z][\w'’]+){0,3})",
        _dwelling,
        words=_DWELLING_WORDS,
        flags=0,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b(?:{_DWELLS})(?:\s+(?:here|there|back|up|down|over|out|away|to|alone|together|currently|originally|all|her|his|life|construction|independently|now|still))*\s+(?:in|from|to|of|near|outside|around)\s+(?:(?:downtown|rural|north|south|east|west)\s+)*)(?P<city>(?!(?:an?|the|another|his|her|my)\b)[a-z][a-z'’.]+(?:[ -][a-z'’.]+){{0,3}})",
        _dwelling_small,
        words=_DWELLING_WORDS,
        flags=0,
    ),
)
TOWNS = (
    recognizer(
        "PLACE",
        rf"(?P<lead>{_TOWARDS}(?:\s+(?:to|here|back|up|down|over|out|at|a|is|the|clinic))*\s+(?:in|from|to|of|near|outside|at|around|through)\s+(?:downtown\s+|north\s+|south\s+|east\s+|west\s+)?)"
        r"(?P<city>[a-z][a-z'’.]+(?:[ -][a-z'’]+){0,2})",
        _towards,
        flags=0,
        words="lives live living lived resides resided residing resident moved moving move born raised grew grown work works working worked visit visited visiting visits travel traveled travelled traveling trip flew drove driving relocated comes come came native home farm house hospital clinic practice office facility from back town city area located vacation transferred stay stayed staying",
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?:in|from|near|outside|to|visiting|of)\s+(?:downtown\s+)?)(?P<city>[A-Z][a-z'’.]+(?:[ -][A-Z][a-z'’]+){0,2})",
        _towards,
        words="in from near outside to visiting of",
        flags=0,
    ),
)
DISTINCT = (
    recognizer(
        "PLACE",
        r"(?P<lead>)(?P<city>\b(?:[A-Z][a-z'’]+|[A-Z]['’][A-Z][a-z]+|[A-Z]{4,})(?:[ -](?:(?:of|de|du|qui) )?(?:d['’])?(?:[A-Z][a-z'’]+\.?|[A-Z]{2,}\.?)){0,2})",
        _distinct,
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"\b(?P<lead>(?:in|from|to|near|at|outside|around|past|through|toward|between|and|of|visiting)\s)(?P<city>[a-z]{3,}(?:\s[a-z]{3,})?)",
        _distinct,
        flags=0,
    ),
)


_TOWNS = Cues(TOWNS)


def towns(seen: Reading) -> list[Recognizer]:
    """What to try for a text: nothing where none of its words begins the name of a city."""
    known = places()
    found = [] if known.first_words.isdisjoint(seen.words) else _TOWNS.of(seen)
    first = known.distinct_by_first
    return [*found, *DISTINCT] if any(rest in seen.lower for word in first.keys() & seen.words for rest in first[word]) else found
