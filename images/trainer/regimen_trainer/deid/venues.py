"""Places told by what happens there: what stands after a label such as `Facility:`, runs of capitalised words after `at` or `to` that are no
department, a town before `native` or `Elementary` at the beginning of a sentence.

Tried after `grounds`, for what that leaves.
"""

import re
from functools import lru_cache

from regimen_trainer.deid.grounds import GENERIC, clinical
from regimen_trainer.deid.lexicon import english, family_names, is_known, is_misspelt, medical_words, places, word_counts
from regimen_trainer.deid.medical import DRUGS, EPONYMS, FUNCTION_WORDS, NOUNS, PROTECTED
from regimen_trainer.deid.recognizer import BEFORE, Reading, after_lead, recognizer, tag, word_set

_SIDES = word_set(
    "north south east west upper lower new old main northeast northwest southeast southwest northern southern eastern western central high mile short greater downtown inner outer"
)
"""Words that a place's name may share with a department's: they neither speak for a place nor against it."""
CARE = GENERIC - _SIDES
_STATE_TAILS = word_set(
    "dakota hampshire carolina jersey york zealand mexico island virginia korea africa america coast asia europe states kingdom guinea leone lanka rica arabia republic indies india ireland eastern"
)
_DENOMINATIONS = word_set(
    "methodist baptist lutheran presbyterian episcopal adventist mercy trinity samaritan sacred calvary zion bethel bethany islamic"
)
CAP = r"[A-Z][a-z'’]+(?:-[A-Za-z][a-z]+)*"
_RUN = rf"(?:(?:St|Ste|Mt|Ft|W|E|N|S)\.\s)?{CAP}(?:\s(?:of\s(?:the\s)?|de\s|del\s|la\s|the\s|and\s)?{CAP}){{0,4}}"
_WORDS = re.compile(r"[A-Z][A-Za-z'’]+|\d+\w*")


def _own(name: str) -> list[str]:
    """The words of a name that are its own, in lower case."""
    words = [word.lower().replace("’", "'").removesuffix("'s") for word in _WORDS.findall(name)]
    return [word for word in words if word not in GENERIC and word not in _SIDES and word not in FUNCTION_WORDS]


def is_medicine(word: str) -> bool:
    return word in medical_words() or word in DRUGS or word in NOUNS or clinical([word])


def _named(name: str, amid: bool) -> bool:
    """Whether a run of capitalised words is a place's or a house's own name: a word that no department has, and no state's name."""
    own = _own(name)
    if not own or any(word in DRUGS or word in medical_words() for word in own) or (own[-1] in _STATE_TAILS and len(own) == 1):
        return False
    lower = name.lower()
    if lower in places().every:
        return lower not in PROTECTED and not (len(own) == 1 and " " not in lower and own[0] in EPONYMS)
    if len(_WORDS.findall(name)) > 1 and not _DENOMINATIONS.isdisjoint(own):
        return True
    if all(word in PROTECTED for word in own):
        return False
    strange = [word for word in own if not is_known(word)]
    if strange:
        return True
    several = len(_WORDS.findall(name)) > 1
    if not several:
        return amid and not is_medicine(own[0]) and own[0] not in PROTECTED and own[0] not in EPONYMS and len(own[0]) > 3
    kept = [word for word in own if not is_medicine(word) and word not in PROTECTED]
    return bool(kept) and len(kept) * 2 >= len(own) and (len(kept) > 1 or kept[0] in family_names() or kept[0] in places().every)


def _after(match: re.Match[str]) -> str:
    follows = match.string[match.end() : match.end() + 24].split()
    noun = follows[0].lower().strip(".,;:") if follows and match.string[match.end()] in " -" else ""
    if noun in NOUNS or not _named(match["own"], match["lead"].split()[0].lower() in _FIRM):
        return match[0]
    if " " not in match["own"] and (noun in GENERIC - FUNCTION_WORDS or is_medicine(match["own"].lower())):
        return match[0]
    return match["lead"] + tag("PLACE")


def _label(match: re.Match[str]) -> str:
    """After a label anything in capitals that is neither a department nor medicine."""
    own, lower = _own(match["own"]), match["own"].lower()
    own = own or [word for word in map(str.lower, _WORDS.findall(match["own"])) if word in _SIDES and " " in match["own"]]
    if (
        (not own and not re.search(r"\bP\.?S\.?\s\d", match["own"]))
        or lower in PROTECTED
        or (any(map(is_medicine, own)) and lower not in places().every)
    ):
        return match[0]
    return match["lead"] + tag("PLACE")


_FIRM = word_set("near past behind outside off beyond at from")
"""Words after which a single word of English in capitals is a place, too."""


def _initial(match: re.Match[str]) -> str:
    """A town at the beginning of a sentence, before what belongs to towns."""
    own = match["own"].lower()
    if own in PROTECTED or _own(match["own"]) == [] or (own.split()[0] in FUNCTION_WORDS):
        return match[0]
    return match["lead"] + tag("PLACE") if own in places().every or not all(map(is_known, own.split())) else match[0]


_SHORT = re.compile(r"^(st|ft|mt)\.? ")
_LONG = {"st": "saint ", "ft": "fort ", "mt": "mount "}


def _any_several(seen: Reading) -> bool:
    """Whether a text may hold a city of two words or more."""
    first = places().several_by_first
    return any(city in seen.lower for word in first.keys() & seen.words for city in first[word])


def _small_city(match: re.Match[str]) -> str:
    """The longest city of two words or more in small letters, none of them one that sentences are made of."""
    words = match["city"].split(" ")
    for length in range(len(words), 1, -1):
        city = " ".join(words[:length])
        spelt = _SHORT.sub(lambda short: _LONG[short[1]], city) if words[0][:2] in _LONG else city
        if (
            spelt in places().every
            and FUNCTION_WORDS.isdisjoint(words[:length])
            and _NO_TOWNS.isdisjoint(words[:length])
            and (CARE - {"city", "county", "state"}).isdisjoint(words[:length])
            and not _is_state(words[:length])
        ):
            return match["lead"] + tag("PLACE") + match["city"][len(city) :]
    return match[0]


_NO_TOWNS = word_set("due point good high pain health care room center clinic hospital home valley normal clear")


def _is_state(words: list[str]) -> bool:
    return words[-1] in _STATE_TAILS


def _small_house(match: re.Match[str]) -> str:
    words = match["own"].split()
    last = words[-1].removesuffix("'s")
    fits = (last not in english() and not is_known(last)) or (last in places().cities and last not in english())
    return match["lead"] + tag("PLACE") if fits and FUNCTION_WORDS.isdisjoint(words) and GENERIC.isdisjoint(words) else match[0]


_NO_SAINTS = word_set(
    "elevation elevations segment segments depression depressions changes wave waves deviation abnormality abnormalities jude interval"
)
"""What follows ST of a heart's trace, or is a maker of valves."""


@lru_cache(maxsize=100_000)
def _is_stranger(own: str) -> bool:
    strange = len(own) > 4 and not is_known(own) and not is_misspelt(own) and own not in medical_words()
    return strange and (own not in word_counts() or own in places().every)


def _any_stranger(seen: Reading) -> bool:
    return any(map(_is_stranger, seen.words))


def _small_stranger(match: re.Match[str]) -> str:
    return match["lead"] + tag("PLACE") if _is_stranger(match["own"]) else match[0]


def _initial_small(match: re.Match[str]) -> str:
    own = match["own"]
    known = own in places().every and not (own in english() or own in PROTECTED)
    return match["lead"] + tag("PLACE") + " " + match["head"] if known else match[0]


_LABELS = (
    r"city|town|village|county|birth\s?place|place\s+of\s+birth|facility|hospital|osh|snf|ltac|alf|school|pharmacy|clinic|residence|(?:accident|loss|injury|incident)\s+location|location\s+of\s+(?:accident|loss|injury|incident)|"
    r"employer|church|parish|home\s?town|nursing\s+home|group\s+home|jail|base|shelter|transferred\s+from|transferring\s+facility|referring\s+facility|rehab|hospice|daycare|university|college"
)
_HOUSES = r"(?:native|resident|residents|firefighters?|officers?|police|PD|Fire|EMS|Sheriff|paramedics|Ambulance|Elementary|Middle\sSchool|High\sSchool|High|Junior\sHigh|Academy|General|Memorial|Regional|Community|Clinic|VA|Hospital|Medical\sCenter|Cancer\sCenter|Heart\sInstitute|Surgery\sCenter|Nursing|Rehab|Manor|location|office|campus|jail|Library|Fairgrounds|Township|Co\.|County)"
_HOUSE_WORDS = "native resident residents firefighter firefighters officer officers police pd fire ems sheriff paramedics ambulance elementary school high academy general memorial regional community clinic va hospital center institute nursing rehab manor location office campus jail library fairgrounds township co county"
_STATES = r"(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Delaware|Florida|Georgia|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|Ohio|Oklahoma|Oregon|Penn|Pennsylvania|Texas|Utah|Virginia|Wisconsin|Wyoming|Boise|Morgan|Wayne|Truman|Kent|Ball|Grambling|Alcorn|Jackson)"
_ACRONYMS = r"(?:UC(?:LA|SF|SD|I|SB|SC)|UNC|UPMC|NYU|MIT|USC|LSU|ASU|OSU|MSU|FSU|UNM|UAB|UTMB|OHSU|MGH|BWH|BIDMC|UCONN|UMASS|UIC|UVA|VCU|MUSC|UMMC|UTSW|BYU|SMU|TCU|UNLV|CUNY|SUNY|UIHC|UWMC|UMN|HCMC|DHMC|YNHH|CHLA|KUMC|IUPUI)"
_PLACED = r"(?i:from|in|at|near|to|outside|visiting|around|toward|towards|leaving|across|through|between|via|past|beyond|behind|by|off|out\sof|closer\sto|way\sto|north\sof|south\sof|east\sof|west\sof)"


def _goes_on(match: re.Match[str]) -> str:
    """Capitalised words right after a place are its name's rest, up to a word that no name has."""
    end = 0
    for word in re.finditer(r"\s(?:of\s)?([A-Z][a-z'’]+)", match["more"]):
        lower = word[1].lower()
        if lower in PROTECTED or lower in _AFTERWARDS or (clinical([lower]) and lower not in family_names()):
            break
        end = word.end()
    return tag("PLACE") + match["more"][end:] if end else match[0]


_AFTERWARDS = word_set("patient police fire sheriff ems ambulance dr he she they his her history resident native")

VENUES = (
    recognizer(
        "PLACE",
        r"(?:\b(?:Motel|Super|Studio|Area|Pier|Terminal|Precinct|Lodge|Post)\s\d{1,3}|\b7-Eleven)\b",
        words="motel super studio area pier terminal precinct lodge post eleven",
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?:in|from|near|to|outside|around|past|between|at|toward|towards|of|visiting|through)\s(?:of\s)?(?:the\s)?)(?P<city>[a-z']{2,}\.?(?:\s[a-z']{3,}){1,2})\b",
        _small_city,
        words="in from near to outside around past between at toward towards of visiting through",
        flags=0,
        gate=_any_several,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?:in|from|near|to|outside|at|on|of)\s(?:the\s)?)(?P<own>[a-z'’]{4,}(?:\s[a-z'’]{4,})?)\s(?:(?:community|regional|memorial|general|county)\s)*(?:hospital|medical\scenter|island|hill|stadium|beach|falls|park|high\sschool|middle\sschool|elementary|college|university|nursing\shome|church|airport|bridge|river|lake|rehab|hospice|neighborhood|reservation)\b",
        _small_house,
        words="hospital center island hill stadium beach falls park school elementary college university home church airport bridge river lake rehab hospice neighborhood reservation",
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?:in|from|near|to|outside|at|of)\s)(?:saint|st\.?|mount|mt\.?)\s(?P<own>[a-z]{3,}(?:['’]s)?)\b(?:\s(?:hospital|medical\scenter|general|church|elementary|high\sschool))?",
        after_lead("PLACE", lambda match: match["own"] not in _NO_SAINTS),
        words="saint st mount mt",
        flags=0,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?:in|from|near|outside|visiting|to|at)\s)(?P<own>[a-z]{5,})(?=[.,;]|$|\s(?:on|in|for|by|with|and|today|yesterday|this|last|to|at|since|when|where|requested|ed|er|hospital|clinic)\b)(?!\s\d)",
        _small_stranger,
        words="in from near outside visiting to at",
        flags=0,
        gate=_any_stranger,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>(?<![A-Za-z])(?i:{_LABELS})\s*(?:[:=]|-\s)\s*(?:the\s)?)(?P<own>[A-Z][\w.'’&-]*(?:\s(?:of\s|de\s|at\s|the\s|and\s)?(?:[A-Z][\w.'’&-]*|\d{{1,3}}\b)){{0,4}})(?!:)",
        _label,
        words=re.sub(r"[^a-z]+", " ", _LABELS.replace(r"\s", " ")).replace(" of ", " "),
        needs=(":", "=", "- "),
        flags=0,
        amid=True,
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\b(?i:birthplace|hometown)\s(?:is\s|was\s|of\s)?)(?P<own>[A-Z][\w'’]+(?:\s[A-Z][\w'’]+){0,2})",
        after_lead("PLACE"),
        words="birthplace hometown",
        flags=0,
        amid=True,
    ),
    recognizer(
        "PLACE",
        rf"\b{_STATES}\s(?:State(?!\s(?:Hospital|law|Police|Medicaid|Board|Department|of|Trooper))|Tech|A&M)\b(?:\sUniversity)?|\b(?:University|College)\sof\s(?:the\s)?[A-Z]\w+(?:\s[A-Z]\w+)?",
        words="state tech university college a",
        flags=0,
        amid=True,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b(?:at|from|to|attends|near|by|with)\s){_ACRONYMS}\b",
        after_lead("PLACE"),
        words="at from to attends near by with",
        first=_ACRONYMS,
        flags=0,
        amid=True,
    ),
    recognizer(
        "PLACE",
        r"\bP\.?\s?S\.?\s#?\d{1,3}\b",
        words="ps p",
        flags=0,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\A|[.!?\n]\s*)(?P<own>{CAP}(?:\s{CAP}){{0,2}})(?=\s{_HOUSES}(?!\w))",
        _initial,
        words=_HOUSE_WORDS,
        flags=0,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\A|[.!?\n]\s*)(?P<own>[a-z]{{4,}}(?:\s[a-z]{{3,}})?)\s(?P<head>(?i:{_HOUSES}))(?!\w)",
        _initial_small,
        words=_HOUSE_WORDS,
        flags=0,
    ),
    recognizer(
        "PLACE",
        rf"(?P<lead>\b{_PLACED}\s(?:the\s)?)(?P<own>{_RUN})(?!\w)",
        _after,
        words="from in at near to outside visiting around toward towards leaving across through between via past beyond behind by off of",
        flags=0,
        amid=True,
    ),
)
BESIDE = (
    recognizer(
        "PLACE",
        r"\[NAME\]['’]s\s(?P<own>[A-Z][a-z]+)(?=\s[a-z]|[.,;]|$)",
        lambda match: match[0] if match["own"].lower() in NOUNS | GENERIC or is_medicine(match["own"].lower()) else tag("PLACE"),
        flags=0,
        needs=("[name]'s ", "[name]’s "),
    ),
    recognizer(
        "PLACE",
        r"\[(?:PLACE|ORGANIZATION)\](?:['’]s)?(?P<more>(?:\s(?:of\s)?[A-Z][a-z'’]+)+)",
        _goes_on,
        flags=0,
        needs=("[place]", "[organization]"),
    ),
    recognizer(
        "PLACE",
        r"\b(?:North|South|East|West|New|Old|Fort|Mount|Lake|Twin|Little|Big|Grand|Great|Upper|Lower|Saint|San|Santa|Port|Cape|El|La|Los|Las)\s\[(?:NAME|PLACE)\](?=\s(?:[a-z]|Fire|Police|Elementary|High|Middle|Clinic)|[.,;]|$)",
        flags=0,
        needs=(BEFORE,),
    ),
    recognizer(
        "PLACE",
        r"\[(?:NAME|PLACE)\](?:['’]s)?\s(?:Middle|High|Elementary|Academy|Hall|Creek|Vineyard|Trail|Point|Park|Lake|Hills?|Heights|Manor|House|Place|Village|Terrace|Ranch|Farms?|Center|Centre|Clinic|Hospital|Memorial|Community|Rehab|Nursing|School|Church|College|University)\b(?:\s(?:School|Center|Hospital|Home|College))?",
        flags=0,
        words="middle high elementary academy hall creek vineyard trail point park lake hill hills heights manor house place village terrace ranch farm farms center centre clinic hospital memorial community rehab nursing school church college university",
    ),
    recognizer(
        "PLACE",
        r"\b(?:Our\sLady|Church|Center|Centre|Sisters|Hospital|Isle|Port|City|Town)\sof\s(?:the\s)?\[(?:NAME|PLACE|ORGANIZATION)\]|\[(?:ORGANIZATION|PLACE)\]\sof\s\[(?:NAME|PLACE)\]|\b(?:[A-Z][a-z]+\s){1,3}of\s\[PLACE\](?<!\b(?i:out)\sof\s\[PLACE\])",
        flags=0,
        needs=(" of [", " of the ["),
    ),
    recognizer(
        "PLACE",
        r"(?P<lead>\[ADDRESS\],?\s)(?P<own>[A-Z][a-z'’]+(?:\s[A-Z][a-z'’]+){0,2})(?=\s*(?:[.,;\n]|$|[A-Z]{2}\b))",
        after_lead("PLACE", lambda match: match["own"].lower() in places().every),
        flags=0,
        needs=("[address]",),
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:at|near|by|of)\s)(?:(?:Dr\.\s)?\[(?:NAME|PLACE|ADDRESS)\]\.?\s(?:and|&)\s(?:Dr\.\s)?(?:[A-Z][a-z]+|\d{1,3}(?:st|nd|rd|th))|(?:[A-Z][a-z]+|\d{1,3}(?:st|nd|rd|th))\s(?:and|&)\s\[(?:PLACE|ADDRESS)\])(?=[.,;]|$)",
        after_lead("ADDRESS"),
        flags=0,
        needs=("] and ", "] & ", "]. and ", "]. & ", " and [", " & [", "and dr. [", "& dr. ["),
    ),
)
"""Only where a name or a place has been found."""
