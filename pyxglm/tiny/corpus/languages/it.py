"""Italian."""

from __future__ import annotations

from pyxglm.tiny.corpus.language import language


def _of(name: str) -> str:
    """Return "del Giappone", "della Cina", "dell'India", "degli Stati Uniti", "di Cuba"."""
    for article, joined in (
        ("il ", "del "),
        ("la ", "della "),
        ("l'", "dell'"),
        ("gli ", "degli "),
    ):
        if name.startswith(article):
            return joined + name[len(article) :]
    return "di " + name


def _in(name: str) -> str:
    """Return "in Giappone": most countries lose their article after "in"."""
    return "in " + _bare(name)


def _bare(word: str) -> str:
    return word[2:] if word.startswith("l'") else word.split(" ", 1)[-1]


LANGUAGE = language(
    "it",
    countries="""
jp il Giappone = Tokyo
cn la Cina = Pechino
kr la Corea del Sud = Seul
in l'India = Nuova Delhi
th la Thailandia = Bangkok
vn il Vietnam = Hanoi
id l'Indonesia = Giacarta
tr la Turchia = Ankara
iq l'Iraq = Baghdad
ru la Russia = Mosca
de la Germania = Berlino
fr la Francia = Parigi
es la Spagna = Madrid
it l'Italia = Roma
pt il Portogallo = Lisbona
gr la Grecia = Atene
gb il Regno Unito = Londra | | nel Regno Unito
pl la Polonia = Varsavia
se la Svezia = Stoccolma
no la Norvegia = Oslo
fi la Finlandia = Helsinki
at l'Austria = Vienna
eg l'Egitto = Il Cairo
ma il Marocco = Rabat
ke il Kenya = Nairobi
us gli Stati Uniti = Washington | | negli Stati Uniti | gli Stati Uniti sono
ca il Canada = Ottawa
mx il Messico = Città del Messico
br il Brasile = Brasilia
ar l'Argentina = Buenos Aires
pe il Perù = Lima
cu Cuba = L'Avana | | a Cuba
au l'Australia = Canberra
""",
    of=_of,
    within=_in,
    subject="{} è".format,
    continents="""
l'Asia | dell'Asia
l'Europa | dell'Europa
l'Africa | dell'Africa
l'America del Nord | dell'America del Nord
l'America del Sud | dell'America del Sud
l'Oceania | dell'Oceania
""",
    currencies="lo_yen lo_yuan il_won la_rupia il_baht il_dong la_rupia_indonesiana la_lira "
    "il_dinaro il_rublo l'euro la_sterlina lo_zloty la_corona il_dirham lo_scellino "
    "il_dollaro il_peso il_real il_sol",
    tongues="il_giapponese il_cinese il_coreano l'hindi il_thailandese il_vietnamita "
    "l'indonesiano il_turco l'arabo il_russo il_tedesco il_francese lo_spagnolo l'italiano "
    "il_portoghese il_greco l'inglese il_polacco lo_svedese il_norvegese lo_swahili",
    into=lambda tongue: "in " + _bare(tongue),
    days="lunedì martedì mercoledì giovedì venerdì sabato domenica",
    months="gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre "
    "novembre dicembre",
    numbers="zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici "
    "quattordici quindici sedici diciassette diciotto diciannove venti",
    opposites="grande piccolo caldo freddo buono cattivo lungo corto alto basso veloce lento "
    "forte debole ricco povero facile difficile aperto chiuso pieno vuoto pulito sporco "
    "asciutto bagnato largo stretto felice triste bello brutto vicino lontano nuovo vecchio "
    "primo ultimo vero falso destro sinistro duro morbido",
    colours="rosso blu verde giallo nero bianco grigio marrone arancione",
    things="""
il cielo | blu
il mare | blu
l'erba | verde
la rana | verde
la neve | bianca
il latte | bianco
il riso | bianco
il sangue | rosso
il pomodoro | rosso
la fragola | rossa
il sole | giallo
il limone | giallo
la banana | gialla
il carbone | nero
la notte | nera
il corvo | nero
l'elefante | grigio
il topo | grigio
il cioccolato | marrone
la carota | arancione
""",
    animals="il_cane il_gatto la_mucca il_cavallo il_leone l'elefante il_lupo l'orso l'aquila "
    "l'anatra il_pinguino il_gufo lo_squalo il_salmone il_serpente il_coccodrillo "
    "la_tartaruga l'ape la_formica la_farfalla",
    bare=_bare,
    classes="un_mammifero un_uccello un_pesce un_rettile un_insetto",
    nouns="casa acqua pane latte libro scuola sole luna stella albero fiore fuoco mano occhio "
    "cuore madre padre bambino amico uomo donna re città fiume mare montagna porta tavolo "
    "notte anno pace guerra amore musica riso tè mela uovo sale zucchero",
    phrases="""
Buongiorno.
Buonanotte.
Grazie.
Sì.
No.
Come stai?
Ti amo.
Dov'è la stazione?
Ho fame.
Non capisco.
Mi chiamo Anna.
Bevo acqua.
Il gatto beve il latte.
Il cane dorme.
Leggo un libro.
La casa è grande.
L'acqua è fredda.
Il libro è nuovo.
Mia madre è qui.
Abitiamo in una città.
""",
    templates={
        "capital": (
            "La capitale {of} è {a}.",
            "La città capitale {of} è {a}.",
            "Qual è la capitale {of}? {a}.",
            "Domanda: qual è la capitale {of}? Risposta: {a}.",
            "{In} la capitale si chiama {a}.",
            "{a} è la capitale {of}.",
            "{a} è una città {of}.",
        ),
        "continent": (
            "{Subj} un paese {a2}.",
            "Il continente {of} è {a}.",
            "Domanda: in quale continente si trova la capitale {of}? Risposta: {a}.",
            "Continente {of}: {a}.",
        ),
        "currency": (
            "La moneta {of} è {a}.",
            "Qual è la moneta {of}? {A}.",
            "Domanda: quale moneta si usa {in}? Risposta: {a}.",
            "La moneta usata {in} è {a}.",
        ),
        "tongue": (
            "La lingua {of} è {a}.",
            "{In} si parla {a}.",
            "Domanda: quale lingua si parla {in}? Risposta: {a}.",
            "La lingua parlata {in} è {a}.",
        ),
        "after_day": (
            "Il giorno dopo {x} è {a}.",
            "Dopo {x} viene {a}.",
            "Domanda: quale giorno viene dopo {x}? Risposta: {a}.",
        ),
        "before_day": (
            "Il giorno prima di {x} è {a}.",
            "Prima di {x} viene {a}.",
            "Domanda: quale giorno viene prima di {x}? Risposta: {a}.",
        ),
        "after_month": (
            "Il mese dopo {x} è {a}.",
            "Dopo il mese di {x} viene {a}.",
            "Domanda: quale mese viene dopo {x}? Risposta: {a}.",
        ),
        "before_month": (
            "Il mese prima di {x} è {a}.",
            "Prima del mese di {x} viene {a}.",
            "Domanda: quale mese viene prima di {x}? Risposta: {a}.",
        ),
        "month_number": (
            "Il mese numero {x} dell'anno è {a}.",
            "Domanda: qual è il mese numero {x}? Risposta: {a}.",
            "Il mese che porta il numero {x} è {a}.",
        ),
        "spell": (
            "Il numero {x} si scrive {a}.",
            "In lettere, {x} si scrive {a}.",
            "Domanda: come si scrive {x} in lettere? Risposta: {a}.",
        ),
        "digits": (
            "In cifre, {x} si scrive {a}.",
            "La parola {x} significa il numero {a}.",
            "Domanda: come si scrive {x} in cifre? Risposta: {a}.",
        ),
        "sum": (
            "{x} più {y} fa {a}.",
            "La somma di {x} e {y} è {a}.",
            "{Wx} più {wy} fa {a2}.",
            "Domanda: quanto fa {x} più {y}? Risposta: {a}.",
        ),
        "difference": (
            "{x} meno {y} fa {a}.",
            "La differenza tra {x} e {y} è {a}.",
            "Domanda: quanto fa {x} meno {y}? Risposta: {a}.",
        ),
        "opposite": (
            "Il contrario di {x} è {a}.",
            "Domanda: qual è il contrario di {x}? Risposta: {a}.",
            "L'opposto di {x} è {a}.",
            "Se non è {x}, è {a}.",
        ),
        "colour": (
            "{X} è {a}.",
            "Colore: {x} è {a}.",
            "Domanda: di che colore è {x}? Risposta: {a}.",
            "Tutti sanno che {x} è {a}.",
        ),
        "class": (
            "In biologia, {x} è {a}.",
            "Domanda: che cos'è {x}? Risposta: {a}.",
            "Sappiamo che {x} è {a}.",
            "Tra gli animali, {x} è {a}.",
        ),
        "translate": (
            "{x} {into} è {a}.",
            "{Into}, {x} si dice {a}.",
            "Domanda: come si dice {x} {into}? Risposta: {a}.",
        ),
    },
)
