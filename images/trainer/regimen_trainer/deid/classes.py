"""The classes of identifiers that are looked for, and the letter of HIPAA's Safe Harbor list (45 CFR 164.514(b)(2)(i)) each falls under.

Names and descriptions only; how each is found is in the recognizers' own modules. A count by class is a figure, not a certificate.
"""

from typing import NamedTuple


class IdentifierClass(NamedTuple):
    """A letter of the list and what is meant."""

    letter: str
    description: str


CLASSES: dict[str, IdentifierClass] = {
    "NAME": IdentifierClass("A", "names of patients, relatives, clinicians and others"),
    "ORGANIZATION": IdentifierClass("A", "names of employers, hospitals and other organizations"),
    "ADDRESS": IdentifierClass("B", "street addresses and post office boxes"),
    "PLACE": IdentifierClass("B", "cities, counties and other places below a state"),
    "ZIP": IdentifierClass("B", "ZIP codes; the first three digits stay where more than 20,000 people live"),
    "DATE": IdentifierClass("C", "dates; the year stays unless it tells an age over 89"),
    "AGE": IdentifierClass("C", "ages over 89, which become 90+"),
    "PHONE": IdentifierClass("D", "telephone numbers"),
    "FAX": IdentifierClass("E", "fax numbers"),
    "EMAIL": IdentifierClass("F", "e-mail addresses"),
    "SSN": IdentifierClass("G", "social security numbers"),
    "MRN": IdentifierClass("H", "medical record numbers"),
    "MEMBER": IdentifierClass("I", "health-plan member, policy and beneficiary numbers"),
    "ACCOUNT": IdentifierClass("J", "account and card numbers"),
    "LICENSE": IdentifierClass("K", "certificate and licence numbers, NPI and DEA numbers among them"),
    "VEHICLE": IdentifierClass("L", "vehicle identification numbers and licence plates"),
    "DEVICE": IdentifierClass("M", "device identifiers and serial numbers"),
    "URL": IdentifierClass("N", "web addresses"),
    "IP": IdentifierClass("O", "IP and MAC addresses"),
    "BIOMETRIC": IdentifierClass("P", "identifiers of fingerprints, voiceprints and other biometric records"),
    "PHOTO": IdentifierClass("Q", "file names of images, which may show a face"),
    "CODE": IdentifierClass("R", "any other unique number or code: claims, accessions, employees, GUIDs"),
}
