"""Further shapes of identifiers, for the held-out phrases. Knows payers', states' and makers' formats; nothing of any program that is to find them.

The shapes are real, every value is drawn at random: cards of BlueCross (prefix and 9), UnitedHealthcare (9 digits and 00), Cigna (U and 10),
Humana (H and 8), TRICARE's benefits number (11), Medi-Cal (9 or 14 places); plates and licences of several states; UDI in GS1's and HIBCC's form.
"""

import re

from planting import FORMS as FIRST_FORMS
from planting import ONES, STATES, TEENS, WORDS, Form, Mod, Person, _age_words, _city, _day, _dea, _ipv4, _mixed, _phone, _spoken, _streets

TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
VANITY = ("LUVMYK9", "2BRKFST", "GOTTAGO", "H8WINTR", "SNOWBRD", "MSTEACH", "GR8NANA", "TROUT1")
PLATES = (
    ("NY", "@@@-####"), ("TX", "@@@-####"), ("CA", "#@@@###"), ("FL", "@@@ @##"), ("MA", "#@@ @##"), ("IL", "@@ #####"), ("NJ", "@##-@@@"),
    ("OR", "### @@@"), ("CO", "@@@-@##"), ("WI", "@@@-####"), ("MN", "###-@@@"), ("GA", "@@@####"),
)  # fmt: skip


def _one(*forms: Form) -> Form:
    return lambda person: person.random.choice(forms)(person)


def _days(*forms: str) -> Form:
    return _one(*map(_day, forms))


def _phones(*forms: str) -> Form:
    return _one(*map(_phone, forms))


def _column(column: str, *patterns: str) -> Form:
    """A number that the record has too, in that column."""

    def value(person: Person) -> str:
        person.columns[column] = person.mixed(person.random.choice(patterns))
        return f"«{person.columns[column]}»"

    return value


def _around(before: str, form: Form, after: str = "") -> Form:
    return lambda person: before + form(person) + after


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _initials(person: Person) -> str:
    return (person.first[0] + person.mixed("@") + person.last[0]).upper()


def _typist(person: Person) -> str:
    """Who dictated and who typed, as at the foot of a transcript."""
    return f"«{_initials(person)}»{person.random.choice(':/')}«{person.mixed('@@@').lower()}»"


def _paired(digits: str) -> str:
    """Digits as people say them two by two.

    >>> _paired("4005")
    'forty oh five'
    """
    said = []
    for tens, ones in zip(digits[::2], digits[1::2], strict=True):
        if tens == "0":
            said.append(f"oh {'oh' if ones == '0' else ONES[int(ones)]}")
        else:
            said.append(TEENS[int(ones)] if tens == "1" else f"{TENS[int(tens) - 2]} {'' if ones == '0' else ONES[int(ones)]}".strip())
    return " ".join(said)


def _birthday(person: Person) -> str:
    return f"«{person.day.month}/{person.day.day}»/{person.random.randint(1938, 2015)}"


def _later(form: str) -> Form:
    """A span of time within a month: `first` and `last` are its days."""

    def value(person: Person) -> str:
        day = person.day.replace(day=1 + person.day.day % 20)
        return form.format(first=day, last=day.replace(day=day.day + 7))

    return value


def _vin(person: Person) -> str:
    patterns = (
        "1HG@@82#0#A######",
        "1FT@@1E#0@F######",
        "2T1@@32#0#C######",
        "5YJ3E1E#0@F######",
        "WBA@@9C#0#K######",
        "1G1@@5S#0@7######",
    )
    return Mod.vin(person.mixed(person.random.choice(patterns)))


def _plate_of_state(person: Person) -> str:
    state, pattern = person.random.choice(PLATES)
    return f"{state} «{person.mixed(pattern)}»"


def _card(prefix: str, length: int, groups: str) -> Form:
    def value(person: Person) -> str:
        body = prefix + person.digits(length - len(prefix) - 1)
        number = iter(body + Mod.luhn(body))
        return f"«{re.sub('#', lambda _: next(number), groups)}»"

    return value


def _stem(text: str, *ends: str) -> Form:
    """A file name: `text` with the day, marked, then filled at random."""
    return lambda person: person.mixed(_day(text)(person)) + "." + person.random.choice(ends)


def _url(text: str) -> Form:
    """An address whose marked parts are filled at random, and no other."""
    return lambda person: re.sub("«.+?»", lambda part: person.mixed(part.group()), text)


def _base64(person: Person) -> str:
    return f"«Rk1SACAyMAAA{''.join(person.random.choices(BASE64, k=24))}»"


def _coordinates(person: Person) -> str:
    north, west = person.random.uniform(31, 47), person.random.uniform(76, 121)
    if person.random.random() < 0.5:
        return f"«{north:.4f}», -«{west:.4f}»"
    return f"N «{int(north)} {60 * (north % 1):.2f}» W «{int(west)} {60 * (west % 1):.2f}»"


def _line(person: Person) -> str:
    return "«{}» {}, ".format(*person.street) + f"«{_city(person)}» {person.random.choice([*STATES.values()])} «{person.zip}»"


def _spoken_day(person: Person) -> str:
    return f"«{WORDS['months'][person.day.month - 1].lower()} {WORDS['days of the month'][min(person.day.day, 30) - 1]}»"


NAMES: dict[str, Form] = {
    "hl7": lambda p: f"«{p.last}^{p.first}»^{p.mixed('@')}".upper(),
    "last_first_middle": lambda p: f"«{p.last}, {p.first}» {p.mixed('@')}.",
    "mr_full": lambda p: f"Mr. «{p.first} {p.last}»",
    "dear": lambda p: f"{p.random.choice(('Mr.', 'Ms.', 'Mrs.'))} «{p.last}»",
    "sentence_last": lambda p: f"Mr. «{p.last}»",
    "full_junior": lambda p: f"«{p.first} {p.last}» {p.random.choice(('Jr', 'Sr.', 'III'))}",
    "lower_first_only": lambda p: f"«{p.first}»".lower(),
    "initials": lambda p: f"«{p.first[0]}{p.last[0]}»".upper(),
    "preferred": lambda p: f'"«{p.first}»"',
    "formerly": lambda p: f"«{p.first} {p.random.choice(p.names.last)}»",
    "baby": lambda p: f"{p.random.choice(('Baby Boy', 'Baby Girl', 'BB', 'BG', 'Twin A'))} «{p.last}»",
    "last_slash_first": lambda p: f"«{p.last}»/«{p.first}»",
    "family_last": lambda p: f"«{p.last}»",
    "couple_last": lambda p: f"«{p.last}»",
    "drs_two": lambda p: f"«{p.last}» and «{p.random.choice(p.names.last)}»",
    "full_credentials": lambda p: f"«{p.first} {p.last}», {p.pick('credentials')}",
    "slash_s": lambda p: f"«{p.first} {p.last}»",
    "from_line": lambda p: p.random.choice((f"«{p.last}, {p.first}»", f"«{p.first} {p.last}»")),
    "thanks": lambda p: f"«{p.first}»",
    "hi": lambda p: f"«{p.first}»",
    "caps_last": lambda p: f"«{p.last}»".upper(),
    "lower_last": lambda p: f"«{p.last}»".lower(),
    "transcription": _typist,
    "transcription_job": _typist,
    "first_last_initial": lambda p: f"«{p.first}» {p.last[0]}.",
}
PLACES: dict[str, Form] = {
    "street_city_line": _line,
    "street_caps": lambda p: "«{}» {}".format(*p.street).upper(),
    "street_directions": lambda p: "just off «{}» on «{}» Rd".format(*_streets(p, 2)),
    "unit": lambda p: f"{p.random.choice(('Unit', 'Apt', '#'))} «{p.mixed('#0#')}»",
    "facility": lambda p: p.pick("facilities"),
    "school": lambda p: p.pick("schools"),
    "city_state_lower": lambda p: f"«{_city(p)}» {p.random.choice([*STATES])}".lower(),
    "city_abbrev_zip": lambda p: f"«{_city(p)}» {p.random.choice([*STATES.values()])} «{p.zip}-{p.digits(4)}»".upper(),
    "metro": lambda p: f"greater «{_city(p)}»",
    "county_lower": lambda p: f"«{p.pick('counties')}» county".lower(),
    "county_caps": lambda p: f"«{p.pick('counties')}» county".upper(),
    "rural": _one(
        lambda p: f"RR «{p.mixed('#')}», Box «{p.mixed('1##')}»",
        lambda p: f"«{p.mixed('2##')}th» Ave north of «{_city(p)}»",
        lambda p: f"CR «{p.mixed('1#50')}»",
    ),
    "corner_amp": lambda p: " & ".join(f"«{name}»" for name in _streets(p, 2)),
    "mile_marker": lambda p: f"I-80 at mile marker «{p.mixed('2##')}»",
    "coordinates": _coordinates,
    "reservation": lambda p: p.pick("reservations"),
    "building": lambda p: p.pick("buildings"),
    "precinct": lambda p: p.pick("precincts"),
}
DATES: dict[str, Form] = {
    "us_time": _days("«{d:%m/%d}»/{d:%Y} 14{minute}", "«{d.month}/{d.day}»/{d:%y} 0{minute}", "«{d:%m/%d}»/{d:%Y} 7:{minute} AM"),
    "us_dashes": _days("«{d:%m-%d}»-{d:%Y}", "«{d.month}-{d.day}»-{d:%y}"),
    "military": lambda p: _days("«{d:%d%b}»{d:%Y}", "«{d:%d %b}» {d:%y}", "«{d:%d-%b}»-{d:%Y}")(p).upper(),
    "military_lower": lambda p: _days("«{d:%d%b}»{d:%y}", "«{d:%d %b}» {d:%Y}")(p).lower(),
    "hl7_time": _day("{d:%Y}«{d:%m%d}»14{minute}"),
    "iso_offset": _day("{d:%Y}-«{d:%m-%d}»T14:{minute}:00-05:00"),
    "day_month_short": _days("«{d.day} {short}»", "«{d.day}-{short}»-{d:%y}"),
    "slash_time": _days("«{d.month}/{d.day}» @ 06{minute}", "«{d.month}/{d.day}» at 06{minute}"),
    "pair_slash": _later("«{first.month}/{first.day}» and «{last.month}/{last.day}»"),
    "month_slash_year": _days("«{d.month}»/{d:%Y}", "«{d:%m}»/{d:%y}"),
    "month_only": _day("«{month}»"),
    "early_month": _days("early «{month}»", "late «{month}»", "mid-«{month}»"),
    "month_year_no_of": _days("«{month}» {d.year}", "«{short}» '{d:%y}"),
    "written_ordinal": lambda p: re.sub("(st|nd|rd|th)»", r"»\1", _day("«{month} {ordinal}», {d.year}")(p)),
    "weekday_slash": _days("{weekday:.3} «{d.month}/{d.day}»", "{weekday} «{d.month}/{d.day}»"),
    "weekday_ordinal": lambda p: re.sub("(st|nd|rd|th)»", r"»\1", _day("{weekday} the «{ordinal}»")(p)),
    "day_only": lambda p: re.sub("(st|nd|rd|th)»", r"»\1", _day("«{ordinal}»")(p)),
    "spoken_no_year": _spoken_day,
    "from_to": _one(
        _later("«{first:%m%d}»{first:%y} «{last:%m%d}»{last:%y}"), _later("«{first:%m/%d}»/{first:%y} TO «{last:%m/%d}»/{last:%y}")
    ),
    "dash_range": _one(
        _later("«{first:%m/%d}»/{first.year} - «{last:%m/%d}»/{last.year}"),
        _later("«{first.month}/{first.day}»-«{last.month}/{last.day}»/{last:%y}"),
    ),
    "week_of": _days("«{d.month}/{d.day}»", "«{month} {d.day}»"),
    "eve": lambda p: p.pick("eves"),
    "birth": _birthday,
    "birth_year": lambda p: f"«{p.random.randint(1914, 1930)}»",
    "age_code": lambda p: f"«{p.age}»{p.random.choice(('F', 'M', 'yoF', ' yoM', ' F', 'YOWM'))}",
    "age_words_spaced": lambda p: _age_words(p).replace("-", " "),
    "age_months": lambda p: f"«{p.age}»{p.random.choice((' y 4 m', 'y7m', ' yrs 2 mos', 'Y'))}",
    "age_caps": lambda p: f"«{p.age}» {p.random.choice(('YO', 'Y/O', 'YEAR OLD', 'YR OLD'))}",
    "birthday": lambda p: f"«{p.age}»{ {1: 'st', 2: 'nd', 3: 'rd'}.get(p.age % 10, 'th') }",
}
NUMBERS_OF_PEOPLE: dict[str, Form] = {
    "us_paren_tight": _phone("({}){}-{}"),
    "us_slash": _phone("{}/{}-{}"),
    "us_dot_tight": _phones("({}) {}.{}", "{}.{}-{}"),
    "us_dash_x": _phones("{}-{}-{} x{}", "({}) {}-{} X {}"),
    "us_toll": _mixed("1-888-555-####", "(800) 555-####", "866.555.####", "1 877 555 ####"),
    "us_bare_local": lambda p: f"«5-{p.phone[2]}»",
    "us_one_dots": _phones("1.{}.{}.{}", "1 ({}) {}-{}"),
    "intl_more": _mixed("+254 7## ######", "+63 9## ### ####", "011 52 33 #### ####", "+91-98###-#####", "+380 (67) ###-##-##"),
    "area_code_spoken": _one(
        lambda p: "area code «{}», «{}-{}»".format(*p.phone),
        lambda p: f"area code «{_spoken(p.phone[0])}» «five five five {_paired(p.phone[2])}»",
        lambda p: f"«{_spoken(p.phone[0])} five five five {_paired(p.phone[2])}»",
    ),
    "mail_mailto": lambda p: "mailto:«{}»@{}".format(*p.mail),
    "mail_caps_spaced": lambda p: "«{}» @ {}".format(*p.mail).upper(),
    "mail_brackets": _one(
        lambda p: "«{}» [at] {}".format(p.mail[0], p.mail[1].replace(".", " [dot] ")), lambda p: "«{}»(at){}".format(*p.mail)
    ),
    "mail_said": lambda p: f"«{_letters(p.first)} {_letters(p.last)} {_paired(p.digits(2))}» at {p.mail[1].replace('.', ' dot ')}",
    "mail_initial": lambda p: f"«{_letters(p.first)[:1]}.{_letters(p.last)}{p.digits(2)}»@{p.mail[1]}",
    "mail_display": lambda p: "«{0}»@{1} <«{0}»@{1}>".format(*p.mail),
    "mail_dash": lambda p: f"«{_letters(p.first)}-{_letters(p.last)}»@{p.mail[1]}",
    "mail_semicolon": lambda p: "«{}»@{}; ".format(*p.mail) + "«{}»@{}".format(*Person(p.random, p.names).mail),
    "ssn_solid_label": _one(lambda p: "«{}-{}-{}»".format(*p.ssn), lambda p: "«{}{}{}»".format(*p.ssn)),
    "ssn_en_dash": lambda p: "«{}–{}–{}»".format(*p.ssn),
    "ssn_stars": lambda p: p.random.choice(("***-**-", "xxx-xx-", "###-##-")) + f"«{p.ssn[2]}»",
    "ssn_pairs": lambda p: f"«{_spoken(p.ssn[0])} {_paired(p.ssn[1])} {_paired(p.ssn[2])}»",
    "itin": _mixed("9##-70-####", "9##-8#-####"),
}
CHARTS_AND_PLANS: dict[str, Form] = {
    "mrn_epic": _column("mrn", "E#######", "10#######", "#########"),
    "mrn_terminal": _column("mrn", "##-##-##", "###-##-##", "##-##-##-#"),
    "mrn_zeros": _column("mrn", "000#######", "0000#####"),
    "mrn_meditech": _column("mrn", "M000######", "D00######", "G0########"),
    "mrn_pid": _column("mrn", "#######", "########"),
    "bcbs": _column("policy_id", "@@@#########", "R########", "@@@W########", "@@@ ### ### ###"),
    "bcbs_dependent": _column("policy_id", "@@@######### 02", "@@@#########-03"),
    "uhc": _column("policy_id", "9######## 00", "9########00", "9########"),
    "cigna": _column("policy_id", "U########01", "U######## 02"),
    "humana": _column("policy_id", "H########", "H########-00"),
    "tricare": _column("policy_id", "###########", "#########-01"),
    "medicaid_more": _column("policy_id", "9#######@", "9#######@#####", "@@#####@", "5########"),
    "rx_member": _column("policy_id", "#########01", "@@########"),
    "certificate_policy": _column("policy_id", "G-######-##", "C-########"),
    "hicn": lambda p: "«{}-{}-{}{}»".format(*p.ssn, p.random.choice(("A", "B", "D", "C1", "W"))),
    "va_dod": _mixed("1#########"),
    "pip": _mixed("PIP-####-####", "## #### ####-#"),
    "fin": _column("account_number", "########", "#########"),
    "har": _column("account_number", "600########", "40########"),
    "account_caps": _column("account_number", "V########", "A########", "######-####"),
    "patient_account": _column("account_number", "########-#", "P########", "####@@####"),
    "statement": _mixed("########", "ST-#######", "##-#######-#"),
    "routing": lambda p: f"routing {p.digits(9)} acct «{p.digits(10)}»",
    "card_more": _one(_card("5", 16, "####-####-####-####"), _card("2", 16, "#### #### #### ####"), _card("6011", 16, "################")),
    "amex": _one(_card("37", 15, "#### ###### #####"), _card("34", 15, "###############")),
    "card_last": _mixed("####"),
    "hsa": _card("4", 16, "####-####-####-####"),
    "iban_gb": lambda p: f"«{' '.join(re.findall('.{1,4}', Mod.iban('GB', p.mixed('@@@@##############'))))}»",
}
LICENCES_AND_VEHICLES: dict[str, Form] = {
    "license_more": _mixed(
        "@###-###-##-###-0", "@###-####-####", "@#### ##### #####", "@ ### ### ### ###", "### ### ###", "WDL?@#?####", "@#######"
    ),
    "license_state": _one(_around("NY ", _mixed("### ### ###")), _around("TX ", _mixed("########")), _around("PA ", _mixed("## ### ###"))),
    "cdl": _mixed("##-###-####", "#########", "@########"),
    "medical_card": _mixed("P###-####", "MMJ-######", "C#########"),
    "permit": _mixed("###-####-##", "C########"),
    "faa": _mixed("#######"),
    "vital": _mixed("###-##-######", "1##-####-######", "######"),
    "board": _mixed("G#####", "A######", "PA#####", "PH-#####", "RN ######", "20######"),
    "dea_form": _one(lambda p: f"«{_dea(p)}»", lambda p: f"«{_dea(p)}-{p.digits(3)}»"),
    "upin": _mixed("@#####"),
    "vin_make": lambda p: f"«{_vin(p)}»",
    "vin_spaced": lambda p: "«{} {} {} {}»".format(*(re.findall("(.{5})(.{5})(.)(.{6})", _vin(p))[0])),
    "vin_tail": lambda p: f"«{_vin(p)[-8:]}»",
    "plate_state": _plate_of_state,
    "plate_more": _mixed("@## @@@", "@@ #####", "###-@@@", "#@@ @##", "@@@@##", "####@@"),
    "vanity": lambda p: f"«{p.random.choice(VANITY)}»",
    "placard": _mixed("@#####@", "#######", "P######"),
    "wheelchair": _mixed("HP ####", "####-DP", "DV #####"),
    "medic_unit": _mixed("AMB-####", "EMS ####"),
    "tail_more": _mixed("N#####", "N##@@", "C-G@@@"),
    "hin_more": _mixed("YAM@####@###", "BOM#####@###"),
    "trailer": _mixed("T ######", "@@-#####", "#####@@"),
}
DEVICES_AND_NET: dict[str, Form] = {
    "pacer": _mixed("PVY######S", "PJN######@", "BLC######@", "7######"),
    "lead": _mixed("TDG######V", "BBL######@", "LFD######@"),
    "udi_gs1": _one(
        lambda p: p.mixed("(01)0#############(17)2#0#31(10)«@##@#@»(21)«#######»"),
        lambda p: p.mixed("010#############172#0#3110«@#######»"),
        lambda p: p.mixed("(01)0#############(11)2#0#1#(21)«@@@######@»"),
    ),
    "udi_hibcc": lambda p: p.mixed("+H###@@####1/$$3240#31«@#######»/S«##@#####»"),
    "lens": _mixed("1####### ###", "2##########"),
    "cgm": _mixed("8@#@##", "4#@#@@", "8#@##@"),
    "pump": _mixed("90####", "NG#######@", "#######"),
    "resmed": _mixed("2##########", "23#########"),
    "implant_lot": _mixed("6#######", "J#@####", "##@@#####"),
    "cochlear": _mixed("100#########", "C#######"),
    "asset": _mixed("BME-####", "0#####", "CE######"),
    "mac_more": _mixed("xxxxxxxxxxxx", "xxxx.xxxx.xxxx"),
    "page": _one(
        lambda p: f"caringbridge.example.org/visit/«{_letters(p.first)}{_letters(p.last)}»",
        lambda p: f"https://fund.example.com/f/«help-{_letters(p.first)}-walk-again»",
        lambda p: f"https://www.example.net/in/«{_letters(p.first)}-{_letters(p.last)}-{p.mixed('#x#x')}»/",
    ),
    "portal_link": _url("https://portal.example.org/m/open.aspx?pid=«########»&t=«xxxxxxxxxx»"),
    "meeting": _url("https://meet.example.com/j/«9##########»?pwd=«xxxxxxxxxx»"),
    "url_said": lambda p: f"w w w dot example dot com slash «{_letters(p.first)} {_letters(p.last)}»",
    "cloud": lambda p: f"https://drive.example.net/file/d/«{''.join(p.random.choices(BASE64[:62], k=22))}»/view?usp=sharing",
    "markdown": _url("[link](https://echo.example.org/v/«xxxxxxxx»)"),
    "obituary": lambda p: f"www.example.com/obituaries/«{_letters(p.first)}-{_letters(p.last)}»",
    "bare_short": lambda p: f"exm.example/«{''.join(p.random.choices(BASE64[:62], k=7))}»",
    "sftp": _url("sftp://files.example.org/in/«@@########»/"),
    "ip_log": _one(
        lambda p: f"src=«{_ipv4(p)}» user=proxy",
        lambda p: f"[«{_ipv4(p)}»] GET /chart 200",
        lambda p: f"X-Forwarded-For: «{_ipv4(p)}»",
        lambda p: f"client_ip=«{_ipv4(p)}»;",
    ),
    "ipv4_cidr": lambda p: f"«{_ipv4(p)}»/24",
    "ipv4_said": lambda p: f"«{_ipv4(p).replace('.', ' dot ')}»",
    "ipv6_port": lambda p: f"[«{p.mixed('2001:db8:xxxx::xxxx')}»]:{p.random.randint(1024, 65000)}",
    "ipv6_mapped": lambda p: f"::ffff:«{_ipv4(p)}»",
    "host_name": lambda p: f"c-«{_ipv4(p).replace('.', '-')}».dyn.example.net",
}
BODIES_AND_PICTURES: dict[str, Form] = {
    "palm": _mixed("PS-########", "PV########", "xxxxxxxxxxxx", "########"),
    "template": _base64,
    "template_hash": _mixed("x" * 32, "x" * 40),
    "afis": _mixed("@########", "##########"),
    "fingerprint_card": _around("FD-258 ", _mixed("########", "@#######")),
    "voice_file": _one(_stem("«vb_{d:%y%m%d}_####»", "wav", "flac"), _stem("«call-########»", "mp3", "WAV")),
    "footprint": _mixed("NB-####-##", "FP ####-###"),
    "dna": _mixed("STR-####-##", "D######-#"),
    "phone_photo": _one(_stem("IMG_«####»", "HEIC", "jpeg"), _stem("image_«########»", "jpg"), _stem("IMG_«####»(1)", "JPG")),
    "messenger_photo": _one(
        _stem("WhatsApp Image {d:%Y}-«{d:%m-%d} at 14.##.##»", "jpeg"),
        _stem("signal-{d:%Y}-«{d:%m-%d}-######»", "jpg"),
        _stem("IMG-«{d:%Y%m%d}-WA####»", "jpg"),
        _stem("Snapchat-«##########»", "jpg"),
    ),
    "name_photo": _one(
        lambda p: f"«{p.last}_{p.first}»_preop_frontal.jpg",
        lambda p: f"«{_letters(p.first)}{_letters(p.last)}»-nose-L.png",
        lambda p: f"«{p.last} {p.first}» face 3.tif",
    ),
    "camera_photo": _one(_stem("P10«#####»", "JPG"), _stem("100_«####»", "JPG"), _stem("DSC_«####»", "NEF"), _stem("CIMG«####»", "jpg")),
    "screenshot": _one(_stem("Screenshot_«{d:%Y%m%d}-######»", "png"), _stem("Screen Shot {d:%Y}-«{d:%m-%d} at 3.##.##» PM", "png")),
    "id_photo": _one(_stem("DL_front_«########»", "jpg"), _stem("badge_«######»", "bmp"), _stem("facesheet_«#######»", "jpg")),
    "video": _one(_stem("VID_«{d:%Y%m%d}_######»", "mp4"), _stem("MOV_«####»", "mp4"), _stem("GX01«####»", "MP4")),
}
OTHERS: dict[str, Form] = {
    "csn": _mixed("100########", "3########"),
    "visit_v": _mixed("V00#########", "00########"),
    "accession_more": _mixed("##-SU-######", "E########", "##:S#####R", "CT##-####", "NG-##-#####", "C##-###"),
    "dicom_uid": lambda p: p.mixed("1.2.840.113619.2.55.3.«##########.###.##########.###»"),
    "claim_more": _column("claim_number", "2#############", "20#####@#######", "E########00", "##-######-##"),
    "wc": _column("claim_number", "WC-####-######", "2##-######", "A######-##"),
    "auth": _mixed("A#########", "AUTH#######", "##########"),
    "alien": _mixed("###-###-###", "#########"),
    "study": _mixed("##-####", "1004-###", "S-#####"),
    "rx_more": _mixed("#######-#####", "C#######"),
    "student": _mixed("S########", "9########"),
    "social": _one(lambda p: f"@«{_letters(p.first)}.{_letters(p.last)}_{p.digits(2)}»", lambda p: f"«{_letters(p.first)}{p.digits(4)}»"),
    "police": _mixed("##-######", "20########"),
    "ems_run": _mixed("##-#######", "F########"),
    "blood_unit": _mixed("W#### ## ######", "W############"),
    "unos": _mixed("@@@@###"),
    "court": _mixed("##-PO-####", "FV-##-######"),
    "ticket": _mixed("INC#######"),
}
FORMS: dict[str, Form] = (
    FIRST_FORMS
    | NAMES
    | PLACES
    | DATES
    | NUMBERS_OF_PEOPLE
    | CHARTS_AND_PLANS
    | LICENCES_AND_VEHICLES
    | DEVICES_AND_NET
    | BODIES_AND_PICTURES
    | OTHERS
)
"""All forms: those of the first set and these."""
