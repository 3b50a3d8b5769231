"""German."""

from __future__ import annotations

from pyxglm.tiny.corpus.language import language


def _bare(word: str) -> str:
    return word.split(" ", 1)[-1]


LANGUAGE = language(
    "de",
    countries="""
jp Japan = Tokio
cn China = Peking
kr Südkorea = Seoul
in Indien = Neu-Delhi
th Thailand = Bangkok
vn Vietnam = Hanoi
id Indonesien = Jakarta
tr die Türkei = Ankara | der Türkei | in der Türkei
iq der Irak = Bagdad | des Irak | im Irak
ru Russland = Moskau
de Deutschland = Berlin
fr Frankreich = Paris
es Spanien = Madrid
it Italien = Rom
pt Portugal = Lissabon
gr Griechenland = Athen
gb das Vereinigte Königreich = London | des Vereinigten Königreichs | im Vereinigten Königreich
pl Polen = Warschau
se Schweden = Stockholm
no Norwegen = Oslo
fi Finnland = Helsinki
at Österreich = Wien
eg Ägypten = Kairo
ma Marokko = Rabat
ke Kenia = Nairobi
us die USA = Washington | der USA | in den USA | die USA sind
ca Kanada = Ottawa
mx Mexiko = Mexiko-Stadt
br Brasilien = Brasilia
ar Argentinien = Buenos Aires
pe Peru = Lima
cu Kuba = Havanna
au Australien = Canberra
""",
    of="von {}".format,
    within="in {}".format,
    subject="{} ist".format,
    continents="""
Asien | in Asien
Europa | in Europa
Afrika | in Afrika
Nordamerika | in Nordamerika
Südamerika | in Südamerika
Ozeanien | in Ozeanien
""",
    currencies="der_Yen der_Yuan der_Won die_Rupie der_Baht der_Dong die_Rupiah die_Lira "
    "der_Dinar der_Rubel der_Euro das_Pfund der_Zloty die_Krone der_Dirham der_Schilling "
    "der_Dollar der_Peso der_Real der_Sol",
    tongues="Japanisch Chinesisch Koreanisch Hindi Thai Vietnamesisch Indonesisch Türkisch "
    "Arabisch Russisch Deutsch Französisch Spanisch Italienisch Portugiesisch Griechisch "
    "Englisch Polnisch Schwedisch Norwegisch Suaheli",
    into="auf {}".format,
    days="Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    months="Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    numbers="null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn "
    "vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig",
    opposites="groß klein heiß kalt gut schlecht lang kurz hoch niedrig schnell langsam stark "
    "schwach reich arm einfach schwierig offen geschlossen voll leer sauber schmutzig trocken "
    "nass breit schmal glücklich traurig schön hässlich nah fern neu alt erste letzte wahr "
    "falsch rechts links hart weich",
    colours="rot blau grün gelb schwarz weiß grau braun orange",
    things="""
der Himmel | blau
das Meer | blau
das Gras | grün
der Frosch | grün
der Schnee | weiß
die Milch | weiß
der Reis | weiß
das Blut | rot
die Tomate | rot
die Erdbeere | rot
die Sonne | gelb
die Zitrone | gelb
die Banane | gelb
die Kohle | schwarz
die Nacht | schwarz
die Krähe | schwarz
der Elefant | grau
die Maus | grau
die Schokolade | braun
die Karotte | orange
""",
    animals="der_Hund die_Katze die_Kuh das_Pferd der_Löwe der_Elefant der_Wolf der_Bär "
    "der_Adler die_Ente der_Pinguin die_Eule der_Hai der_Lachs die_Schlange das_Krokodil "
    "die_Schildkröte die_Biene die_Ameise der_Schmetterling",
    bare=_bare,
    classes="ein_Säugetier ein_Vogel ein_Fisch ein_Reptil ein_Insekt",
    nouns="Haus Wasser Brot Milch Buch Schule Sonne Mond Stern Baum Blume Feuer Hand Auge "
    "Herz Mutter Vater Kind Freund Mann Frau König Stadt Fluss Meer Berg Tür Tisch Nacht Jahr "
    "Frieden Krieg Liebe Musik Reis Tee Apfel Ei Salz Zucker",
    phrases="""
Guten Morgen.
Gute Nacht.
Danke.
Ja.
Nein.
Wie geht es dir?
Ich liebe dich.
Wo ist der Bahnhof?
Ich habe Hunger.
Ich verstehe nicht.
Ich heiße Anna.
Ich trinke Wasser.
Die Katze trinkt Milch.
Der Hund schläft.
Ich lese ein Buch.
Das Haus ist groß.
Das Wasser ist kalt.
Das Buch ist neu.
Meine Mutter ist hier.
Wir wohnen in einer Stadt.
""",
    templates={
        "capital": (
            "Die Hauptstadt {of} ist {a}.",
            "{In} heißt die Hauptstadt {a}.",
            "Was ist die Hauptstadt {of}? {a}.",
            "Frage: Wie heißt die Hauptstadt {of}? Antwort: {a}.",
            "Hauptstadt {of}: {a}.",
            "{a} ist die Hauptstadt {of}.",
            "{a} ist eine Stadt {in}.",
        ),
        "continent": (
            "{Subj} ein Land {a2}.",
            "Der Kontinent {of} ist {a}.",
            "Frage: Auf welchem Kontinent liegt die Hauptstadt {of}? Antwort: {a}.",
            "Kontinent {of}: {a}.",
        ),
        "currency": (
            "Die Währung {of} ist {a}.",
            "Was ist die Währung {of}? {A}.",
            "Frage: Welche Währung gibt es {in}? Antwort: {a}.",
            "Die Währung {in} ist {a}.",
        ),
        "tongue": (
            "Die Sprache {of} ist {a}.",
            "{In} spricht man {a}.",
            "Frage: Welche Sprache spricht man {in}? Antwort: {a}.",
            "Die Sprache {in} ist {a}.",
        ),
        "after_day": (
            "Der Tag nach {x} ist {a}.",
            "Nach {x} kommt {a}.",
            "Frage: Welcher Tag kommt nach {x}? Antwort: {a}.",
        ),
        "before_day": (
            "Der Tag vor {x} ist {a}.",
            "Vor {x} kommt {a}.",
            "Frage: Welcher Tag kommt vor {x}? Antwort: {a}.",
        ),
        "after_month": (
            "Der Monat nach {x} ist {a}.",
            "Nach dem Monat {x} kommt {a}.",
            "Frage: Welcher Monat kommt nach {x}? Antwort: {a}.",
        ),
        "before_month": (
            "Der Monat vor {x} ist {a}.",
            "Vor dem Monat {x} kommt {a}.",
            "Frage: Welcher Monat kommt vor {x}? Antwort: {a}.",
        ),
        "month_number": (
            "Monat Nummer {x} des Jahres ist {a}.",
            "Frage: Wie heißt Monat Nummer {x}? Antwort: {a}.",
            "Der Monat mit der Nummer {x} ist {a}.",
        ),
        "spell": (
            "Die Zahl {x} schreibt man {a}.",
            "In Worten ist {x} {a}.",
            "Frage: Wie schreibt man {x} in Worten? Antwort: {a}.",
        ),
        "digits": (
            "In Ziffern ist {x} {a}.",
            "Das Wort {x} bedeutet die Zahl {a}.",
            "Frage: Wie schreibt man {x} in Ziffern? Antwort: {a}.",
        ),
        "sum": (
            "{x} plus {y} ist {a}.",
            "Die Summe von {x} und {y} ist {a}.",
            "{Wx} plus {wy} ist {a2}.",
            "Frage: Wie viel ist {x} plus {y}? Antwort: {a}.",
        ),
        "difference": (
            "{x} minus {y} ist {a}.",
            "Die Differenz von {x} und {y} ist {a}.",
            "Frage: Wie viel ist {x} minus {y}? Antwort: {a}.",
        ),
        "opposite": (
            "Das Gegenteil von {x} ist {a}.",
            "Frage: Was ist das Gegenteil von {x}? Antwort: {a}.",
            "Gegenteil von {x}: {a}.",
            "Nicht {x}, sondern {a}.",
        ),
        "colour": (
            "{X} ist {a}.",
            "Farbe: {x} ist {a}.",
            "Frage: Welche Farbe hat das? {X} ist {a}.",
            "Alle wissen: {x} ist {a}.",
        ),
        "class": (
            "In der Biologie ist {x} {a}.",
            "Frage: Was ist {x}? Antwort: {a}.",
            "Wir wissen: {x} ist {a}.",
            "Unter den Tieren ist {x} {a}.",
        ),
        "translate": (
            "{x} {into} ist {a}.",
            "{Into} heißt {x} {a}.",
            "Frage: Was heißt {x} {into}? Antwort: {a}.",
        ),
    },
)
