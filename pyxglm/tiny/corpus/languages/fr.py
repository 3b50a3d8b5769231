"""French."""

from __future__ import annotations

from pyxglm.tiny.corpus.language import language


def _of(name: str) -> str:
    """Return "du Japon", "de la France", "de l'Italie", "des États-Unis", "de Cuba"."""
    if name.startswith("le "):
        return "du " + name[3:]
    if name.startswith("les "):
        return "des " + name[4:]
    return "de " + name


def _in(name: str) -> str:
    """Return "au Japon", "en France", "en Italie", "aux États-Unis", "à Cuba"."""
    if name.startswith("les "):
        return "aux " + name[4:]
    if name.startswith("la "):
        return "en " + name[3:]
    if name.startswith("l'"):
        return "en " + name[2:]
    return "au " + name[3:] if name.startswith("le ") else "à " + name


def _bare(word: str) -> str:
    return word[2:] if word.startswith("l'") else word.split(" ", 1)[-1]


LANGUAGE = language(
    "fr",
    countries="""
jp le Japon = Tokyo
cn la Chine = Pékin
kr la Corée du Sud = Séoul
in l'Inde = New Delhi
th la Thaïlande = Bangkok
vn le Vietnam = Hanoï
id l'Indonésie = Jakarta
tr la Turquie = Ankara
iq l'Irak = Bagdad
ru la Russie = Moscou
de l'Allemagne = Berlin
fr la France = Paris
es l'Espagne = Madrid
it l'Italie = Rome
pt le Portugal = Lisbonne
gr la Grèce = Athènes
gb le Royaume-Uni = Londres
pl la Pologne = Varsovie
se la Suède = Stockholm
no la Norvège = Oslo
fi la Finlande = Helsinki
at l'Autriche = Vienne
eg l'Égypte = Le Caire
ma le Maroc = Rabat
ke le Kenya = Nairobi
us les États-Unis = Washington | | | les États-Unis sont
ca le Canada = Ottawa
mx le Mexique = Mexico
br le Brésil = Brasilia
ar l'Argentine = Buenos Aires
pe le Pérou = Lima
cu Cuba = La Havane
au l'Australie = Canberra
""",
    of=_of,
    within=_in,
    subject="{} est".format,
    continents="""
l'Asie | d'Asie
l'Europe | d'Europe
l'Afrique | d'Afrique
l'Amérique du Nord | d'Amérique du Nord
l'Amérique du Sud | d'Amérique du Sud
l'Océanie | d'Océanie
""",
    currencies="le_yen le_yuan le_won la_roupie le_baht le_dong la_roupie_indonésienne "
    "la_livre_turque le_dinar le_rouble l'euro la_livre le_zloty la_couronne le_dirham "
    "le_shilling le_dollar le_peso le_real le_sol",
    tongues="le_japonais le_chinois le_coréen l'hindi le_thaï le_vietnamien l'indonésien "
    "le_turc l'arabe le_russe l'allemand le_français l'espagnol l'italien le_portugais "
    "le_grec l'anglais le_polonais le_suédois le_norvégien le_swahili",
    into=lambda tongue: "en " + _bare(tongue),
    days="lundi mardi mercredi jeudi vendredi samedi dimanche",
    months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    numbers="zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
    "quinze seize dix-sept dix-huit dix-neuf vingt",
    opposites="grand petit chaud froid bon mauvais long court haut bas rapide lent fort "
    "faible riche pauvre facile difficile ouvert fermé plein vide propre sale sec mouillé "
    "large étroit heureux triste beau laid proche lointain nouveau vieux premier dernier vrai "
    "faux droit gauche dur mou",
    colours="rouge bleu vert jaune noir blanc gris marron orange",
    things="""
le ciel | bleu
la mer | bleue
l'herbe | verte
la grenouille | verte
la neige | blanche
le lait | blanc
le riz | blanc
le sang | rouge
la tomate | rouge
la fraise | rouge
le soleil | jaune
le citron | jaune
la banane | jaune
le charbon | noir
la nuit | noire
le corbeau | noir
l'éléphant | gris
la souris | grise
le chocolat | marron
la carotte | orange
""",
    animals="le_chien le_chat la_vache le_cheval le_lion l'éléphant le_loup l'ours l'aigle "
    "le_canard le_manchot le_hibou le_requin le_saumon le_serpent le_crocodile la_tortue "
    "l'abeille la_fourmi le_papillon",
    bare=_bare,
    classes="un_mammifère un_oiseau un_poisson un_reptile un_insecte",
    nouns="maison eau pain lait livre école soleil lune étoile arbre fleur feu main œil cœur "
    "mère père enfant ami homme femme roi ville rivière mer montagne porte table nuit année "
    "paix guerre amour musique riz thé pomme œuf sel sucre",
    phrases="""
Bonjour.
Bonne nuit.
Merci.
Oui.
Non.
Comment vas-tu ?
Je t'aime.
Où est la gare ?
J'ai faim.
Je ne comprends pas.
Je m'appelle Anna.
Je bois de l'eau.
Le chat boit du lait.
Le chien dort.
Je lis un livre.
La maison est grande.
L'eau est froide.
Le livre est nouveau.
Ma mère est ici.
Nous habitons dans une ville.
""",
    templates={
        "capital": (
            "La capitale {of} est {a}.",
            "La ville capitale {of} est {a}.",
            "Quelle est la capitale {of} ? {a}.",
            "Question : quelle est la capitale {of} ? Réponse : {a}.",
            "{In}, la capitale s'appelle {a}.",
            "{a} est la capitale {of}.",
            "{a} est une ville {of}.",
        ),
        "continent": (
            "{Subj} un pays {a2}.",
            "Le continent {of} est {a}.",
            "Question : sur quel continent se trouve la capitale {of} ? Réponse : {a}.",
            "Continent {of} : {a}.",
        ),
        "currency": (
            "La monnaie {of} est {a}.",
            "Quelle est la monnaie {of} ? {A}.",
            "Question : quelle monnaie utilise-t-on {in} ? Réponse : {a}.",
            "La monnaie utilisée {in} est {a}.",
        ),
        "tongue": (
            "La langue {of} est {a}.",
            "{In}, on parle {a}.",
            "Question : quelle langue parle-t-on {in} ? Réponse : {a}.",
            "La langue parlée {in} est {a}.",
        ),
        "after_day": (
            "Le jour après {x} est {a}.",
            "Après {x} vient {a}.",
            "Question : quel jour vient après {x} ? Réponse : {a}.",
        ),
        "before_day": (
            "Le jour avant {x} est {a}.",
            "Avant {x} vient {a}.",
            "Question : quel jour vient avant {x} ? Réponse : {a}.",
        ),
        "after_month": (
            "Le mois après {x} est {a}.",
            "Après le mois de {x} vient {a}.",
            "Question : quel mois vient après {x} ? Réponse : {a}.",
        ),
        "before_month": (
            "Le mois avant {x} est {a}.",
            "Avant le mois de {x} vient {a}.",
            "Question : quel mois vient avant {x} ? Réponse : {a}.",
        ),
        "month_number": (
            "Le mois numéro {x} de l'année est {a}.",
            "Question : quel est le mois numéro {x} ? Réponse : {a}.",
            "Le mois qui porte le numéro {x} est {a}.",
        ),
        "spell": (
            "Le nombre {x} s'écrit {a}.",
            "En lettres, {x} s'écrit {a}.",
            "Question : comment écrit-on {x} en lettres ? Réponse : {a}.",
        ),
        "digits": (
            "En chiffres, {x} s'écrit {a}.",
            "Le mot {x} désigne le nombre {a}.",
            "Question : comment écrit-on {x} en chiffres ? Réponse : {a}.",
        ),
        "sum": (
            "{x} plus {y} font {a}.",
            "La somme de {x} et de {y} est {a}.",
            "{Wx} plus {wy} font {a2}.",
            "Question : combien font {x} plus {y} ? Réponse : {a}.",
        ),
        "difference": (
            "{x} moins {y} font {a}.",
            "La différence entre {x} et {y} est {a}.",
            "Question : combien font {x} moins {y} ? Réponse : {a}.",
        ),
        "opposite": (
            "Le contraire de « {x} » est « {a} ».",
            "Question : quel est le contraire de « {x} » ? Réponse : {a}.",
            "« {X} » est l'opposé de « {a} ».",
            "Si ce n'est pas {x}, c'est {a}.",
        ),
        "colour": (
            "{X} est {a}.",
            "Couleur : {x} est {a}.",
            "Question : de quelle couleur est {x} ? Réponse : {a}.",
            "Tout le monde sait que {x} est {a}.",
        ),
        "class": (
            "En biologie, {x} est {a}.",
            "Question : {x}, qu'est-ce que c'est ? Réponse : {a}.",
            "Nous savons que {x} est {a}.",
            "Parmi les animaux, {x} est {a}.",
        ),
        "translate": (
            "« {x} » {into} : {a}.",
            "{Into}, « {x} » se dit {a}.",
            "Question : comment dit-on « {x} » {into} ? Réponse : {a}.",
        ),
    },
)
