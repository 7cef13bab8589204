"""Dates, of which only the year stays, and ages over 89, which become 90+.

Left alone: years and times of day. A year of birth goes where it tells an age over 89. Days without a year are found in `days`, written
months in `months`.
"""

import re

from regimen_trainer.deid.recognizer import recognizer, tag

BORN_BY = 1937
"""Whoever was born in this year or before turns 90 by 2027. Fixed, so that the same text is always cleaned alike."""
_MONTH = r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
_YEAR = r"(?:19|20)\d\d"
_DAY = r"(?:(?:0?[1-9]|[12]\d|3[01])(?:\s?(?:st|nd|rd|th))?)"
_WEEKDAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thur?s?|Fri|Sat(?:ur)?|Sun)(?:day)?\b[.,]?\s+(?:the\s+)?)?"
_MM = r"(?:0?[1-9]|1[0-2])"
_DD = r"(?:0?[1-9]|[12]\d|3[01])"
_TIME = r"(?:[T ]+\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?Z|[+-]\d\d:?\d\d)?)?"
_YEAR_FIRST = r"(?P<year>(?:19|20)(?<![\w./-]..)\d\d)"


def _year(match: re.Match[str]) -> str:
    year: str | None = match["year"]
    return year or tag("DATE")


def _century(match: re.Match[str]) -> str:
    """A numeric date, with its year where that has four digits. Two months or two days are no date."""
    first, second = int(match["first"]), int(match["second"])
    if not (0 < min(first, second) <= 12 and 0 < max(first, second) <= 31):
        return match[0]
    return match["year"] if len(match["year"]) == 4 else tag("DATE")


BIRTHS = (
    recognizer(
        "DATE",
        rf"(?P<label>\b(?:born|birth(?:\s?(?:date|day|year))?|YOB|DOB|D\.O\.B\.?|b\.)[\s:,-]*(?:(?:in|on|of|the|is|was|year|about|around)\s+)*"
        rf"(?:{_WEEKDAY}(?:{_MONTH}\s+(?:{_DAY},?\s+)?|{_DAY}\s+(?:of\s+)?{_MONTH},?\s+)|\d{{1,2}}[-/.]\d{{1,2}}[-/.])?)(?P<year>18\d\d|19\d\d)\b(?:-\d\d-\d\d)?",
        lambda match: (
            match[0] if int(match["year"]) > BORN_BY else re.split(r"[\d]|(?<=[\s:])(?=[A-Z][a-z]+ \d)", match["label"])[0] + tag("DATE")
        ),
        words="born birth birthdate birthday birthyear dob yob d b",
        needs=("18", "19"),
    ),
)
DATES = (
    recognizer(
        "DATE",
        rf"\d(?<![\w./-].)\d?/\d\d?(?=\s?(?:to|through|thru|until|till|and|-|–)\s?\d\d?/\d\d?/(?:{_YEAR}|\d\d)(?!\d))",
        shapes=("0/0 ", "0/0-", "0/00 ", "0/00-", "0–"),
    ),
    recognizer("DATE", rf"{_YEAR_FIRST}([-/.]){_MM}\2{_DD}(?!\d){_TIME}", _year, shapes=("0000-0", "0000/0", "0000.0")),
    recognizer(
        "DATE",
        rf"{_YEAR_FIRST}{_MM.replace('?', '')}{_DD.replace('?', '')}(?:T?\d{{4,6}})?(?![\w/-])",
        _year,
        shapes=("00000000",),
    ),
    recognizer(
        "DATE",
        rf"(?P<first>\d(?<![\w./-].)\d?)\s?([-/.\\_])\s?(?P<second>\d{{1,2}})\s?\2\s?(?P<year>{_YEAR}|\d\d)(?![\w/]|[.-]\d){_TIME}",
        _century,
        shapes=("0/0/0", "0/00/0", "0-0-0", "0-00-0", "0.0.0", "0.00.0", "0/ 0", "0 /", "/ 0", "0\\0", "0_0_0", "0_00_0"),
    ),
    recognizer(
        "DATE",
        rf"(?P<first>\d(?<![\w./-].)\d?)( )(?P<second>\d{{1,2}}) (?P<year>{_YEAR})(?![\w/-])",
        _century,
        shapes=("0 00 0000", "0 0 0000"),
    ),
    recognizer("DATE", rf"{_YEAR_FIRST}( ){_MM.replace('?', '')} {_DD.replace('?', '')}(?![\w/.-]| \d)", _year, shapes=("0000 00 00",)),
    recognizer(
        "DATE",
        rf"\d(?<![\w./-].)\d?[-/. ](?:VIII|VII|VI|IV|IX|XII|XI|X|V|III|II|I)[-/. ](?P<year>{_YEAR}|\d\d)(?![\w/-])",
        lambda match: match["year"] if len(match["year"]) == 4 else tag("DATE"),
        shapes=("i-0", "v-0", "x-0", "i/0", "v/0", "x/0", "i.0", "v.0", "x.0"),
        flags=0,
    ),
    recognizer(
        "DATE", rf"\d(?<![\w./-].)(?:(?<=1)[0-2]|(?<=0)[1-9]|(?<!0))[-/](?P<year>{_YEAR})(?![\w/-])", _year, shapes=("0/0000", "0-0000")
    ),
    recognizer("DATE", rf"{_YEAR_FIRST}[-/]{_MM.replace('?', '')}(?![\w/-])", _year, shapes=("0000-00", "0000/00")),
)
_ONES = "(?:one|two|three|four|five|six|seven|eight|nine)"
_OLD = rf"(?:ninety(?:[\s-]*{_ONES})?|(?:a|one)[\s-]+hundred(?:(?:[\s-]+and)?[\s-]+(?:{_ONES}|ten|eleven|twelve))?)"
_NUMBER = r"(?:9\d|1[0-2]\d)"
_OVER = rf"(?:{_NUMBER}|{_OLD})"
_YEARS = r"[\s-]*(?:(?:years?|yrs?\.?)[\s-]*(?:old|of\s+age|young)|(?:years?|yr)[\s-](?=(?:male|female|man|woman|lady|gentleman|white|black)\b)|y\.?\s?/?\s?o\.?(?!\w)|yo[mf]?\b|year[\s-]?old|y(?=\s(?:male|female|man|woman|m|f)\b))"


def _ninety(match: re.Match[str]) -> str:
    return f"{match.groupdict().get('lead', '')}90+"


_PERSON = (
    r"(?:he|she|who|i|pt|patient|man|woman|lady|gentleman|member|claimant|insured|resident|veteran|widow|widower|mother|father|mom|mum|dad|grandmother|grandfather|grandma|grandpa|aunt|uncle|"
    r"sister|brother|husband|wife|spouse|mgm|mgf|pgm|pgf|great-grandmother|great-grandfather|mother-in-law|father-in-law|parents|they|both)"
)
_PERSON_WORDS = re.sub(r"[^a-z]+", " ", _PERSON).replace(" law ", " ")
_MEASURE = (
    r"[+/:%°]|[.,-]\d|\s*(?:%|percent|deg|mg|mcg|lbs?\b|pounds|kg|kilo|cm\b|in\.|inches|feet|beats|bpm|mm|systolic|over\b|sat|on\s(?:ra\b|room|\d|nc\b|o2|oxygen|the\s(?:vent|monitor))|[fc]\b|"
    r"and\safebrile|minutes?|hours?|days?|weeks?|months?|steps|blocks|miles|points?|units?|dollars|per\b|times|to\s\d)"
)
_WHOSE = re.compile(
    rf"\b{_PERSON}(?:['’](?:s|m|ll\sbe)|\s(?:is|was|am|will\sbe|would\sbe|turn(?:s|ed)|just\sturned|has\sturned|reached|reports\sbeing|(?:is\s)?(?:alive|living|lived|deceased|dec|d\.|died|passed)(?:\s(?:at|age|to|past|until))*)),?\s(?:(?:now|already|only|still|just|about|almost|nearly|over|turning|approximately|probably|actually)\s)*$",
    re.IGNORECASE,
)
"""Who is said to be as old as the number that follows."""
AGES = (
    recognizer(
        "AGE",
        rf"[91](?<![\w.$/].)(?:(?<=9)\d|(?<=1)[0-2]\d)(?={_YEARS})",
        _ninety,
        words="year years yr yrs y yo yom yof old",
        shapes=("0yo", "0y/o", "0 yo", "00y", "0yr"),
        needs=("9", "10", "11", "12"),
    ),
    recognizer(
        "AGE",
        rf"\b{_OLD}(?={_YEARS})",
        _ninety,
        words="ninety hundred",
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:aged?|ages)(?:\s?/\s?sex)?(?:\s+at\s+(?:death|diagnosis|onset|admission|loss|time\s+of\s+\w+))?[\s:=]+(?:(?:of|is|at|was|about|approximately)[\s:]+)*)(?:{_OVER})\b(?![+/.]\d|\+|\s*(?:%|percent|mg|days|months|weeks|hours|minutes))",
        _ninety,
        words="age aged ages",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:turn(?:s|ed|ing)?|died\s+at|passed(?:\s+away)?\s+at|deceased\s+at|lived\s+to(?:\s+be)?|until|alive\s+at|living\s+at)\s+)(?:{_OVER})\b(?!\+|[./]\d|\s*(?:%|percent|degrees?|mg|minutes|hours|days|o'clock|:))",
        _ninety,
        words="turn turns turned turning died passed deceased lived alive living",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:I|he|she|patient|mother|father|mom|dad|grandmother|grandfather|now)(?:\s+(?:is|am|was|will\s+be|just\s+turned)|['’](?:m|s|ll\s+be))\s+(?:now\s+|almost\s+|about\s+)?)(?:{_OLD}|9\d|1[01]\d)\b(?=\s*(?:[.,!?;](?!\d)|$|years?|now|later|this|next|and\b|with|who))",
        _ninety,
        words="ninety hundred i he she patient mother father mom dad grandmother grandfather now",
        needs=("is 9", "is 1", "m 9", "m 1", "was 9", "was 1", "be 9", "turned", "now 9", "now 1", "ninety", "hundred", "s 9", "s 1"),
    ),
    recognizer(
        "AGE",
        r"[91](?<![\w.$/].)(?:(?<=9)\d|(?<=1)[01]\d)(?=\s?[MF]\b(?![/:])|[mf]\s(?:with|w/|s/p|c/o|p/w|here|who|h/o))(?<!temp )(?<!fever )(?<!of )",
        lambda match: "90+" if _sexed(match) else match[0],
        shapes=("0m", "0f", "0 m", "0 f"),
    ),
    recognizer(
        "AGE",
        r"(?P<lead>\b(?:in\s+)?(?:his|her|their|my)\s+(?:(?:early|mid|late)[\s-]+)?)(?:(?:nineties|hundreds)|90'?s|100'?s)",
        _ninety,
        words="nineties hundreds",
        shapes=("00s", "00's"),
    ),
    recognizer(
        "AGE",
        r"(?<![\w.$/-])(?:9\d|1[01]\d)(?=[\s-]*years?\b(?!\s(?:ago|later|earlier|pack)))(?<!over )(?<!for )",
        _ninety,
        words="year years",
        needs=("9", "10", "11"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:he|she|patient|pt|who|mother|father|now|is|was)\s(?:is\s|was\s|now\s|has\s)?(?:nearly\s|almost\s|about\s|approaching\s|pushing\s|reached\s)?)(?:{_OVER})(?=\s?(?:,\s(?:lives|still|widow|retired|living|who|and)|\.$|\slast\s(?:year|month|week)|\sthis\s(?:year|month|week)))",
        _ninety,
        words="he she patient pt who mother father now is was",
        needs=("is 9", "is 1", "ly 9", "st 9", "ed 9", "ed 1", "ng 9", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:died|passed(?:\saway)?|lived|lives|living|alive|drives|widowed|diagnosed|walking|independent|going\sstrong|sharp)\s(?:\w+\s){{0,2}}?at\s(?:(?:the\s)?(?:ripe\s)?(?:old\s)?age\s(?:of\s)?)?)(?:{_OVER})\b(?![.:/]\d|\s?(?:%|percent))",
        _ninety,
        words="died passed lived lives living alive drives widowed diagnosed walking independent going sharp",
        needs=("at 9", "at 1", "ninety", "hundred", "age"),
    ),
    recognizer(
        "AGE",
        r"\b(?:(?:9\d|1[01]\d)(?:st|nd|rd|th)|(?:ninety[\s-]*(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|ninetieth|(?:one\s+)?hundredth))(?=\s+(?:birthday|year\b))",
        _ninety,
        words="birthday year",
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:patient|mother|father|mom|dad|grandmother|grandfather|aunt|uncle|sister|brother|husband|wife|she|he|woman|man|lady|gentleman|female|male|age|tenth\s+decade),?\s\(?(?:now\s|aged\s|is\s)?)(?:{_OVER})(?=\s?[,)]|\s+(?:and|next|this)\b)",
        _ninety,
        words="patient mother father mom dad grandmother grandfather aunt uncle sister brother husband wife she he woman man lady gentleman female male age",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?<=\s)(?:{_OVER})\b(?!{_MEASURE})",
        lambda match: "90+" if _WHOSE.search(match.string, max(0, match.start() - 90), match.start()) else match[0],
        words=_PERSON_WORDS,
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?<![\w.$/:-])(?<!at )(?<!of )(?:{_OVER})(?=\swhen\s(?:he|she|they|his|her|mom|dad|mother|father)\b|,?\sand\s(?:still\s(?:lives|drives|works|independent|active|living|walks)|lives\salone))",
        _ninety,
        words="when still lives",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\bwill\sbe\s|\b(?:woman|man|lady|gentleman|patient)\sof\s|\bgoing\son\s|\bturn(?:s|ing|ed)?\s)(?:{_OVER})(?=\s(?:in|on|this|next|years|with|who)\b|[.,;](?!\d)|$)",
        _ninety,
        words="woman man lady gentleman patient will going turn turns turning turned",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        r"\b(?P<lead>(?:early|mid|late)[\s-])(?:nineties|90['’]?s)\b(?!\s(?:%|percent|systolic|degrees|on\b))(?=[\s,.;])",
        lambda match: (
            match["lead"] + "90+" if not re.search(r"\bin the $", match.string[max(0, match.start() - 8) : match.start()]) else match[0]
        ),
        words="nineties",
        shapes=("00s", "00's"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:an?|this|the|her|his|my|pleasant|elderly|frail)\s|(?:\A|[.!?\n]\s*))(?:{_OVER})(?=\s(?:female|male|gentleman|lady|woman|man|patient|widow|widower|farmer|veteran|resident)\b)",
        _ninety,
        words="female male gentleman lady woman man patient widow widower farmer veteran resident",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:celebrated|though|although|despite\sbeing|being|birthday\snumber|lived\s(?:past|to|until)\s(?:\d+|9\d\+?),\s\w+\sto|(?:pt|patient|sister|brother|mother|father|mom|dad|aunt|uncle|husband|wife),)\s(?:his\s|her\s)?)(?:{_OVER})(?=\s*(?:[,.;)](?!\d)|$|\s(?:last|this|in|years)\b))",
        _ninety,
        words="celebrated though although despite being birthday lived pt patient sister brother mother father mom dad aunt uncle husband wife",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer(
        "AGE",
        rf"(?P<lead>\b(?:ages?|aged)\s(?:\d+|90\+)(?:,\s\d+)*,?\s(?:and|&)\s)(?:{_OVER})\b(?!{_MEASURE})",
        _ninety,
        words="age ages aged",
        needs=("9", "10", "11", "12"),
    ),
    recognizer(
        "AGE",
        rf"(?:(?P<lead>\b[Aa]t\s)(?:{_OVER})(?=,?\s(?:he|she)\s(?:is|was|remains|still|lives|drives)\b)|(?<![\w.$/:-])(?:{_OVER})(?=\sand\ssharp|\s?(?:yrs?|y)(?:\.|\b)(?!\s?(?:ago|later|pack|supply|history|hx|of|old))))",
        lambda match: (match["lead"] or "") + "90+",
        words="at and yrs yr y",
        needs=("9", "10", "11", "12", "ninety", "hundred"),
    ),
    recognizer("AGE", r"\b(?:nonagenarian|centenarian|supercentenarian)\b", lambda _: "90+", words="nonagenarian centenarian"),
)


_SEEN = re.compile(
    r",?\s*(?:with|w/|who|presents?|presenting|here|c/o|s/p|h/o|pt|patient|admitted|seen|found|brought|comes|came|fell|status|hx)\b"
)
_HEAT = ("temp", "tmax", "fever", "tm", "degree", "was", "t")


def _sexed(match: re.Match[str]) -> bool:
    """Whether 93M or 101F is a person and not a temperature or a distance."""
    rest = match.string[match.end() :].lstrip()
    after, before = rest[1:].lower(), match.string[: match.start()].lower().split()[-1:]
    last = before[0].strip(":,.(") if before else ""
    if (rest[0] not in "MF" and before) or (last and last.startswith(_HEAT)) or after.lstrip().startswith(("fever", "temp", "degree")):
        return False
    return bool(_SEEN.match(after)) or (not before and rest[0] == "M") or last in ("a", "pt", "patient", "elderly", "this", "an")
