"""Capitalised words of medicine, claims and calendars that look like names of people or places and are not.

Names that became the name of a disease, a sign, a device or a drug; what follows such a name; headings. No list of this kind is whole.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


EPONYMS = _words("""
Achilles Addison Adson Alzheimer Apgar Apley Argyll Asperger Auer Babinski Baker Bankart Barrett Bartholin Bartter Basedow Bazin Beck Becker
Behcet Bell Bence Bennett Berg Bernard Billroth Bishop Bouchard Bowen Braden Bright Broca Brodie Brudzinski Brugada Buerger Burkitt Bezold
Caesar Charcot Chiari Chvostek Coats Cobb Colles Conn Coombs Cooper Cowper Crohn Cullen Cushing Dandy Darier Delbet Denver Doppler Down Dressler
Duchenne Dupuytren Durie Ebstein Edwards Ehlers Eisenmenger Epley Epstein Erb Ewing Fabry Fallopian Fallot Fanconi Felty Finkelstein Fitz
Fleischner Foley Fournier Fowler Friedreich Froment Fuchs Fahrenheit Gaucher Ghon Gilbert Glasgow Gleason Gottron Gowers Gram Graves Greenfield
Grey Guillain Guyon Hallpike Hampton Hansen Harris Hartmann Hashimoto Hawkins Heberden Heimlich Heinz Heller Henoch Hickman Hill Hippel Hirschsprung
Hodgkin Hoffman Hoffmann Holter Homans Horner Howell Hunt Hunter Huntington Hutchinson Ivor Jackson James Jaeger Janeway Jefferson Jobe Jones Kaposi
Kaplan Karnofsky Kawasaki Kegel Kehr Kernig Kienbock Killian Klinefelter Klippel Knodell Korsakoff Kocher Koplik Kussmaul Lachman Lambert Landau
Lasegue Lefort Legg Lennox Lewy Lhermitte Lister Ludwig Luschka Lyme Maisonneuve Mallory Mantoux Marfan Marie Mayo Mcburney Mcmurray Meckel
Meniere Merkel Meyer Mobitz Moro Morton Mohs Monro Monteggia Murphy Naegele Neer Nelson Nissen Ogilvie Osgood Osler Oswestry Paget Pancoast
Pap Parkinson Pfannenstiel Perthes Petri Peyer Peyronie Phalen Plummer Pott Potter Prinzmetal Purkinje Quervain Quincke Ramsay Rathke Raynaud Reed
Reiter Reye Reynolds Rinne Romberg Roth Roux Rovsing Schatzker Schatzki Scheuermann Schirmer Schlatter Schlemm Schober Seldinger Sengstaken
Sever Sims Sjogren Skene Snellen Spearman Spurling Starling Steinmann Stevens Stokes Sturge Swan Sweet Syme Takayasu Tanner Thomas Thomsen
Tietze Tinel Tourette Trendelenburg Trousseau Turner Turcot Tzanck Valsalva Vater Virchow Volkmann Waldenstrom Wallenberg Weber Wegener Wells
Wenckebach Wernicke Whipple Whitney Williams Wilms Wilson Wolff Wong Wood Yankauer Yergason Zenker Zollinger Salter Holmes Allen Moore Ross
Jamshidi Allis Kelly Bovie Metzenbaum Weitlaner Balfour Richardson Penrose Jackson-Pratt Blake Steri Bookwalter Sellick Mallampati Shimada Bremer Miller Macintosh
Prolene Vicryl Monocryl Kerrison Cobb Gelpi Lukens Rochester Oschner Debakey Army Kocher Deaver Malecot Cope Denis Browne Gigli Kirschner Ilizarov
Philadelphia Miami Boston Milwaukee Norwalk Ebola Zika Coxsackie Rocky Marburg Lassa Hanta Tamm Ringer Lugol Giemsa Wright Ziehl Neelsen Papanicolaou
Burow Monro Monsel Carnoy Bruce Naughton Borg Mini-Mental Ranson Child Pugh Maddrey Ranchos Rancho Ashworth Berg Tinetti Barthel Katz Lawton Hamilton
""")
"""People and places that live on as a disease, a sign, a score, a device. A name only where its neighbours say so."""

NOUNS = _words("""
disease syndrome sign signs test tests score scale stage staging grade class classification criteria index catheter catheters tube drain drains
lymphoma sarcoma tumor tumour carcinoma esophagus oesophagus palsy paralysis hernia fracture incision procedure maneuver manoeuvre method technique
position repair operation fundoplication chorea dementia thyroiditis phenomenon phenomena reflex reflexes point angle line lines node nodes
nodule nodules body bodies cell cells gland glands duct cyst cysts ulcer contracture deformity tendon tendinitis ligament canal area stain smear
solution lactate monitor protocol exam examination chart lamp forceps retractor retractors clamp clamps needle suture pin pins wire wires plate
nail rod brace collar splint boot bandage dressing stockings stocking filter shunt valve clip stent graft prosthesis lens inhaler diet fever
virus disorder ataxia anomaly malformation dystrophy neuropathy neuroma encephalopathy arthritis purpura vasculitis granulomatosis nephritis
macroglobulinemia tetralogy aneurysm hyperplasia bladder spasm pneumonia hemorrhage gangrene regimen formula equation law sulcus fissure
pouch diverticulum diverticula tear lesion septum block spots ring rings web triad pentad histology antibody antibodies antigen titer panel halo vest traction maneuvers respiration respirations breathing sling table thalassemia
""")
"""What follows an eponym: with one of these after it, a name is a term."""

_CALENDAR = _words("""
January February March April June July August September October November December Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec
Monday Tuesday Wednesday Thursday Friday Saturday Sunday Christmas Easter Thanksgiving
""")
FUNCTION_WORDS = _words("""
a an the this that these those some any each every either neither both all many much more most few fewer less least several other others another such same own
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself they them their theirs
themselves who whom whose which what whatever whoever whichever someone somebody something anyone anybody anything everyone everybody everything nobody
nothing none one ones two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
thirty forty fifty sixty seventy eighty ninety hundred thousand million first second third about above across after against along alongside amid among amongst around as at before behind below beneath beside besides between
beyond but by despite down during except for from in inside into like near of off on onto opposite out outside over past per regarding since than through
throughout till to toward towards under underneath unlike until unto up upon versus via with within without and or nor so yet if unless because although though
whereas while when whenever where wherever why how whether that be am is are was were been being have has had having do does did doing done can could might
must shall should would ought not no yes please there here then also just only even very too quite rather again once twice ever never always often now
""")
_PLACES = _words("""
Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii Idaho Illinois Indiana Iowa Kansas Kentucky Louisiana
Maine Maryland Massachusetts Michigan Minnesota Mississippi Missouri Montana Nebraska Nevada Ohio Oklahoma Oregon Pennsylvania Tennessee Texas
Utah Vermont Virginia Wisconsin Wyoming America Africa Asia Europe Canada Mexico China India Japan Korea Vietnam Iraq Iran Israel Jordan
Russia Germany France Spain Italy Ireland England Poland Turkey Greece Cuba Haiti Jamaica Brazil Chile Peru Guatemala Nicaragua Honduras
American African Asian European Mexican Chinese Indian Japanese Korean Vietnamese Russian German French Spanish Italian Irish English Polish
Albania Algeria Angola Argentina Armenia Australia Austria Azerbaijan Bangladesh Barbados Belarus Belgium Belize Bolivia Bosnia Bulgaria Cambodia Cameroon Colombia
Congo Croatia Cyprus Denmark Ecuador Egypt Eritrea Estonia Ethiopia Finland Gambia Ghana Guyana Hungary Iceland Indonesia Jamaica Kazakhstan Kenya Kuwait
Laos Latvia Lebanon Liberia Libya Lithuania Malaysia Mali Mongolia Morocco Mozambique Myanmar Nepal Netherlands Nigeria Norway Pakistan Palestine Panama Paraguay
Philippines Portugal Romania Rwanda Scotland Senegal Serbia Singapore Slovakia Slovenia Somalia Sudan Sweden Switzerland Syria Taiwan Tanzania Thailand Tunisia
Uganda Uruguay Uzbekistan Venezuela Wales Yemen Zambia Zimbabwe Britain Hispanic Latino Latina Caucasian Arabic Hindi Urdu Tagalog Portuguese Creole Cantonese Mandarin Catholic Christian Muslim Jewish Baptist
""")
DRUGS = _words("""
Allegra Ambien Aleve Advair Abilify Actos Adderall Arava Aricept Ativan Bactrim Benadryl Boniva Bumex Cardura Celexa Celebrex Cipro Claritin Colace Coreg
Cozaar Crestor Cymbalta Demerol Depakote Detrol Dilantin Dilaudid Diovan Effexor Elavil Eliquis Enbrel Evista Femara Flagyl Flexeril Flomax Flonase
Fosamax Haldol Humira Imdur Imitrex Januvia Keflex Keppra Klonopin Lamictal Lantus Lasix Levaquin Levemir Lexapro Lipitor Lopressor Lortab Lovenox
Lunesta Luvox Lyrica Mavik Mevacor Micardis Mirena Mobic Motrin Naprosyn Neurontin Nexium Norco Norvasc Nubain Orencia Paxil Percocet Plavix
Pravachol Premarin Prevacid Prilosec Pristiq Proscar Protonix Prozac Reglan Remeron Restoril Requip Rocephin Sinemet Singulair Skelaxin Soma
Synthroid Tamiflu Tegretol Tenormin Toprol Toradol Trazodone Tylenol Ultram Valium Valtrex Vasotec Viagra Vicodin Wellbutrin Xanax Xarelto Yasmin
Zantac Zestril Zithromax Zocor Zofran Zoloft Zometa Zosyn Zyprexa Zyrtec Alesse Asa Avelox Ceftin Medrol Marcaine Lidocaine Versed Ancef Anzemet
Armour Lescol Fortaz Tarka Ziac Xalatan Azopt Cosopt Elmiron Entocort Asacol Pentasa Azulfidine Fleet Dulcolax Ensure Boost Glucerna Pepto Tums
""")
_OTHER = _words("""
Medicare Medicaid Aetna Cigna Humana Kaiser Anthem Tricare Optum Optumrx Doctor Patient Nurse Guest Gallup Mac Ms Mr Mrs Dr Pt Pa Na Or An Ro Do Ed Er Gi Gu Ob
Al Bi Ca Di El Ha Hu Ii Iv Ix Vi Vii La Le Li Lo Lu Ma Me Mi Mo Mu My No Oh Ok Om Os Ot Po Re Sa Se So Su Ta Ti To Tu Un Ur Us Ve Wa We Xi Ya Yo
Gen Abd Pos Neg Rad Cor Lad Cad Ham Bun Mri Cat Pet Sat Pap Phi Tib Fib Met Vas Tab Tabs Cap Caps Nad Ros Hen Hent Heent Ext Neuro Skin Psych Osa
Mom Mama Papa Dad Grandma Sir Bud Hun Dear Son Bye Hi Okay Yeah Um Uh Hm Hmm Wow Gosh Uhm Aw Ah Ow Ouch Huh Hey Lemme Okey Yessir Pardon Mister Accutane Micronase Epi Jesus Lord God Thank Thanks Alright Sure Yep Nope
Titer Titers Bolus Boluses Nine Alpha Trunk Fossa Nares Labrum Fridge Condo Gravida Para Sulfa Labs Spina Alta Danish Swedish Dutch Norwegian Greek Hebrew Turkish Persian Thai Ukraine Ukrainian Gatorade Augmentin Mylanta Cetaphil Pedialyte
Axis Labor Pain Plan Vital Chief Ros Allergies Impression Assessment Palmer Latin Braille Tess Koch Cpr Ekg Ecg Lot Von Della Kit Chi Val Lee-Jones
Merlot Chardonnay Marlboro Camel Ford Honda Harley Davidson Chevrolet Chevy Cadillac Tesla Sears Costco Walmart Walgreens Kroger
""")
PROTECTED = frozenset(FUNCTION_WORDS | _CALENDAR | _PLACES | DRUGS | _OTHER)
"""No names by themselves. After a title, a label or as part of a full name they may be one all the same."""
