"""Days told by month and day without a year, by their number alone, by a holiday, or by a season or quarter of a year.

3/14 may be a day, a score, a strength, a fraction or a ratio. A pair that nothing can be scored by is a day; the others are one only where
the words around them date something. Weekdays by themselves and spans told from another event ("three weeks ago", "POD 2") stay.
"""

import re

from regimen_trainer.deid.recognizer import after_lead, recognizer, tag, word_set

_ON = word_set(
    "on since date dated dos doi dob lmp edd service until till admitted admit admission seen visit visits discharged discharge for scheduled procedure surgery performed injury "
    "placed removed drawn started stopped started: return returned returns returning due done given taken last next seen began beginning effective received collected signed "
    "called labs lab mri ct cta xray films echo ekg ecg eeg pet us ultrasound biopsy bx cbc bmp cmp ua culture cultures colonoscopy egd mammogram cabg pci stent implant surgery "
    "appointment appt f/u followup follow-up s/p postop preop vaccine vaccinated dose held d/c dc dc'd d/c'd dx'd resumed expires expired exp ending starting "
    "reviewed film tx hospitalized a1c hba1c wbc note progress update addendum recheck rescheduled moved reported reports ordered filled refilled vax show updated work loss term rec'd recd paid symptom symptoms dx closed opened filed mailed processed denied approved authorized birth birthday birthdate married effective hired deadline postmarked drink smoking sober tdap ppd read called canceled cancelled tested intubated extubated transferred onset injured fell delivered born expired renewed signed sent faxed billed posted week eve through thru @ ~ on: dates of:"
)
_WEEKDAYS = word_set("mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun sunday")
_BY = word_set("from to by through thru till before after and between of the - – for around about approximately")
_MET = word_set(
    "visit appointment appt office encounter admission note surgery dos date procedure lab labs mri ct xray films film biopsy colonoscopy ultrasound echo ekg ecg culture cultures results "
    "vitals hospitalized at scan imaging film clinic"
)
_OUT_OF = frozenset((2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 27, 30))
"""What scores are out of: 3/5 strength, 9/15 on the Glasgow scale, 12/24 hours."""
_SCORED = re.compile(
    r"\b(?:pain|strength|score[ds]?|murmur|apgars?|gcs|mmse|moca|phq|nihss|mallampati|pulses?|reflex(?:es)?|power|vision|acuity|scale|rated|grade|bishop|ph|alternating|bp|motor|dtrs?|rate|about"
    r"|od|os|ou|ratio|fraction|nodes?|cores?|positive in|items?|cage|cup|sinemet|norco|percocet|vicodin|lortab|advair|humulin|novolin|augmentin|bactrim|orientation)\b[^;.\n]{0,14}$"
)
_COUNTED = re.compile(
    r"\s*(?:%|mg\b|mcg|ml\b|g\b|cc\b|units?\b|hours?\b|hrs?\b|min|inch|in\.|cm\b|mm\b|of\b|strength|murmur|pain|systolic|diastolic|on (?:the|a) |(?:lymph |sentinel )?nodes?\b|cores?\b|teeth|positive|points?|bilateral|in (?:the |all |both |his |her )?"
    r"(?:upper|lower|right|left|bilateral|extremit|deltoid|all)|throughout|intensity|correct|recall|cups?\b|tab|cup\b|full|motor|power|dose|(?:bid|tid|qid|qd|qhs|daily|po)\b|x\b|lb|lbs\b|-?(?:day|week|month|year))",
    re.IGNORECASE,
)


def _month_and_day(match: re.Match[str]) -> str:
    month, day = (int(part) for part in match[0].split("/"))
    if not (0 < month <= 12 and 0 < day <= 31):
        month, day = day, month
        if not (0 < month <= 12 and 12 < day <= 31):
            return match[0]
    text = match.string
    left = text[max(0, match.start() - 40) : match.start()].lower()
    words = left.replace(":", " ").replace("(", " ").replace("~", " ").split()[-2:]
    after = text[match.end() : match.end() + 14].lower().split()[:1]
    met = len(words) == 2 and (words[0] in _MET or words[0] in _ON) and words[1] in _BY
    met = met or words in (["prior", "to"], ["as", "of"], ["up", "to"])
    dated = (
        met
        or not _WEEKDAYS.isdisjoint(word.strip(".,") for word in words[-1:])
        or not _ON.isdisjoint(words[-1:])
        or not _MET.isdisjoint(word.strip(".,;") for word in after)
    )
    unlike = match[0][0] == "0" or "/0" in match[0] or day not in _OUT_OF or month > day
    alone = month < day > 5 and _ALONE.match(text, match.end()) is not None
    if not (dated or unlike or alone or _is_paired(left)) or _COUNTED.match(text, match.end()) or _SCORED.search(left):
        return match[0]
    return tag("DATE")


def _is_paired(left: str) -> bool:
    """Whether the pair before is a day: `labs 6/23 and 9/24`."""
    pair = _PAIRED.search(left)
    return (
        pair is not None and int(pair["month"]) < 13 and int(pair["day"]) < 32 and (pair["lead"] in _ON or int(pair["day"]) not in _OUT_OF)
    )


def _two_days(match: re.Match[str]) -> str:
    days = [[int(part) for part in match[name].split("/")] for name in ("first", "second")]
    dated = all(0 < month <= 12 and 0 < day <= 31 for month, day in days) and any(day > 12 or day not in _OUT_OF for _, day in days)
    return f"{tag('DATE')}{match['gap']}{tag('DATE')}" if dated else match[0]


_PAIRED = re.compile(r"(?P<lead>[a-z]+)[\s:(]+(?P<month>\d\d?)/(?P<day>\d\d?)\s?(?:,|&|and|to|or|thru|through|until|-)\s?$")
_ALONE = re.compile(r"[:)]|\s?[-–]\s?\d\d?/\d")
_SEASON = r"(?:spring|summer|fall|autumn|winter)"
_YEARS = r"(?P<year>(?:19|20)\d\d(?:\s?[-/–]\s?(?:(?:19|20)?\d\d))?)"
_TH = r"(?:st|nd|rd|th)"
_WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thur?s?|Fri|Sat(?:ur)?|Sun)(?:day)?\b"
_TEXTUAL = r"(?:(?:twenty|thirty)[\s-]+)?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|(?:ten|eleven|twelf|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twentie|thirtie)th"
_ORDINALS = word_set(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth"
)
_HOLIDAYS = (
    r"Christmas(?:\s+(?:Eve|Day|morning|weekend|break))?|Thanksgiving(?:\s+(?:Day|weekend|Eve))?|Easter(?:\s+(?:Sunday|Monday|weekend))?|Hallow?een|New\s+Year['’]?s?(?:\s+(?:Eve|Day))?"
    r"|(?:Memorial|Labor|Labour|Independence|Veterans?['’]?|Valentine['’]?s|Mother['’]?s|Father['’]?s|Presidents?['’]?s?|Columbus|MLK|Martin\s+Luther\s+King(?:\s+Jr\.?)?|Indigenous\s+Peoples?['’]?s?"
    r"|(?:St\.?|Saint)\s+Patrick['’]?s|Groundhog|Boxing|Flag|Earth|Election|Inauguration|Patriots?['’]?|Armistice|Canada|Bastille|May|Arbor|Opening|Pioneer|Lincoln['’]?s|Washington['’]?s|All\s+(?:Saints?|Souls?)['’]?"
    r"|April\s+Fools?['’]?|Three\s+Kings|Patriot|Groundhog|Super\s+Bowl|Palm|Mothering|Whit)[\s-]+(?:Day|Sunday|weekend|Monday|Birthday)|St\.?\s+Patty['’]?s(?:\s+Day)?|Juneteenth|(?:the\s+)?(?:fourth|4th)\s+of\s+july|July\s+fourth|"
    r"(?:Ash\s+Wednesday|Good\s+Friday|Maundy\s+Thursday|Holy\s+(?:Week|Thursday|Saturday)|Palm\s+Sunday|Fat\s+Tuesday|Black\s+Friday|Cyber\s+Monday|Mardi\s+Gras|Cinco\s+de\s+Mayo|D[ií]a\s+de\s+los\s+Muertos)|"
    r"Yom\s+Kippur|Rosh\s+Hashanah?|Passover|Hanukkah|Chanukah|Purim|Sukkot|Shavuot|Ramadan|Eid(?:[\s-]+(?:al|ul)[\s-]+\w+)?|Diwali|Holi\b|Kwanzaa|Lunar\s+New\s+Year|Chinese\s+New\s+Year|Nowruz|Xmas|Lent(?=\s*[.,;]|\s(?:and|he|she)|$)|NYE|Oktoberfest|Epiphany|Pentecost|Whitsun|Super\s+Bowl"
)
_NO_HOLIDAYS = word_set(
    "hospital post postop postoperative operative op pod rest same each every next per first second third last one full half surgery study cycle treatment off sick work school"
)
DAYS = (
    recognizer(
        "DATE",
        r"(?P<first>\d(?<![\w./-].)\d?/\d\d?)(?P<gap>\s?[-–]\s?)(?P<second>\d\d?/\d\d?)(?![\w/.-])",
        _two_days,
        shapes=("0/0-0", "0/00-0", "0/0 - 0", "0/00 - 0", "–"),
    ),
    recognizer(
        "DATE",
        r"\d(?<![\w./-].)\d?/\d\d?(?![\w/]|-\d{3}|\.\d)",
        _month_and_day,
        shapes=("0/0",),
    ),
    recognizer(
        "DATE",
        r"(?P<lead>\b(?:on|since|dos|dated?|due|admit(?:ted)?|discharged|seen|lmp|ed[dc]|doi|until|dob|started|stopped|placed|removed|visit|labs?|mri|ct|echo|x-?ray|through|f/u|appt|from|after|before|expires?|effective|postmarked|hired|married|deadline|birth(?:day|date)?|appointment|signed|received|vaccine|drink|prior\sto|as\sof|died|read)[\s:]+(?:is\s|of\s|by\s\w+\s|date\s(?:is\s)?)?)(?:0?[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]|[1-9])(?![\w/%-]|\.\d|\s?(?:mg|days?|weeks?|hours?|minutes?|years?|months?|times|units?)\b)",
        after_lead("DATE"),
        shapes=("0-0",),
        first=r"[\s:](?:0?[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]|[1-9])(?![\w/%-])",
    ),
    recognizer(
        "DATE",
        rf"(?P<lead>\b{_WEEKDAY}\.?,?\s+(?:on\s+)?)(?:the\s+)?(?:\d{{1,2}}{_TH}|(?:{_TEXTUAL}))\b(?!\s(?:time|week|visit|dose|day|of\s+the))",
        after_lead("DATE"),
        words="mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun sunday",
    ),
    recognizer(
        "DATE",
        rf"(?P<lead>\b(?:on|since|until|till|by|from|to|before|after|through|back|for|due|dated|between|and|around|about|as\s+of|seen|return|(?:night|morning|evening|afternoon|day|week)\s+of)\s+the\s+)(?:\d{{1,2}}{_TH}|(?:{_TEXTUAL}))"
        rf"(?=\s*(?:[,;)]|\.(?:\s|$)|$)|\s+(?:at|and|for|with|by|because|he|she|we|they|when|in\s+the\s+(?:morning|afternoon|evening)|to\s+(?:the|see|have)|of\s+(?:this|last|next|the)\s+month)\b)"
        r"(?:\s+of\s+(?:this|last|next|the)\s+month)?",
        lambda match: (
            match[0]
            if re.search(r"(?<!twenty)(?<!thirty)\s(?:first|second|third)$", match[0], re.IGNORECASE)
            else match["lead"] + tag("DATE")
        ),
        words=" ".join(_ORDINALS),
        shapes=("0st", "0nd", "0rd", "0th"),
    ),
    recognizer(
        "DATE",
        rf"\b(?:the\s+)?(?:\d{{1,2}}{_TH}|(?:{_TEXTUAL}))\s+of\s+(?:this|last|next|the)\s+month\b|\bthe\s\d{{1,2}}{_TH}(?=\s(?:at|around|@)\s\d)",
        words="month",
        shapes=("0st", "0nd", "0rd", "0th"),
    ),
    recognizer(
        "DATE",
        rf"\b(?:(?:in|during|since|of)\s+)?(?:the\s+)?(?:(?:early|mid|late)[\s-]+)?{_SEASON}(?:\s+of|\s*,|\s+semester)?\s+{_YEARS}\b",
        lambda match: match["year"],
        words="spring summer fall autumn winter",
        needs=("19", "20"),
    ),
    recognizer(
        "DATE",
        rf"\b{_SEASON}(?:\s+of|,)?\s+['’]\d\d\b",
        words="spring summer fall autumn winter",
        needs=("'", "’"),
    ),
    recognizer(
        "DATE",
        rf"(?P<lead>\b(?:in|during|since|by|this|last|next|until|over|before)\s+(?:the\s+)?)(?:(?:early|mid|late)[\s-]+)?{_SEASON}\s+(?:of\s+)?(?P<year>two\s+thousand(?:\s+and)?(?:\s+\w+)?|(?:nineteen|twenty)[\s-]+(?:ten|eleven|twelve|\w+teen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[\s-]\w+)?))\b",
        lambda match: match["lead"] + match["year"],
        words="spring summer fall autumn winter",
        needs=("thousand", "nineteen", "twenty"),
    ),
    recognizer(
        "DATE",
        rf"\b(?:Q[1-4]|[1-4](?:st|nd|rd|th)?\s?Q|(?:first|second|third|fourth|last|1st|2nd|3rd|4th)\s+(?:quarter|half|trimester))(?:\s+of|,|\s*[/-])?\s*(?:FY\s?)?{_YEARS}\b|\b(?P<other>(?:19|20)\d\d)[\s-]?Q[1-4]\b",
        lambda match: match["year"] or match["other"],
        words="q quarter half",
        shapes=("q0",),
        needs=("19", "20"),
    ),
    recognizer(
        "DATE",
        rf"\b(?P<lead>(?:calendar\s+|epi\s+)?(?:week|wk|day)\s+)(?:number\s+)?\d{{1,3}}(?:\s+of|,)\s+{_YEARS}\b",
        lambda match: match["lead"] + tag("DATE") + " " + match["year"],
        words="week wk day",
        needs=(" of 19", " of 20", ", 19", ", 20"),
    ),
    recognizer(
        "DATE",
        rf"(?P<lead>\b(?!(?:in|at|of|over|along|above|below|into|is|was|under|with|near|beyond)\b)[a-z]+\s)the\s\d{{1,2}}{_TH}(?=\s*(?:[.,;:)](?!\d)|$|\n))",
        after_lead("DATE"),
        shapes=("0th", "0st", "0nd", "0rd"),
        needs=("the ",),
    ),
    recognizer(
        "DATE",
        rf"\b(?:the\s+)?(?:\d{{1,2}}{_TH}|(?:{_TEXTUAL}))(?=\s+(?:through|thru|to|and|until|or|-)\s+(?:the\s+)?(?:\d{{1,2}}{_TH}\s+of\s+)?(?:\[DATE\]|[\ue000-\uf8ff]))",
        shapes=("0th ", "0st ", "0nd ", "0rd ", "0th\n", "0st\n", "0nd\n", "0rd\n"),
        words=" ".join(_ORDINALS),
    ),
    recognizer(
        "DATE",
        r"(?P<lead>\b(?:on|since|until|before|after|around|over|for|during|every|by|this|last|the)\s)(?P<day>[A-Z][a-z]+(?:['’]s?)?)\s(?:Day|Eve|Sunday|Weekend)\b(?!\s?\d)",
        after_lead("DATE", lambda match: match["day"].lower() not in _NO_HOLIDAYS),
        words="day eve sunday weekend",
        flags=0,
    ),
    recognizer(
        "DATE",
        r"(?P<lead>\b(?:dob|dos|doi|date(?:\sof\s\w+)?|born|lmp|edd|edc)[\s:]+(?:is\s|on\s|of\s)?)\d\d?\s\d\d?\s\d\d(?!\w|[./-]\d)",
        after_lead("DATE"),
        words="dob dos doi date born lmp edd edc",
        needs=("0", *"123456789"),
    ),
    recognizer(
        "DATE",
        r"(?P<year>(?:19|20)(?<![\w./-]..)\d\d)-(?:[0-2]\d\d|3[0-6]\d)(?![\w-])",
        lambda match: match["year"],
        shapes=("0000-000",),
    ),
    recognizer(
        "DATE",
        rf"\b(?:{_HOLIDAYS})\b(?:['’]s)?(?:\s(?:weekend|Eve|Day|morning|night|dinner|party|parade|break|holiday|season))*(?!\s+(?:tree|disease|factor|lights?|lily|seals?))",
        words="christmas thanksgiving easter halloween haloween year years memorial labor labour independence veterans veteran valentine valentines mother mothers father fathers juneteenth "
        "president presidents columbus mlk martin indigenous patrick patricks patty pattys groundhog boxing flag earth election inauguration patriot patriots armistice saint saints souls "
        "fools kings bowl palm ash good maundy holy fat black cyber mardi cinco yom rosh passover hanukkah chanukah purim sukkot shavuot ramadan eid diwali holi kwanzaa lunar chinese nowruz xmas lent nye "
        "oktoberfest epiphany pentecost whitsun july may arbor",
        needs=(
            "christmas",
            "thanksgiving",
            "easter",
            "hallow",
            "haloween",
            "new year",
            "s day",
            "s' day",
            "l day",
            "r day",
            "k day",
            "mlk day",
            "g day",
            "h day",
            "n day",
            "boxing",
            "may day",
            "presidents",
            "sunday",
            "wednesday",
            "thursday",
            "tuesday",
            "good friday",
            "black friday",
            "monday",
            "juneteenth",
            "gras",
            "mayo",
            "muertos",
            "kippur",
            "hashana",
            "passover",
            "nukkah",
            "purim",
            "sukkot",
            "shavuot",
            "ramadan",
            "eid",
            "diwali",
            "holi",
            "kwanzaa",
            "nowruz",
            "xmas",
            "lent",
            "nye",
            "oktober",
            "epiphany",
            "pentecost",
            "whitsun",
            "bowl",
            "of july",
            "july fourth",
            "patty",
            "holy week",
            "weekend",
        ),
    ),
)
