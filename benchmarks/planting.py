"""Invented identifiers and where they are put. Knows notes and phrases, and nothing of any program that is to find them.

A value is written with its identifying part between « and »: «March 4», 2008 is found when the month and day are gone, whatever becomes of
the year. Addresses of the net are those reserved for documentation, telephone numbers those of the exchange 555.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from random import Random
from typing import NamedTuple

CLASSES = {
    "A": "names", "B": "places", "C": "dates, ages > 89", "D": "telephone", "E": "fax", "F": "e-mail", "G": "social security",
    "H": "medical record", "I": "health plan", "J": "account", "K": "certificate, licence", "L": "vehicle", "M": "device", "N": "URL",
    "O": "IP address", "P": "biometric", "Q": "photograph", "R": "other number",
}  # fmt: skip
COUNTS = {"A": 560, "B": 330, "C": 480} | dict.fromkeys("DEFGHIJKLMNOPQR", 135)
PER_DOCUMENT = 3
"""Identifiers put into a copy of a note: the notes are short, and more would drown them."""
DICTATED, SHOUTED = 0.08, 0.03
"""Shares of the planted sentences that are wholly in lower case, as dictation software writes them, and wholly in capitals."""

STATES = {
    "Minnesota": "MN", "Washington": "WA", "Kentucky": "KY", "Ohio": "OH", "Idaho": "ID", "New Mexico": "NM", "Wisconsin": "WI", "Iowa": "IA"
}  # fmt: skip


def read_words(path: Path) -> dict[str, list[str]]:
    """Lists of words by their heading. An entry may go on in the next line."""
    sections = re.findall(r"^\[(.+)\]$([^\[]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {heading: [" ".join(entry.split()) for entry in entries.split(";")] for heading, entries in sections}


WORDS = read_words(Path(__file__).with_name("deidentification_words.txt"))
MONTHS = WORDS["months"]
DAYS = WORDS["weekdays"]
ONES = WORDS["digits"]
TEENS = WORDS["numbers from ten"]
ORDINALS = WORDS["days of the month"]
PHOTOS = ("IMG_{d:%Y%m%d}_09####", "DSC0####", "PXL_{d:%Y%m%d}_##", "IMG-####", "face_######")


class Names(NamedTuple):
    """Names to draw from, with those that came from Faker, and the other words that identifiers are made of."""

    first: list[str]
    last: list[str]
    faker: bool
    words: dict[str, list[str]]


def names(words: dict[str, list[str]] = WORDS, seed: int = 1) -> Names:
    """A third of them Faker's American ones where Faker is installed, the others from the lists of words."""
    own_first, own_last = words["first names"], words["last names"]
    try:
        provider = import_module("faker.providers.person.en_US").Provider
    except ModuleNotFoundError:
        return Names(own_first, own_last, False, words)
    drawn = Random(seed)
    first, last = sorted(set(provider.first_names)), sorted(set(provider.last_names))
    return Names(own_first + drawn.sample(first, len(own_first) // 2), own_last + drawn.sample(last, len(own_last) // 2), True, words)


def faker_words() -> set[str] | None:
    """Every first and last name of every language that Faker has, in lower case; None where it is not installed."""
    try:
        package = import_module("faker.providers.person")
    except ModuleNotFoundError:
        return None
    found: set[str] = set()
    for folder in sorted(Path(str(package.__file__)).parent.glob("*/__init__.py")):
        provider = import_module(f"faker.providers.person.{folder.parent.name}").Provider
        for attribute in dir(provider):
            entries = getattr(provider, attribute)
            if attribute.startswith(("first_name", "last_name")) and isinstance(entries, (tuple, list, dict, set)):
                found.update(str(entry).lower() for entry in entries)
    return found


class Mod:
    """Check digits, so that programs which verify them are given their due."""

    @staticmethod
    def luhn(digits: str) -> str:
        """The digit that makes `digits` pass Luhn's test.

        >>> Mod.luhn("7992739871")
        '3'
        """
        doubled = [sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(reversed(digits))]
        return str(-sum(doubled) % 10)

    @staticmethod
    def vin(body: str) -> str:
        """A VIN with its ninth place, any digit in `body`, set right."""
        worth = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", "12345678123457923456789" + "0123456789", strict=True))
        weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
        rest = sum(int(worth[char]) * weight for char, weight in zip(body, weights, strict=True)) % 11
        return f"{body[:8]}{'X' if rest == 10 else rest}{body[9:]}"

    @staticmethod
    def iban(country: str, account: str) -> str:
        number = "".join(str(int(char, 36)) for char in f"{account}{country}00")
        return f"{country}{98 - int(number) % 97:02d}{account}"


@dataclass
class Person:
    """Someone with all that identifies them; what is asked for twice is the same twice."""

    random: Random
    names: Names
    first: str = ""
    last: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    """What a record holds of them in another shape than the one drawn here, by column."""

    def __post_init__(self) -> None:
        self.first = self.first or self.random.choice(self.names.first)
        self.last = self.last or self.random.choice(self.names.last)

    def pick(self, *headings: str) -> str:
        """One of the words under the headings."""
        return self.random.choice([word for heading in headings for word in self.names.words[heading]])

    def digits(self, count: int) -> str:
        return "".join(self.random.choices("0123456789", k=count))

    def mixed(self, pattern: str) -> str:
        """`#` a digit, `@` a capital letter, `?` either, in lower case `x` a hexadecimal digit."""
        kinds = {"#": "0123456789", "@": "ABCDEFGHJKLMNPRSTUVWXYZ", "?": "ABCDEFGHJKLMNPRSTUVWXYZ0123456789", "x": "0123456789abcdef"}
        return "".join(self.random.choice(kinds[char]) if char in kinds else char for char in pattern)

    @cached_property
    def phone(self) -> tuple[str, str, str]:
        return self.pick("area codes"), "555", self.digits(4)

    @cached_property
    def ssn(self) -> tuple[str, str, str]:
        return f"{self.random.randint(101, 665)}", f"{self.random.randint(11, 98)}", f"{self.random.randint(1001, 9998)}"

    @cached_property
    def mail(self) -> tuple[str, str]:
        first, last = (re.sub(r"[^a-z]", "", name.lower()) or "q" for name in (self.first, self.last))
        forms = (f"{first}.{last}", f"{first[0]}{last}{self.digits(2)}", f"{last}_{first}", f"{first}{self.digits(4)}")
        return self.random.choice(forms), self.pick("hosts")

    @cached_property
    def mrn(self) -> str:
        return self.mixed(self.random.choice(("#######", "00#####", "########", "######")))

    @cached_property
    def member(self) -> str:
        return self.mixed(self.random.choice(("@@@#########", "W#########", "POL-#######", "@#########-##", "#########")))

    @cached_property
    def account(self) -> str:
        return self.mixed(self.random.choice(("##########", "00########", "#######")))

    @cached_property
    def claim(self) -> str:
        return self.mixed(self.random.choice(("CLM-20##-######", "@#########", "############", "C#####-##")))

    @cached_property
    def street(self) -> tuple[str, str]:
        name = self.pick("streets")
        return f"{self.random.randint(11, 9899)} {name}", self.pick("kinds of street")

    @cached_property
    def zip(self) -> str:
        return f"{self.random.choice((981, 554, 402, 441, 875, 532, 836, 503))}{self.digits(2)}"

    @cached_property
    def vin(self) -> str:
        return Mod.vin(self.mixed("1@@@@##@0@@######"))

    @cached_property
    def plate(self) -> str:
        return self.mixed(self.random.choice(("#@@@###", "@@@####", "@@@###", "###@@@")))

    @cached_property
    def day(self) -> date:
        return date(1996, 1, 1) + timedelta(days=self.random.randrange(365 * 26))

    @cached_property
    def age(self) -> int:
        return self.random.choice((91, 92, 93, 93, 94, 94, 95, 96, 97, 98, 99, 101, 102, 104))

    @property
    def known(self) -> dict[str, str]:
        """What the columns of a record would hold of this person."""
        area, exchange, line = self.phone
        return {
            "patient_name": f"{self.first} {self.last}",
            "address": " ".join(self.street),
            "phone": f"{area}-{exchange}-{line}",
            "email": "@".join(self.mail),
            "ssn": "-".join(self.ssn),
            "mrn": self.mrn,
            "policy_id": self.member,
            "account_number": self.account,
            "claim_number": self.claim,
        } | self.columns


Form = Callable[[Person], str]


def _spoken(digits: str) -> str:
    return " ".join("oh" if digit == "0" else ONES[int(digit)] for digit in digits)


def _spoken_year(year: int) -> str:
    def pair(number: int) -> str:
        if number < 10:
            return ONES[number]
        tens = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
        return TEENS[number - 10] if number < 20 else f"{tens[number // 10 - 2]} {ONES[number % 10]}".removesuffix(" zero")

    if 2000 <= year < 2010:
        return f"two thousand {pair(year - 2000)}".removesuffix(" zero")
    return f"{pair(year // 100)} {pair(year % 100)}".removesuffix(" zero")


def _age_words(person: Person) -> str:
    tens, ones = divmod(person.age, 10)
    return f"ninety-«{ONES[ones]}»" if tens == 9 else f"«one hundred {person.random.choice(('', 'and '))}{ONES[ones]}»"


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _range(person: Person) -> str:
    day, end = person.day, person.day + timedelta(days=5)
    if person.random.random() < 0.5 and day.month == end.month:
        return f"«{MONTHS[day.month - 1]} {day.day}»–«{end.day}», {day.year}"
    return f"from «{day.month}/{day.day}» to «{end.month}/{end.day}»/{end.year}"


def _spoken_date(person: Person) -> str:
    return f"«{MONTHS[person.day.month - 1].lower()} {ORDINALS[min(person.day.day, 30) - 1]}» {_spoken_year(person.day.year)}"


def _phone(form: str) -> Form:
    return lambda person: "«" + form.format(*person.phone, person.digits(3)) + "»"


def _day(form: str) -> Form:
    """`form` may use d (date), month, short, weekday, ordinal."""

    def value(person: Person) -> str:
        day = person.day
        month = MONTHS[day.month - 1]
        return form.format(d=day, month=month, short=month[:3], weekday=DAYS[day.weekday()], ordinal=_ordinal(day.day), minute=day.day + 10)

    return value


def _mixed(*patterns: str) -> Form:
    return lambda person: f"«{person.mixed(person.random.choice(patterns))}»"


def _chosen(options: Sequence[str]) -> Form:
    return lambda person: f"«{person.random.choice(options)}»"


def _streets(person: Person, count: int) -> list[str]:
    return person.random.sample([street for street in person.names.words["streets"] if "." not in street], count)


def _city(person: Person) -> str:
    return person.pick("cities", "cities of several words")


def _slug(person: Person) -> str:
    return f"{person.mail[0].replace('.', '-')}-{person.mixed('x#x#')}"


FORMS: dict[str, Form] = {
    "full": lambda p: f"«{p.first} {p.last}»",
    "full_possessive": lambda p: f"«{p.first} {p.last}»'s",
    "first_possessive": lambda p: f"«{p.first}»'s",
    "last_first": lambda p: f"«{p.last}, {p.first}»",
    "last_first_caps": lambda p: f"«{p.last}, {p.first}»".upper(),
    "lower_full": lambda p: f"«{p.first} {p.last}»".lower(),
    "caps_full": lambda p: f"«{p.first} {p.last}»".upper(),
    "first": lambda p: f"«{p.first}»",
    "last": lambda p: f"«{p.last}»",
    "title_last": lambda p: f"«{p.last}»",
    "full_md": lambda p: f"«{p.first} {p.last}»",
    "middle": lambda p: f"«{p.first} {p.mixed('@')}. {p.last}»",
    "initial_last": lambda p: f"«{p.first[0]}. {p.last}»",
    "particle": lambda p: f"«{p.first} {p.pick('last names of several words')}»",
    "hyphenated": lambda p: f"«{p.first} {p.last}-{p.random.choice(p.names.last)}»",
    "accented": lambda p: f"«{p.pick('first names with accents')} {p.pick('last names with accents')}»",
    "wordlike": lambda p: f"«{p.pick('first names that are words')} {p.pick('last names that are words')}»",
    "nickname": lambda p: f'«{p.first} "{p.random.choice(("Bo", "Skeeter", "Nana", "Cricket", "Tiny"))}" {p.last}»',
    "employer": lambda p: re.sub(r"(the )?(.+)", r"\1«\2»", p.pick("employers")),
    "street": lambda p: "«{}» {}".format(*p.street),
    "street_lower": lambda p: "«{}» {}".format(*p.street).lower(),
    "street_apt": lambda p: "«{}» {}, Apt {}".format(*p.street, p.mixed("#@")),
    "city": lambda p: f"«{_city(p)}»",
    "city_lower": lambda p: f"«{_city(p)}»".lower(),
    "city_caps": lambda p: f"«{_city(p)}»".upper(),
    "city_state": lambda p: f"«{_city(p)}», {p.random.choice((*STATES, *STATES.values()))}",
    "county": lambda p: f"«{p.pick('counties')}» County",
    "zip": lambda p: f"«{p.zip}»",
    "zip4": lambda p: f"«{p.zip}-{p.digits(4)}»",
    "state_zip": lambda p: f"«{_city(p)}», {p.random.choice([*STATES.values()])} «{p.zip}»",
    "box": lambda p: f"{p.random.choice(('PO Box', 'P.O. Box', 'Post Office Box'))} «{p.mixed('####')}»",
    "corner": lambda p: " and ".join(f"«{name}»" for name in _streets(p, 2)),
    "neighborhood": lambda p: re.sub(r"(the )?(.+)", r"\1«\2»", p.pick("neighborhoods")),
    "highway": lambda p: f"{p.random.choice(('County Road', 'Route', 'FM'))} «{p.mixed('####')}» near «{_city(p)}»",
    "us": _day("«{d.month:02d}/{d.day:02d}»/{d.year}"),
    "us_short": _day("«{d.month}/{d.day}»/{d:%y}"),
    "iso": _day("{d.year}-«{d.month:02d}-{d.day:02d}»"),
    "iso_time": _day("{d.year}-«{d.month:02d}-{d.day:02d}»T09:{minute}:00Z"),
    "dotted": _day("«{d.day:02d}.{d.month:02d}».{d.year}"),
    "written": _day("«{month} {d.day}», {d.year}"),
    "written_short": _day("«{short} {d.day}» {d.year}"),
    "written_caps": lambda p: _day("«{month} {d.day}», {d.year}")(p).upper(),
    "british": _day("«{d.day} {month}» {d.year}"),
    "day_month": _day("the «{ordinal} of {month}»"),
    "month_day": _day("«{month} {ordinal}»"),
    "weekday": _day("{weekday}, «{month} {d.day}»"),
    "month_year": _day("«{month}» of {d.year}"),
    "slash_no_year": _day("«{d.month}/{d.day}»"),
    "compact": _day("{d.year}«{d.month:02d}{d.day:02d}»"),
    "range": _range,
    "spoken_date": _spoken_date,
    "holiday": lambda p: p.pick("holidays").format(p.day.year),
    "age": lambda p: f"«{p.age}»",
    "age_yo": lambda p: f"«{p.age}»{p.random.choice((' y/o man', 'yo female', ' yr old woman', ' y.o. male', '-yr-old man'))}",
    "age_words": _age_words,
    "us_paren": _phone("({}) {}-{}"),
    "us_dash": _phone("{}-{}-{}"),
    "us_dash_1": _phone("1-{}-{}-{}"),
    "us_dash_ext": _phone("{}-{}-{} ext. {}"),
    "us_dot": _phone("{}.{}.{}"),
    "us_plus": _phone("+1 {} {} {}"),
    "us_plain": _phone("{}{}{}"),
    "us_space": _phone("{} {} {}"),
    "us_local": lambda p: "«{}-{}»".format(*p.phone[1:]),
    "intl": lambda p: f"«{p.random.choice(('+44 20 7946 0', '+49 30 5550', '+52 55 5550 ', '+234 803 555 '))}{p.digits(3)}»",
    "spoken": lambda p: f"«{_spoken(''.join(p.phone))}»",
    "mail": lambda p: "«{}»@{}".format(*p.mail),
    "mail_upper": lambda p: "«{}»@{}".format(*p.mail).upper(),
    "mail_plus": lambda p: "«{}+notes»@{}".format(*p.mail),
    "mail_angle": lambda p: "<«{}»@{}>".format(*p.mail),
    "mail_sub": lambda p: "«{}»@cases.{}".format(*p.mail),
    "mail_spoken": lambda p: "«{}» at {}".format(
        p.mail[0].replace(".", " dot ").replace("_", " underscore "), p.mail[1].replace(".", " dot ")
    ),
    "ssn": lambda p: "«{}-{}-{}»".format(*p.ssn),
    "ssn_space": lambda p: "«{} {} {}»".format(*p.ssn),
    "ssn_plain": lambda p: "«{}{}{}»".format(*p.ssn),
    "ssn_dot": lambda p: "«{}.{}.{}»".format(*p.ssn),
    "ssn_last": lambda p: f"«{p.ssn[2]}»",
    "ssn_masked": lambda p: f"XXX-XX-«{p.ssn[2]}»",
    "ssn_spoken": lambda p: f"«{_spoken(''.join(p.ssn))}»",
    "mrn": lambda p: f"«{p.mrn}»",
    "mrn_dash": lambda p: f"«{p.mrn[:-2]}-{p.mrn[-2:]}»",
    "mrn_letter": lambda p: f"«{p.random.choice('ABHM')}{p.mrn}»",
    "member": lambda p: f"«{p.member}»",
    "member_space": lambda p: f"«{' '.join(re.findall('.{1,4}', p.member))}»",
    "mbi": _mixed("#@?#-@?#-@@##"),
    "mbi_plain": _mixed("#@?#@?#@@##"),
    "medicaid": _mixed("@@#####@", "##########", "MA########"),
    "account": lambda p: f"«{p.account}»",
    "account_dash": lambda p: f"«{p.account[:4]}-{p.account[4:]}»",
    "card": lambda p: f"«{' '.join(re.findall('....', _card(p)))}»",
    "card_plain": lambda p: f"«{_card(p)}»",
    "iban": lambda p: f"«{Mod.iban('DE', p.digits(18))}»",
    "license": _mixed("@#######", "@###-####-####", "########", "@@######@", "S##########"),
    "certificate": _mixed("#######", "20##-######", "CERT-#####", "@@-#####-##"),
    "npi": lambda p: _check(p, "1########", "80840"),
    "dea": lambda p: f"«{_dea(p)}»",
    "nurse": _mixed("RN-######", "RN######", "@####", "MD.######", "036.######"),
    "vin": lambda p: f"«{p.vin}»",
    "vin_lower": lambda p: f"«{p.vin.lower()}»",
    "plate": lambda p: f"«{p.plate}»",
    "plate_space": lambda p: f"«{p.plate[:3]}{p.random.choice(' -')}{p.plate[3:]}»",
    "tail": _mixed("N###@@", "N####@"),
    "hull": _mixed("@@@#####@###"),
    "serial": _mixed("@@@######@", "########", "SN-#######", "@@#@######", "##@@####"),
    "serial_dash": _mixed("@@-####-@##", "####-#####", "@####/##-###"),
    "udi": _mixed("(01)00#############(21)@@######"),
    "imei": lambda p: _check(p, "35############", ""),
    "mac": _mixed("xx:xx:xx:xx:xx:xx", "00-1B-##-##-3F-##"),
    "lot": _mixed("@@####@", "LOT-######"),
    "profile": lambda p: f"https://blog.example.com/«{_slug(p)}»",
    "profile_www": lambda p: f"www.example.org/people/«{_slug(p)}»",
    "profile_bare": lambda p: f"pages.example.com/«{_slug(p)}»",
    "share": lambda p: f"https://share.example.net/s/«{p.mixed('xxxxxxx#@@##')}»{p.random.choice(('', '?v=2', '#page=3'))}",
    "share_upper": lambda p: f"HTTPS://FILES.EXAMPLE.ORG/R/«{p.mixed('@@####@#')}»",
    "ftp": lambda p: f"ftp://pacs.example.org/out/«{p.mixed('ct#######')}».zip",
    "ipv4": lambda p: f"«{_ipv4(p)}»",
    "ipv4_port": lambda p: f"«{_ipv4(p)}»:{p.random.randint(1024, 65000)}",
    "ipv6": _mixed("2001:db8:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx", "2001:0db8:xxxx:0000:0000:xxxx:xxxx:xxxx"),
    "ipv6_short": _mixed("2001:db8::xxxx:xxxx", "2001:db8:xxxx::#xx"),
    "print": _mixed("FP-########", "BIO-xxxxxxxx", "VP######", "xxxxxxxxxxxx####", "IR-####-####"),
    "print_file": _mixed("voice_########.wav", "fp_@@####.wsq", "VP-#######.mp3"),
    "photo": lambda p: f"«{p.mixed(_day(p.random.choice(PHOTOS))(p))}».{p.random.choice(('jpg', 'JPG', 'jpeg', 'HEIC', 'png'))}",
    "photo_upper": _mixed("FACE_######.TIF", "DSCN####.JPG"),
    "photo_name": lambda p: f"«{re.sub('[^a-z]', '', p.last.lower())}_{re.sub('[^a-z]', '', p.first.lower())}_{p.mixed('##')}».jpg",
    "photo_dicom": _mixed("IM_####_######.dcm"),
    "claim": lambda p: f"«{p.claim}»",
    "guid": _mixed("xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx"),
    "accession": _mixed("S##-#####", "##-SP-#####", "ACC#######", "@##-######"),
    "subject": _mixed("###-####", "SUBJ-####", "@@@-##-###"),
    "rx": _mixed("#######", "##-######"),
    "passport": _mixed("@########", "#########"),
    "badge": _mixed("#####", "E-#####", "####-@"),
    "inmate": _mixed("@#####", "#####-###", "######"),
    "handle": lambda p: f"@«{re.sub('[^a-z]', '', (p.first + p.last).lower())}{p.digits(2)}»",
    "docket": _mixed("20##-GC-#####", "##-PR-####"),
    "tracking": _mixed("1Z###@@##########", "9400############"),
    "order": _mixed("########", "ORD-######"),
}


def _card(person: Person) -> str:
    body = "4" + person.digits(14)
    return body + Mod.luhn(body)


def _check(person: Person, pattern: str, prefix: str) -> str:
    """A number whose last digit is Luhn's over `prefix` and the number."""
    body = person.mixed(pattern)
    return f"«{body}{Mod.luhn(prefix + body)}»"


def _dea(person: Person) -> str:
    digits = [int(digit) for digit in person.digits(6)]
    return f"{person.mixed('B@')}{''.join(map(str, digits))}{(sum(digits[::2]) + 2 * sum(digits[1::2])) % 10}"


def _ipv4(person: Person) -> str:
    return f"{person.random.choice(('192.0.2', '198.51.100', '203.0.113', '10.20.7'))}.{person.random.randint(11, 254)}"


class Phrase(NamedTuple):
    """A way in which an identifier is said."""

    kind: str
    own: bool
    form: str
    words: str

    @property
    def inside(self) -> bool:
        """Whether it goes into a sentence."""
        return self.words[0] in ",–("


def read_phrases(path: Path) -> dict[str, list[Phrase]]:
    """Phrases by class. Of a phrase, `\\n` is a new line."""
    phrases: dict[str, list[Phrase]] = {kind: [] for kind in CLASSES}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            head, _, words = line.partition(" | ")
            kind, whose, form = head.split()
            phrases[kind].append(
                Phrase(kind, whose == "own", "spoken_date" if (kind, form) == ("C", "spoken") else form, words.replace("\\n", "\n"))
            )
    return phrases


class Span(NamedTuple):
    start: int
    end: int


@dataclass(frozen=True)
class Plant:
    """An identifier in a document: all planted words, and the parts that identify."""

    kind: str
    own: bool
    whole: Span
    core: tuple[Span, ...]


@dataclass
class Document:
    """A note with identifiers in it. `note` is its number."""

    note: int
    text: str
    plants: list[Plant]
    person: Person
    names: list[str] = field(default_factory=list)


def documents(
    notes: Sequence[str], phrases: dict[str, list[Phrase]], seed: int, forms: dict[str, Form] = FORMS, pool: Names | None = None
) -> list[Document]:
    """Copies of the notes, each with a few identifiers; every phrase is used, in turn."""
    random = Random(seed)
    pool = pool or names()
    # Rotating through the phrases instead of drawing gives each its share.
    queue = [phrases[kind][turn % len(phrases[kind])] for kind, count in COUNTS.items() for turn in range(count)]
    random.shuffle(queue)
    order = [number % len(notes) for number in range(-(-len(queue) // PER_DOCUMENT))]
    return [
        _document(note, notes[note], queue[start : start + PER_DOCUMENT], random, pool, forms)
        for note, start in zip(order, range(0, len(queue), PER_DOCUMENT), strict=True)
    ]


def _document(number: int, note: str, chosen: Sequence[Phrase], random: Random, pool: Names, forms: dict[str, Form]) -> Document:
    person = Person(random, pool)
    ends = [match.start() for match in re.finditer(r"(?<=[a-z])(?<!Dr)(?<!Mr)(?<!Ms)(?<!Mrs)(?<!St)(?<!vs)[.](?=\s|$)", note)]
    between = [
        0,
        *(match.end() for match in re.finditer(r"(?<=[a-z][.!?])(?<!Dr\.)(?<!Mr\.)(?<!Ms\.)(?<!Mrs\.)(?<!St\.)\s+(?=[A-Z])", note)),
        len(note),
    ]
    places = sorted(
        ((random.choice(ends or [len(note)]) if phrase.inside else random.choice(between), index) for index, phrase in enumerate(chosen)),
    )
    text, done, plants, said = "", 0, list[Plant](), list[str]()
    for place, index in places:
        text, done = text + note[done:place], place
        phrase = chosen[index]
        value = forms[phrase.form](person if phrase.own else Person(random, pool))
        words = _styled(phrase.words.replace("{}", value), random, phrase)
        if note[place : place + 1] == ".":
            words = words.removesuffix(",")
        before = "" if not text or text[-1].isspace() or words.startswith(",") else " "
        after = "" if phrase.inside else " "
        if plants and text[-1:].isalpha() and not phrase.inside:
            before = ". "
        whole, core = _unmarked(words, len(text) + len(before))
        text += before + whole + after
        plants.append(Plant(phrase.kind, phrase.own, Span(len(text) - len(whole) - len(after), len(text) - len(after)), core))
        if phrase.kind == "A" and phrase.form != "employer":
            said += [text[span.start : span.end] for span in core]
    return Document(number, text + note[done:], plants, person, said)


def _styled(words: str, random: Random, phrase: Phrase) -> str:
    """Now and then wholly in lower case or capitals; what already is in one of them stays."""
    draw = random.random()
    if phrase.inside or draw > DICTATED + SHOUTED:
        return words
    return words.lower() if draw < DICTATED else words.upper()


def _unmarked(words: str, offset: int) -> tuple[str, tuple[Span, ...]]:
    """The words without « and », and where the parts between them come to lie.

    >>> _unmarked("on «May 4», 2008", 10)
    ('on May 4, 2008', (Span(start=13, end=18),))
    """
    text, core = "", list[Span]()
    for index, piece in enumerate(re.split("[«»]", words)):
        if index % 2:
            core.append(Span(offset + len(text), offset + len(text) + len(piece)))
        text += piece
    return text, tuple(core)
