"""Names told by the grammar of what is said about people: whose relative, what only people do, who signs, where somebody works.

`names` weighs words; this looks at places in a sentence that only a name can fill, so that a name may be a plain word (Hope, Grant, Will),
stand in lower case, or be two letters. Tried after `names`.
"""

import re

from regimen_trainer.deid.lexicon import family_names, given_names, is_known, medical_words
from regimen_trainer.deid.medical import DRUGS, EPONYMS, FUNCTION_WORDS, PROTECTED
from regimen_trainer.deid.names import DOES, DOSED, SPEAKS
from regimen_trainer.deid.recognizer import BEFORE, after_lead, recognizer, tag, word_set

KIN = (
    "wife husband son daughter mother father sister brother spouse partner girlfriend boyfriend fiance fiancee fiancé fiancée friend neighbor neighbour aunt uncle niece nephew cousin grandson "
    "granddaughter grandmother grandfather caregiver guardian roommate coworker colleague boss supervisor mom mum dad twin stepson stepdaughter stepmother stepfather stepmom stepdad grandma "
    "grandpa landlord interpreter translator caretaker aide sitter kid baby toddler ex ex-husband ex-wife mother-in-law father-in-law son-in-law daughter-in-law sister-in-law brother-in-law "
    "sibling classmate teammate nanny babysitter teacher coach"
)
KIN_PATTERN = "|".join(sorted(KIN.split(), key=len, reverse=True))
_KIN_WORDS = " ".join(word for word in KIN.split() if "-" not in word and word.isascii()) + " law fianc"
_WHOSE = r"(?:his|her|my|their|our|your|the|a|pt['’]s|patient['’]s|[a-z]+['’]s|with|ex|older|younger|oldest|youngest|eldest|twin|by|and)"
_ACTS = (
    r"(?:presents|presented|reports|denies|denied|states|stated|says|said|complains|endorses|tells|told|agrees|agreed|called|returns|lives|voiced|voices|understands|arrived|tolerated|brought\s(?:him|her|in)|ha[sd]\s(?:pain|been|no|a\s)|will\s(?:call|return|bring|come|be\sseen|see)|"
    r"(?:is|was)\s(?:an?\s\d|a\s(?:very\s)?(?:pleasant|nice|lovely|young|healthy)|\d\d|seen\s(?:and|today|in|by)|here\s|told|doing\swell|brought|admitted\s(?:to|with|for)|evaluated|stable\s(?:and|on)|accompanied))\b"
)
_ACT_WORDS = "presents presented reports denies denied states stated says said complains endorses tells told agrees agreed called returns lives voiced voices understands arrived tolerated is was brought has had will"
NO_NAMES = (
    FUNCTION_WORDS
    | DOES
    | SPEAKS
    | word_set("""
    will may see an so my do don did had has love see says age aged old young living deceased alive died dead well healthy also now ill sick who that has present accompanied at bedside home back
    history with reports denies gave noted found drove sent took brought helps help works lives manages thinks feels wants would could should might must like still recently both all passed too
    sang rang brain left king long major small early much best smart drug smoke smoker side line way pain in-law call care support group visit member members house phone number report name names
    """)
)
_MEETS = word_set(
    "saw told with to met called asked by from for contacted thanked and see tell call paged notified advised informed per called thanked asked texted reached helped assisted examined dear hi hello"
)
_MODALS = word_set("will may love king drew")
SUBJECTS = word_set(
    "patient pt nurse nursing family staff mom dad parents provider physician doctor client claimant member insured radiology pathology pharmacy surgery neurology cardiology oncology urology mother father wife husband daughter son child infant baby hospice police ems witness bystander lab insurance facility plan history exam"
)
_NOT_INITIALS = word_set("""
pt ot rn md do np pa ems pcp er ed icu or ir ct us st iv im po vns hha cna rt slp sw cm ent obgyn gi gu id en dr ob ms mr hh lpn pct ekg mri cc tr mva ama va aa np's bid tid hs fm uh
ccu ccm emt ami edp hpi ros pmh cpap vna adl ap pe
""")
_DEGREES = r"(?:MD|M\.D\.|DO|RN|R\.N\.|LPN|CNA|NP|PA|PA-C|PT|OT|DPT|DDS|DMD|PhD|PharmD|LCSW|MSW|RT|CRNA|APRN|FNP|MA|EMT|SLP|RD|DPM|OD|RPh)"


def _is_name(word: str) -> bool:
    """Whether a word may be a first name although it is English."""
    lower = word.lower()
    return lower in given_names() and lower not in NO_NAMES and lower not in PROTECTED


def _relative(match: re.Match[str]) -> str:
    """After `his wife`, any capitalised word; in lower case, a first name."""
    name, after = match["name"], match.string[match.end() : match.end() + 12]
    lower = name.lower().removesuffix("'s")
    if lower in PROTECTED or lower in NO_NAMES or lower in medical_words() or (name.isupper() and len(name) > 1 and not _is_name(name)):
        return match[0]
    if name[0].isupper():
        return (
            match[0]
            if is_known(lower) and ("," not in match["gap"] and "(" not in match["gap"]) and not _is_name(name)
            else match["lead"] + tag("NAME")
        )
    known = is_known(lower)
    firm = re.match(
        r"(?:['’]s\b|\s?[,.;)]|\s(?:and|is|was|has|who|will|can|drove|helps|says|reports|called|brought|lives|works|in|at|to|for|$)\b|$)",
        after,
    )
    return match["lead"] + tag("NAME") if (_is_name(name) and (firm or not known)) else match[0]


def _actor(match: re.Match[str]) -> str:
    """The subject of what only people do, where it may be a first name."""
    name = match["name"]
    lead = match.groupdict().get("lead") or ""
    words = name.split()
    known = (
        {word.lower() for word in words} <= family_names()
        and name[0].isupper()
        and words[-1][0].isupper()
        and NO_NAMES.isdisjoint(word.lower() for word in words)
    )
    if (
        known
        and not words[-1].lower().endswith(("ology", "ics", "ing"))
        and SUBJECTS.isdisjoint(word.lower() for word in words)
        and not PROTECTED.intersection(word.lower() for word in words)
    ):
        return lead + tag("NAME")
    if not _is_name(words[0]) or (len(words) > 1 and (words[1].lower() in PROTECTED or words[1].lower() not in family_names())):
        return match[0]
    return lead + tag("NAME")


def _amid(match: re.Match[str]) -> str:
    """A first name in capitals that stands amid a sentence, after a word in lower case or one such as Called."""
    text, name = match.string, match["name"]
    lower, follows = name.lower(), text[match.end() : match.end() + 2]
    modal = lower in _MODALS
    if not (modal or _is_name(name)) or lower in DRUGS or lower in EPONYMS or (follows[:1] == " " and follows[1:].isupper()):
        return match[0]
    before = text[max(0, match.start() - 16) : match.start()].rstrip(" ,").rpartition(" ")[2].rpartition("\n")[2]
    met = before.lower() in _MEETS
    if (modal and not met) or (before[:1].isupper() and not met) or DOSED.match(text, match.end()):
        return match[0]
    return tag("NAME")


def _initials(match: re.Match[str]) -> str:
    letters = re.sub(r"\W", "", match["name"]).lower()
    return match[0] if letters in _NOT_INITIALS else match["lead"] + tag("NAME")


def _employer(match: re.Match[str]) -> str:
    lower = match["own"].lower()
    if lower.split()[0] in word_set("outpatient inpatient university college attorney medicare medicaid emergency intensive physical care"):
        return match[0]
    return (
        match[0]
        if (lower in PROTECTED and lower not in _BRANDS)
        or lower in NO_NAMES
        or lower in word_set("night nights days part full doctor patient")
        else match["lead"] + tag("ORGANIZATION")
    )


def _small_employer(match: re.Match[str]) -> str:
    return match[0] if is_known(match["own"]) or match["own"] in NO_NAMES else match["lead"] + tag("ORGANIZATION")


def _rest(match: re.Match[str]) -> str:
    """The word after a first name, or before a last one, which `names` left."""
    word = match["rest"].lower().removeprefix("al-").removeprefix("el-")
    fits = word in family_names() or not is_known(word) or (match["rest"][0].isupper() and word in given_names())
    if (
        not fits
        or word in PROTECTED - {"christian", "le", "li", "ma"}
        or word in NO_NAMES
        or word in SPEAKS
        or (match["rest"][0].islower() and is_known(word))
    ):
        return match[0]
    return match["lead"] + tag("NAME") + match["after"]


def _colleague(match: re.Match[str]) -> str:
    """Whoever was spoken to and belongs somewhere."""
    words = match["name"].lower().split()
    names = [word in family_names() or word in given_names() or not is_known(word) for word in words]
    if (
        not all(names)
        or not (SUBJECTS | NO_NAMES | FUNCTION_WORDS | _STAFF).isdisjoint(words)
        or words[-1].endswith(("ing", "ology", "tion"))
    ):
        return match[0]
    return match["lead"] + tag("NAME")


_STAFF = word_set(
    "people someone colleagues counsel company team case social care charge records benefits service services customer chief fellow representative rep agent officer medical office blood results labs relief pain good help"
)
_TRADES = "bakery|plumbing|electric|construction|trucking|roofing|landscaping|bank|steel|motors|foods|farms?|dairy|lumber|mill|quarry|plant|factory|mine|foundry|brewery|logistics|freight|warehouse|shop|store|grill|diner|cafe|salon|garage|auto|packing|cannery|ranch|orchard"
BESIDE = (
    recognizer("NAME", r"\b(?:Li|Le|Lo|Lu|Ma|Mo|Su|Tu|Yo|Ha|Hu|So|Sa|Do|Di|Na|Ng|An|My|Al|El)\s\[NAME\]", flags=0, needs=(BEFORE,)),
    recognizer(
        "NAME",
        r"(?P<list>[A-Z](?<![\w'’-].)[a-z]+(?:,\s[A-Z][a-z]+)*),?\s(?:and|&)\s\[NAME\]",
        lambda match: (
            tag("NAME") + " and " + tag("NAME")
            if all(word.lower() in family_names() or word.lower() in given_names() for word in re.findall(r"\w+", match["list"]))
            and not (PROTECTED | SUBJECTS).intersection(match["list"].lower().replace(",", "").split())
            else match[0]
        ),
        flags=0,
        needs=("and [name]", "& [name]"),
    ),
    recognizer(
        "NAME",
        r"(?P<lead>)\[NAME\](?:\s[A-Z]\.)?(?:\s(?:de|la|las|los|del|van|von|der|bin|ibn|da|dos|al|el))*\s(?P<rest>(?:(?:al|el)-)?[^\W\d_]{2,}(?:[-'’][^\W\d_]+)*)(?<!['’]s)(?P<after>)",
        _rest,
        flags=0,
        needs=("[name] ",),
    ),
    recognizer("NAME", r"(?P<lead>\b[a-z]+,?\s)(?P<rest>[A-Z][a-z]{2,})\s\[NAME\](?P<after>)", _rest, flags=0, needs=(BEFORE,)),
    recognizer(
        "ORGANIZATION",
        rf"\[(?:NAME|PLACE|ORGANIZATION)\](?:['’]s)?\s(?i:{_TRADES})\b(?:\s(?:&|and)\s[A-Z]\w+)?",
        flags=0,
        words=_TRADES.replace("|", " ").replace("?", " ") + " farm",
    ),
)
"""Only where a name has been found."""


def _top(alternatives: str) -> list[str]:
    """The alternatives of a pattern, those in brackets left whole."""
    return re.findall(r"(?:[^|()]|\((?:[^()])*\))+", alternatives)


_ROLES = (
    r"emergency\scontact|next\sof\skin|contact|hcpoa|poa|pcp|attending|referring(?:\sprovider|\sphysician)?|referred\sby|case\s?worker|case\smanager|social\sworker|home\shealth\saide|aide|rep|representative|adjuster|"
    r"claimant|insured|subscriber|member|attn|cc|dear|auntie|aunt|uncle|grandma|grandpa|nurse|rn|np|pa|baby\s(?:boy|girl)|bg|landlord|pastor|lawyer|attorney|dog|cat|prefers|formerly|née|nee|thanks,?|sincerely,?|regards,?|spoke\sw/|s/w|lm\sfor|lvm\sfor|vm\sfrom|"
    r"message\s(?:from|for)|call(?:s|ed)?\s(?:from|by)|voicemail\s(?:from|for)|per|d/w|w/|surrogate|proxy|guardian|sponsor|scribe|author|therapist|counselor|teacher|principal|foreman|supervisor|manager|owner|tenant|witness|driver|reporter"
)
_EITHER = "|".join(
    rf"[{letter}{letter.upper()}](?<![\w'’/].)(?i:{'|'.join(role[1:] for role in roles)})"
    for letter, roles in {role[0]: [other for other in _top(_ROLES) if other[0] == role[0]] for role in _top(_ROLES)}.items()
)
"""By first letter, since most words of a text begin with none of them."""
_ROLE_WORDS = "contact kin hcpoa poa pcp attending referring referred caseworker worker manager aide rep representative adjuster claimant insured subscriber member attn cc dear auntie aunt uncle grandma grandpa nurse rn np pa baby bg landlord pastor lawyer attorney dog cat prefers formerly nee thanks sincerely regards w lm lvm vm message call calls called voicemail per surrogate proxy guardian sponsor scribe author therapist counselor teacher principal foreman supervisor manager owner tenant witness driver reporter"


def _in_role(match: re.Match[str]) -> str:
    """A name after what somebody is to the patient: in capitals any first or last name, in lower case a first one, alone or before a last one."""
    words = [word.lower() for word in re.findall(r"[^\W\d_]{2,}", match["name"])]
    if (
        not words
        or not (NO_NAMES | SUBJECTS | _STAFF | PROTECTED).isdisjoint(words)
        or words[-1].endswith(("ology", "ing", "tion", "ment", "ics"))
    ):
        return match[0]
    if match["name"][0].isupper():
        fits = all(word in family_names() or word in given_names() or not is_known(word) for word in words) and not (
            match["name"].isupper() and not _is_name(words[0])
        )
    else:
        fits = words[0] in given_names() and len(words) == 2 and (words[1] in family_names() or not is_known(words[1]))
        fits = fits or (
            len(words) == 1
            and words[0] in family_names()
            and (not is_known(words[0]) or (_is_name(words[0]) and not match.string[match.end() : match.end() + 1].isalnum()))
        )
    return match["lead"] + tag("NAME") if fits else match[0]


_BRANDS = word_set("walmart costco walgreens kroger sears ford honda kaiser humana aetna cigna target")
PEOPLE = (
    recognizer(
        "NAME",
        rf"(?P<lead>(?:{_EITHER})\s?[:,-]?\s(?i:is\s|named\s)?)(?P<name>[A-Z](?:\.\s?|\s)[A-Z][a-z]{{2,}}|[A-Z][\w'’-]+(?:,?\s[A-Z][a-z]+)?(?!\s[A-Z])|[a-z]{{3,}}\s[a-z]{{3,}}(?=\s(?:called|seen|says|said|states|is|was|at|from|notified|aware|present|has|reports|requested|asked)\b|[.,;]|$)|[a-z]{{3,}}(?=\s(?:called|seen|says|said|states|is|was|at|from|notified|aware|present|has|reports|requested|asked)\b|[.,;]|$))",
        _in_role,
        words=_ROLE_WORDS,
        flags=0,
    ),
    recognizer("NAME", r"(?P<lead>(?:\A|[:\n]\s?))(?P<name>[A-Z][A-Za-z'’-]{2,}),?\s[A-Z]\.?(?=\s*(?:\n|$|[,;]|\sMD))", after_lead("NAME", lambda match: match["name"].lower() in family_names() and match["name"].lower() not in PROTECTED and match["name"].lower() not in ("vitamin", "type", "grade", "hepatitis")), flags=0, first=r"\s[A-Z]\.?\s*(?:\n|$|[,;]|\sMD)"),
    recognizer("NAME", r"(?P<lead>)(?<![\w/])(?P<name>[a-z]{2,3})(?=/(?:rn|md|lpn|np|cna|pa)\b)|(?P<other>\b(?:signed|initials|initialed\sby|by):?\s)[a-z]{2}(?=[.,;\n]|$)(?<!\sus|\sit|\sme|\spt|\sot|\srn|\smd|\siv|\spo|\sim|\sct)", lambda match: match[0] if (match["name"] or "") in _NOT_INITIALS else (match["other"] or "") + tag("NAME"), words="rn md lpn np cna pa signed initials by", flags=0),
    recognizer("NAME", r"(?<![\w'’])(?:[odnm]['’](?!clock)[a-z]{4,}|[NMD]['’][A-Z][a-z]{2,}|(?:al|el)-[A-Za-z][a-z]{2,})(?<!['’]s)", lambda match: match[0] if is_known(match[0].lower()) else tag("NAME"), flags=0, words="o d n m al el"),
    recognizer(
        "ORGANIZATION",
        r"(?P<lead>\b(?:a|an|the|former|retired|as)\s)(?P<own>[A-Z][\w'’&-]+(?:\s[A-Z][\w'’&-]+)?)\s(?=(?:engineer|employee|driver|plant|worker|mechanic|machinist|pilot|executive|retiree|factory|warehouse|truck\sdriver|cashier|manager|foreman|store|dealership)\b)",
        _employer,
        words="engineer employee driver plant worker mechanic machinist pilot executive retiree factory warehouse cashier manager foreman store dealership",
        flags=0, amid=True),
    recognizer("ORGANIZATION", r"\b(?:[A-Z]\w+\s)?Local\s\d{1,4}\b", words="local", flags=0),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?:spoke|speak|spoken|talked|met|discussed|discussion|conferred|consulted|reviewed|call|message|report|checked|coordinated|visit)\s(?:\w+\s)?(?:with|to|from|by)\s)(?P<name>[^\W\d_]{3,}(?:\s[^\W\d_]{3,})?)(?=\s(?:from|in|at|of|about|regarding|on|over|with)\b|,\s(?:who|the|his|her|of)\b|\.)",
        _colleague,
        words="spoke speak spoken talked met discussed discussion conferred consulted reviewed call message report checked coordinated visit",
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>\b{_WHOSE}\s(?:\w+\s)?(?:{KIN_PATTERN})(?P<gap>,?\s|\s?\(|,?\s(?:is|named|called|is\snamed|is\scalled)\s))(?P<name>[^\W\d_]+(?:[-'’][^\W\d_]+)?)(?<!['’]s)",
        _relative,
        words=_KIN_WORDS,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>(?:^|[.;,]\s+|\b(?:and|from)\s)(?:{KIN_PATTERN})(?P<gap>,?\s|\s?\(|\s(?:is|named)\s))(?P<name>[^\W\d_]+(?:[-'’][^\W\d_]+)?)(?<!['’]s)",
        _relative,
        words=_KIN_WORDS,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?:kids|sons|daughters|sisters|brothers|twins|children|friends|parents)(?:,|:|\sare)?\s)(?P<name>[a-z]+)(?P<rest>(?:,\s[a-z]+)*,?\sand\s[a-z]+)\b",
        lambda match: match["lead"] + tag("NAME") + match["rest"] if _is_name(match["name"]) else match[0],
        words="kids sons daughters sisters brothers twins children friends parents",
        flags=re.IGNORECASE,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?i:named|nicknamed|goes\sby|known\sas|aka|a\.k\.a\.|named\safter|nee|née|maiden\sname)\s[\"“'‘]?)(?!(?:The|A|An|As|If)\b)(?P<name>[A-Z][\w'’-]+(?:\s[A-Z][\w'’-]+)*)",
        after_lead("NAME", lambda match: match["name"].lower() not in PROTECTED | medical_words()),
        words="named nicknamed goes known aka k nee née maiden", needs=("named", "goes by", "known as", "aka", "a.k.a", "nee ", "née", "maiden name"),
        flags=0, amid=True),
    recognizer(
        "NAME",
        rf"(?P<name>[A-Z](?<![\w'’-].)[a-z'’-]+(?:\s[A-Z][a-z'’-]+)?)(?=\s{_ACTS})",
        _actor,
        words=_ACT_WORDS,
        flags=0,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>\A|[.!?:\n]\s)(?P<name>[a-z]{{3,}}\s[a-z]{{3,}})(?=\s{_ACTS})",
        _actor,
        flags=0,
        words=_ACT_WORDS,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>(?:^|(?<=[.!?:\n])\s+|\b[a-z]+\s))(?P<name>[A-Z][a-z]+)(?=['’]s\s(?:mother|father|wife|husband|mom|dad|labs?|pain|daughter|son|sister|brother|family|symptoms|blood|room|care|chart|parents|case|history|last|next|first))",
        after_lead("NAME", lambda match: _is_name(match["name"])),
        words="s",
        flags=0,
    ),
    recognizer(
        "NAME",
        r"(?P<name>[A-Z](?:(?<=[a-z]\s.)|(?<=[a-z],\s.))[a-z]{2,})\b(?!-|['’]?s?\s?(?:sign|test|disease|syndrome))",
        _amid,
        words="with to told saw see by for from called met thanked asked and that per about let had helped of when contacted informed advised gave if because has have reached examined met seeing said but is was while",
        flags=0, amid=True),
    recognizer("NAME", rf"(?P<lead>)\b(?P<name>[A-Z]\.?[A-Z]\.?(?:[A-Z]\.?)?)(?=,?\s{_DEGREES}\b)(?<![A-Z]\s..)", _initials, words="md d do rn n lpn cna np pa pt ot dpt dds phd lcsw msw rt crna aprn fnp ma emt slp", flags=0),
    recognizer(
        "NAME",
        r"(?P<lead>(?:(?i:\b(?:seen|signed|dictated|reviewed|typed|transcribed|entered|initial+ed|verified|witnessed|prepared|scribed|cosigned|read|performed|drawn|charted|noted)\sby:?\s*|\b(?:signed|initials|scribe|author|/s/|per|d/w)[:\s]\s*)|(?:--|–|—)\s?))(?P<name>[A-Z]\.?[A-Z]\.?(?:[A-Z]\.?)?)(?=/[a-z]{2}\b|[\s,.;)]|$)",
        _initials,
        words="by signed initials scribe author s per w",
        shapes=("--", "–", "—"),
        flags=0,
    ),
    recognizer("NAME", r"(?P<lead>)(?<![\w/])(?P<name>[A-Z]{2,3})(?=/[a-z]{2,3}(?:\W|$))(?<!\d)", _initials, words="dictated transcribed d t by dd dt job", flags=0),
    recognizer(
        "ORGANIZATION",
        r"(?P<lead>\b(?i:works?|worked|working|employed|employee|owner|job|drives?|drove|driving|hauls?|delivers?|flies|flew|cooks?|cleans|teaches|coaches|volunteers?|interns|internship|owns|owned|runs|manages|managed|member\sof|belongs\sto|contract(?:or|s)?|retire[ds]?|student|teacher|cashier|manager|nurse|clerk|foreman|"
        r"welder|engineer|driver|mechanic|insurance|coverage|insured|plan|policy)\s(?:a\s\w+\s)?(?:for|at|by|with|from|through|of|the|in)?\s?(?:the\s)?)(?P<own>[A-Z][\w'’&-]+(?:\s(?:&\s|and\s|of\s)?[A-Z][\w'’&-]+){0,3})(?:\s?\d{1,4}\b)?(?<!['’]s)",
        _employer,
        words="works work worked working employed employee owner job drives drive drove driving hauls haul delivers deliver flies flew cooks cook cleans teaches coaches volunteers volunteer interns internship owns owned runs manages managed member belongs "
        "contractor contracts contract retired retire retires student teacher cashier manager clerk foreman welder engineer driver mechanic insurance coverage insured plan policy",
        flags=0, amid=True),
    recognizer(
        "ORGANIZATION",
        r"\b(?:Blue\s(?:Cross|Shield)(?:\s(?:and\s|&\s)?Blue\sShield)?(?:\sof\s[A-Z]\w+(?:\s[A-Z]\w+)?)?|[A-Z]\w+(?:\s[A-Z]\w+)?\s(?:Plumbing|Electric|Construction|Trucking|Roofing|Landscaping|Bakery|Bank|Credit\sUnion|Airlines|Steel|Motors|Foods|Farms|Dairy|Lumber|"
        r"Brothers|Bros|Sons|Mills?|Packing|Freight|Transport(?:ation)?|Services\sInc|Enterprises|Holdings|Partners|Solutions|Systems\sInc|Union|Local\s\d+))\b",
        lambda match: match[0] if match[0].split()[0].lower() in FUNCTION_WORDS else tag("ORGANIZATION"),
        words="blue plumbing electric construction trucking roofing landscaping bakery bank union airlines steel motors foods farms dairy lumber brothers bros sons mill mills packing freight transport transportation inc enterprises holdings partners solutions local",
        flags=0, amid=True),
    recognizer(
        "ORGANIZATION",
        r"(?P<lead>\b(?:works?|worked|working|employed|job|jobs)\s(?:at|for|by|with)\s(?:the\s)?)(?P<own>[a-z]+)(?:\s(?:bakery|plant|mill|farms?|foods|logistics|steel|trucking|construction))?\b",
        _small_employer,
        words="works work worked working employed job jobs",
        flags=0,
    ),
)  # fmt: skip
