"""Places told by the grammar around them rather than by a list: what is named Park or Hospital, what stands after `from` in capitals, units
of a house, roads, crossings and coordinates.

A capitalised word amid a sentence is there for a reason. Where it is neither the name of a department nor one of medicine, after a
preposition of place it is taken for a place. States and countries stay.
"""

import re

from regimen_trainer.deid.lexicon import english, is_known, places
from regimen_trainer.deid.medical import EPONYMS, FUNCTION_WORDS, NOUNS, PROTECTED
from regimen_trainer.deid.names import DOSED
from regimen_trainer.deid.recognizer import after_lead, recognizer, tag, word_set

GENERIC = word_set("""
general local outside community home nursing emergency family children children's physical medical primary urgent intensive surgical wound pain sleep heart cancer
women's mental behavioral high middle elementary skilled long term acute ambulatory outpatient inpatient day veterans va county city state university regional memorial
district public private the a an our his her this that retirement senior assisted living group adult child pediatric neonatal critical recovery operating delivery labor
occupational speech internal family emergency department room unit ward floor clinic hospital center centre care service services medicine surgery therapy
rehab rehabilitation hospice office patient patients doctor nurse health healthcare urgent er ed icu or eye dental vision spine hand foot back neck head chest bone
hematology oncology cardiology neurology psychiatry radiology pathology urology nephrology orthopedics orthopedic dermatology plastics plastic vascular thoracic
infectious disease diseases social work case management billing admitting triage observation transplant burn trauma stroke dialysis infusion laboratory lab imaging
ct mri ultrasound x ray anesthesia preop postop holding main new old north south east west central upper lower left right good morning evening night saline
history review systems past present illness impression assessment plan chief complaint physical examination discharge admission operative procedure findings
subjective objective allergies medications constitutional mobile trailer campus pulmonary maintenance human resources squad hall rescue sample juvenile clinical obstetrics gynecology life group private student teaching tertiary referring prior another different same nearby closest nearest area
""")
_HOSPITALS = r"(?:(?:Children['’]s\s+|Community\s+|Regional\s+|General\s+|Memorial\s+|University\s+|County\s+)*(?:Hospital|Medical\s+Cent(?:er|re)|Infirmary)|Clinic|Memorial|Methodist|Lutheran|Presbyterian|General(?=\s*(?:[.,;)]|$|\s(?:for|in|on|and|where|by|with|requested|ED|ER|Hospital)))|Regional)"
_HEADS = (
    r"(?:Park|Heights|Hills|Estates|Village|Apartments|Apts|Towers|Manor|Gardens|Commons|Plaza|Mall|Airport|Stadium|Arena|Bridge|River|Creek|Lake|Beach|Island|Islands|Mountain|Mountains|Valley|Canyon"
    r"|Forest|Ranch|Farms?|Springs|Acres|Reservation|Nation|Pueblo|Neighborhood|District|Corners|Crossing|Junction|Landing|Harbor|Shores|Station|Terminal|Campground|Campgrounds|Speedway|Casino|Resort|Hotel|Motel|Inn|Lodge"
    r"|Shelter|Prison|Jail|Penitentiary|Correctional(?:\s+\w+)?|Detention(?:\s+Center)?|Courthouse|Library|Museum|Zoo|Cemetery|Church|Chapel|Synagogue|Temple|Mosque|(?:High\s+|Middle\s+|Elementary\s+)?School|High|Elementary|Academy|University|College|Preschool|Daycare"
    r"|Senior\s+Living|Assisted\s+Living|Nursing\s+Home|Care\s+Center|Tunnel|Dam|Pier|Marina|Refinery|Brewery|Diner|Cafe|Tavern|Market|Barracks|Mission|Precinct|Township|Side|Coast|Peninsula|Shore|reservation|Fellowship|Congregation|Tabernacle|Parish|Square|Fairgrounds|Raceway|Trailer\s+Park|Mobile\s+Home\s+Park|RV\s+Park)"
)
_OWN = r"[A-Z][a-z'’]+(?:[ -](?:(?:of|the|de|du)\s)?[A-Z][a-z'’]+){0,3}?"
_STREETS = r"(?:Street|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Parkway|Pkwy|Turnpike|Expressway|Freeway)"
_WAYS = r"(?:street|streets|avenue|avenues|ave|road|rd|boulevard|blvd|lane|ln|parkway|pkwy|turnpike|expressway|freeway|drive)"
_NO_WAYS = (
    word_set("""
    busy dirt gravel same side icy country main own fast slow single one-way two-way traffic back quiet this wrong far turn turning left right passing bike bicycle hov city public private
    bumpy long winding open rural high street curb local memory many few mid next rocky to access service farm county state forest frontage test wet slick dark center outside inside
    """)
    | FUNCTION_WORDS
)
_DOUBTFUL = ("Canal", "Station", "High", "Square", "Bridge", "Side", "Nation")
_TOWARDS = r"(?:from|in|at|near|to|outside|visiting|around|toward|towards|leaving|across|through|by|between|via|past|beyond)"
_SMALL_HEADS = r"(?:heights|estates|apartments|manor|gardens|acres|village|towers|elementary|creek|hills|shores|springs)"


def _owned(match: re.Match[str]) -> bool:
    """Whether at least one of the words before a word such as Park is its own."""
    words = [word.lower().replace("’", "'").removesuffix("'s") for word in re.findall(r"[A-Z][a-z'’]+", match["own"])]
    kept = [word for word in words if word not in GENERIC and word not in FUNCTION_WORDS]
    if not kept or ("linic" in match["head"] and clinical(kept)):
        return False
    return not (len(kept) == 1 and (match["head"] in _DOUBTFUL and (kept[0] in NOUNS or is_known(kept[0]))))


def _ground(match: re.Match[str]) -> str:
    return match["lead"] + tag("PLACE") if _owned(match) else match[0]


def _hospital(match: re.Match[str]) -> str:
    return (match.groupdict().get("lead") or "") + tag("ORGANIZATION") if _owned(match) else match[0]


def _run(match: re.Match[str]) -> str:
    """Capitalised words after a preposition: a place, unless they are a department's, a drug's or a state's name."""
    text, city = match.string, match["city"]
    words = [word.lower().replace("’", "'").removesuffix("'s") for word in re.split(r"[ -]", city) if word[0].isupper()]
    follows = re.match(r"[\s-]([A-Za-z]+)", text[match.end() : match.end() + 20])
    if (
        (words[0] in PROTECTED and not (len(words) > 1 and " ".join(words) in places().every))
        or words[0] in ("united", "eastern", "western", "northern", "southern")
        or any(word in GENERIC for word in words)
        or (words[-1] in EPONYMS and len(words) == 1)
    ):
        return match[0]
    if DOSED.match(text, match.end()) or (
        follows and (follows[1].lower() in NOUNS or (follows[1].lower() in GENERIC - {"in", "at"} and len(words) == 1))
    ):
        return match[0]
    known = [word in english() or word in PROTECTED for word in words]
    place = " ".join(words) in places().every
    strange = not all(map(is_known, words))
    lead = match["lead"].lower().split()[0]
    if (
        strange
        or (place and lead in ("from", "in", "near", "outside", "visiting"))
        or (len(words) > 1 and all(known) and not clinical(words))
    ):
        return match["lead"] + tag("PLACE")
    return match[0]


def _small_city(city: str) -> bool:
    """A city of two words in lower case, one of which is hardly ever written."""
    spelt = re.sub(r"^st\.? ", "saint ", re.sub(r"^ft ", "fort ", re.sub(r"^mt ", "mount ", city)))
    return spelt in places().every and FUNCTION_WORDS.isdisjoint(spelt.split()) and GENERIC.isdisjoint(spelt.split()[1:])


def _stranger_or_city(own: str) -> bool:
    words = own.lower().split()
    if words[0] in PROTECTED or not GENERIC.isdisjoint(words) or clinical(words):
        return False
    return own.lower() in places().every or not all(map(is_known, words))


def clinical(words: list[str]) -> bool:
    """Whether a title of plain words is one of medicine: it ends as such words do."""
    return any(
        re.search(r"(?:ology|itis|osis|emia|ectomy|scopy|gram|graphy|therapy|tion|ment|ness|ing|ics|al|ic|ive|ous|ity|ure|sis|ia)$", word)
        or word in NOUNS
        for word in words
    )


def _small_way(match: re.Match[str]) -> str:
    words = match["way"].split()
    return match[0] if not _NO_WAYS.isdisjoint(words) else match["lead"] + tag("ADDRESS")


def _small_ground(match: re.Match[str]) -> str:
    words = match["own"].split()
    return (
        match[0]
        if not (
            GENERIC
            | FUNCTION_WORDS
            | word_set("subsidized low income section small in fear affordable luxury several these those supportive")
        ).isdisjoint(words)
        else match["lead"] + tag("PLACE")
    )


_UNITS = r"(?:apt|apartment|suite|bldg|building|lot|trailer|condo|townhouse|spc|unit|ste(?=\.))"
_HEAD_WORDS = re.sub(r"[^a-z]+", " ", re.sub(r"\\.", " ", _HEADS).lower())
FIRST = (
    recognizer(
        "ADDRESS",
        r"\b(?:R\.?R\.?|rural\s+route|star\s+route|HC)\s*#?\s*\d{1,3},?(?:\s+box\s+\d+[a-z]?)?\b(?<=box\s\d)|\b(?:R\.?R\.?|rural\s+route|star\s+route|HC)\s*#?\s*\d{1,3},?\s+box\s+\d+[a-z]?\b|\brural\s+route\s+#?\d{1,3}\b",
        words="rr r rural star hc",
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b(?:at|in|to|from|near|of)\s)(?P<own>[a-z'’]+(?:\s[a-z'’]+)?)\s{_SMALL_HEADS}\b",
        _small_ground,
        words="heights estates apartments manor gardens acres village towers elementary creek hills shores springs",
    ),
)
"""To be tried before streets and cities, which would take a part of these."""
_LOCAL = "area|native|resident|residents|police|pd|fire|ems|paramedics|suburb|metro|neighborhood|sheriff|office|branch|campus|location|store|site|plant|apartment|home|house|shelter|address|firehouse|ambulance|warehouse|jail|precinct|post office|detention|clinic|hospital"
GROUNDS = (
    recognizer("ADDRESS", r"\b(?:lat(?:itude)?|long?(?:itude)?)\W{1,3}-?\d{1,3}\.\d+", words="lat latitude lon long longitude"),
    recognizer("ADDRESS", r"\b(?:census\s)?tract\s#?\d{2,6}(?:\.\d+)?\b", words="tract"),
    recognizer("ADDRESS", r"(?P<lead>\b(?:at|near|past|by)\smile\s)\d{1,3}\b|(?P<mile>\bmile\s)\d{1,3}(?=\sof\sthe)", lambda match: (match["lead"] or match["mile"]) + tag("ADDRESS"), words="mile"),
    recognizer("ADDRESS", r"\b(?:Hwy|Rte|Rt|Route|Highway)\.\s?#?\d{1,4}\b|\bI-(?!1(?:2[35]|31)\b)\d{1,3}\b|\bi-(?!1(?:2[35]|31)\b)\d{1,3}(?=\s(?:at|near|in|by|south|north|east|west|and|when)\b|[,.;]|$)|\bus[ -]\d{1,3}(?=\s(?:south|north|east|west|near|at|in|by)\b)", words="us hwy rte rt route highway i", flags=0),
    recognizer("PLACE", r"(?P<lead>(?:\A|[.!?]\s))(?P<own>[A-Z][a-z'’]+(?:\s[A-Z][a-z'’]+)?)(?=\s(?:Police|PD|Fire|EMS|Sheriff|police|fire|paramedics)\b)", after_lead("PLACE", lambda match: _stranger_or_city(match["own"])), words="police pd fire ems sheriff paramedics", flags=0),
    recognizer("PLACE", r"(?P<lead>\b(?i:attends|attending|worships\sat|church,?|congregation\s(?:at|of)|parish|baptized\sat)\s(?:at\s|is\s)?)(?P<city>[A-Z][a-z'’]+(?:\s[A-Z][a-z'’]+){0,3})", after_lead("PLACE", lambda match: GENERIC.isdisjoint(match["city"].lower().split())), words="attends attending worships church congregation parish baptized", flags=0),
    recognizer("PLACE", r"(?P<lead>\b(?:in|from|near|to|outside|around)\s)(?P<city>(?:st\.?|la|las|los|el|san|santa|fort|ft|mount|mt|new|north|south|east|west|grand|little|big|white|saint|port|cedar|green|lake|long|palm|red|rock|silver|spring|twin|sioux|eau|baton|terre|coeur|des|cape|glen|oak|pine|iron|high|fond)\s[a-z]{3,})\b", after_lead("PLACE", lambda match: _small_city(match["city"])), words="st la las los el san santa fort ft mount mt new north south east west grand little big white saint port cedar green lake long palm red rock silver spring twin sioux eau baton terre coeur des cape glen oak pine iron high fond", flags=0),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b(?:the|a|an|his|her|their|my|our|by|of|from|greater|downtown|old|former|longtime|lifelong|near|at|in|called)\s)(?P<own>[A-Z][a-z'’]+(?:\s[A-Z][a-z'’]+)?)\s(?=(?:{_LOCAL}|Police|PD|Fire|EMS|Sheriff|Ambulance)\b)",
        lambda match: match["lead"] + tag("PLACE") + " " if _stranger_or_city(match["own"]) else match[0],
        words=_LOCAL.replace("|", " "),
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?:town|city|village|suburb|neighborhood|community|hamlet|parish|borough|township|county|island|port|municipality)\sof\s)(?!the\b|a\b|his\b|her\b|their\b|my\b|about\b|origin|birth|residence|employment|service)(?P<city>[A-Za-z][\w'’]+(?:\s[A-Z][\w'’]+)*)",
        after_lead("PLACE", lambda match: match["city"].lower() not in FUNCTION_WORDS),
        words="town city village suburb neighborhood community hamlet parish borough township county island port municipality",
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:lives?|living|house|home|apartment|resid(?:es|ing)|trailer|store|shop|business|church)\s(?:is\s)?(?:on|off|along|over\son|down\son)\s(?:of\s)?)(?P<way>[A-Z][a-z'’]+(?:\s[A-Z][a-z'’]+)?|\d{1,3}(?:st|nd|rd|th))\b",
        after_lead("ADDRESS", lambda match: match["way"].split()[0].lower() not in GENERIC | PROTECTED | {"oxygen"}),
        words="lives live living house home apartment resides residing trailer store shop business church",
        flags=0,
    ),
    recognizer("ADDRESS", r"\d{1,3}\s?(?:°|deg(?:rees)?)\s?\d{1,2}(?:\.\d+)?\s?(?:['’′]|min)?(?:\s?\d{1,2}(?:\.\d+)?\s?[\"”″])?\s?[NSEW]\b", shapes=("0°", "0 deg", "0 °"), flags=0),
    recognizer("ADDRESS", r"(?P<lead>\b(?:cabin|dorm|slip|berth|campsite|bunk)\s#?)\d{1,4}[A-Z]?\b", after_lead("ADDRESS"), words="cabin dorm slip berth campsite bunk"),
    recognizer(
        "ADDRESS",
        rf"\b(?P<unit>{_UNITS})\.?\s*(?:#|no\.?\s|number\s)?\s*(?:[a-z]?-?\d{{1,4}}-?[a-z]?\b|(?-i:[A-Z])\b(?!-))(?![./%]\d|\s?(?:mg|units?)\b)",
        lambda match: match[0] if match["unit"].lower() == "unit" and match[0][4:].strip().isdigit() else tag("ADDRESS"),
        words="apt apartment suite ste bldg building lot trailer condo townhouse spc unit",
    ),
    recognizer("ADDRESS", r"(?P<lead>\b(?:mile\s*(?:marker|post)|milepost|exit)\s+(?:number\s+|#\s?)?)\d{1,3}[A-Z]?\b", after_lead("ADDRESS"), words="mile milepost exit"),
    recognizer("ADDRESS", r"[+-]?\d{1,3}\.\d{3,}°?\s?[NS]?\s?[,/ ]\s?[+-]?\d{1,3}\.\d{3,}°?\s?[EW]?\b|\b\d{1,3}\.\d{4,}°?\s?[NSEW]\b", shapes=("0.000",), flags=0),
    recognizer("ADDRESS", r"\b\d{1,5}\s+(?:Rue|Calle|Avenida|Via|Paseo|Camino)(?:\s(?:de|del|la|las|los|el))*\s+[A-Z][\w'’]+(?:\s[A-Z][\w'’]+)?", words="rue calle avenida via paseo camino"),
    recognizer("ADDRESS", r"(?P<lead>\b(?:the\s+)?)\d+\s+block\s+of\s+(?:[NSEW]\.?\s)?\w+(?:\s(?:street|st|avenue|ave|road|rd|blvd))?", after_lead("ADDRESS"), words="block"),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:(?:lives?|living|resid(?:es|ing|e)|stay(?:s|ing))\s+(?:at|on)|(?:home|mailing|street|current|new|old)?\s?address(?:\s+(?:is|of|on\s+file(?:\s+is)?))?:?|home\s+is)\s+)(?!\d+\s(?:years?|home|feet|mg))\d{1,5}\s+(?:[NSEW]\.?\s)?(?:[A-Za-z][a-z'’]+)(?:\s[A-Z][a-z'’]+){0,2}",
        after_lead("ADDRESS"),
        words="lives live living resides reside residing stays staying address home",
        needs=("0", *"123456789"),
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:home|house|address|at|residence|lives|to),?\s(?:is\s)?)\d{1,5}\s(?:[a-z'’]+\s){1,3}?(?:way|run|row|loop|alley|square|crescent|pike|path|bend|hollow|ridge|pass|crossing|plaza|place|trail|court|circle)\b",
        after_lead("ADDRESS", lambda match: bool(FUNCTION_WORDS.isdisjoint(match[0].lower().removeprefix(match["lead"].lower()).split()))),
        words="way run row loop alley square crescent pike path bend hollow ridge pass crossing plaza place trail court circle",
    ),
    recognizer(
        "ADDRESS",
        rf"\b(?<![.:] )(?:(?:[NSEW]|North|South|East|West)\.?\s)?(?:[A-Z][a-z'’]+|\d{{1,3}}(?:st|nd|rd|th))(?:\s(?:[A-Z][a-z'’]+|\d{{1,3}}(?:st|nd|rd|th)))?\s{_STREETS}\b\.?",
        lambda match: match[0] if match[0].split()[0].lower() in FUNCTION_WORDS else tag("ADDRESS"),
        words="street avenue ave road rd boulevard blvd lane ln parkway pkwy turnpike expressway freeway",
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        rf"(?P<lead>\b(?:on|off|at|along|near|down|crossing|of)\s)(?P<way>(?:[a-z'’]+\s){{0,2}}(?:[a-z'’]+|\d{{1,3}}(?:st|nd|rd|th)))\s{_WAYS}\b",
        _small_way,
        words="street streets avenue avenues ave road rd boulevard blvd lane ln parkway pkwy turnpike expressway freeway drive",
    ),
    recognizer("ADDRESS", r"(?P<lead>\b(?:at|on|near|of|between|by|for\s\w+\s\w+\sat)\s)(?P<way>[a-z]+\s(?:and|&)\s[a-z]+)\s(?:streets|avenues|roads|sts|aves)\b", after_lead("ADDRESS"), words="streets avenues roads sts aves"),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:at|on|near|of|between|by)\s)(?:\d{1,3}(?:st|nd|rd|th)\s(?:and|&|at)\s(?:[A-Z][a-z]+|\d{1,3}(?:st|nd|rd|th))|[A-Z][a-z]+\s(?:and|&|at)\s\d{1,3}(?:st|nd|rd|th))\b(?!\s(?:rib|toe|digit|finger|metatarsal|ray|grade|percentile))",
        after_lead("ADDRESS"),
        shapes=("0th", "0st", "0nd", "0rd"),
        flags=0,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b[a-z]+[,;]?\s(?:the\s)?)(?P<own>{_OWN})\s(?P<head>{_HEADS})\b",
        _ground,
        words=_HEAD_WORDS,
        flags=0,
    ),
    recognizer(
        "ORGANIZATION",
        rf"(?P<lead>\b[a-z]+[,;]?\s(?:the\s)?)(?P<own>(?:St\.?\s|Saint\s)?{_OWN})\s(?P<head>{_HOSPITALS})\b",
        _hospital,
        words="hospital center centre clinic memorial methodist lutheran presbyterian general regional infirmary",
        flags=0,
    ),
    recognizer(
        "ORGANIZATION",
        r"\b(?P<own>(?:[A-Z][a-z'’]+|[A-Z]{2,5})(?:[ -][A-Z][a-z'’]+){0,2}?)\s(?P<head>(?:(?:Children['’]s|Community|Regional|General|Memorial|University|County)\s+)*(?:Hospital|Medical\s+Center))\b",
        _hospital,
        words="hospital center",
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"\b(?:Lake|Mount|Mt\.?|Fort|Ft\.|Camp|Cape|Rancho|Isle\sof)\s(?!(?:Sinai\s(?:criteria)|Of\b))[A-Z][a-z'’]+(?:\s[A-Z][a-z]+)?\b",
        words="lake mount mt fort ft camp cape rancho isle",
        flags=0,
    ),
    recognizer("PLACE", r"(?P<lead>)\b(?P<county>[a-z'’]{3,}(?:\s[a-z]{3,})?)\s(?:county|parish)\b", lambda match: _small_county(match), words="county parish", flags=0),
)  # fmt: skip
TOWARDS = (
    recognizer(
        "PLACE",
        rf"(?P<lead>\b{_TOWARDS}\s(?:the\s(?!(?:Doctor|Patient)))?)(?P<city>(?:(?:St|Ste|Mt|Ft)\.\s)?[A-Z][a-z'’]+(?:(?:\s(?:of|de|du|the|or)\s|[ -])(?:[A-Z][a-z'’]+|Ste?\.)){{0,3}})(?!\w)",
        _run,
        words="from in at near to outside visiting around toward towards leaving across through by between via past beyond",
        flags=0,
        amid=True,
    ),
)
"""To be tried once people have been found: `to` and `by` lead to these too."""


def _small_county(match: re.Match[str]) -> str:
    words = match["county"].split()
    for name in (" ".join(words), words[-1]):
        if name in places().counties and name not in FUNCTION_WORDS:
            return match[0][: match[0].index(name)] + tag("PLACE")
    return match[0]
