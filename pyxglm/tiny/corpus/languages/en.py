"""English."""

from __future__ import annotations

from pyxglm.tiny.corpus.language import language

LANGUAGE = language(
    "en",
    countries="""
jp Japan = Tokyo
cn China = Beijing
kr South Korea = Seoul
in India = New Delhi
th Thailand = Bangkok
vn Vietnam = Hanoi
id Indonesia = Jakarta
tr Turkey = Ankara
iq Iraq = Baghdad
ru Russia = Moscow
de Germany = Berlin
fr France = Paris
es Spain = Madrid
it Italy = Rome
pt Portugal = Lisbon
gr Greece = Athens
gb the United Kingdom = London
pl Poland = Warsaw
se Sweden = Stockholm
no Norway = Oslo
fi Finland = Helsinki
at Austria = Vienna
eg Egypt = Cairo
ma Morocco = Rabat
ke Kenya = Nairobi
us the United States = Washington
ca Canada = Ottawa
mx Mexico = Mexico City
br Brazil = Brasilia
ar Argentina = Buenos Aires
pe Peru = Lima
cu Cuba = Havana
au Australia = Canberra
""",
    of="of {}".format,
    within="in {}".format,
    subject="{} is".format,
    continents="""
Asia | in Asia
Europe | in Europe
Africa | in Africa
North America | in North America
South America | in South America
Oceania | in Oceania
""",
    currencies="the_yen the_yuan the_won the_rupee the_baht the_dong the_rupiah the_lira "
    "the_dinar the_ruble the_euro the_pound the_zloty the_krona the_dirham the_shilling "
    "the_dollar the_peso the_real the_sol",
    tongues="Japanese Chinese Korean Hindi Thai Vietnamese Indonesian Turkish Arabic Russian "
    "German French Spanish Italian Portuguese Greek English Polish Swedish Norwegian Swahili",
    into="in {}".format,
    days="Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    months="January February March April May June July August September October November December",
    numbers="zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty",
    opposites="big small hot cold good bad long short high low fast slow strong weak rich "
    "poor easy difficult open closed full empty clean dirty dry wet wide narrow happy sad "
    "beautiful ugly near far new old first last true false right left hard soft",
    colours="red blue green yellow black white grey brown orange",
    things="""
the sky | blue
the sea | blue
the grass | green
the frog | green
the snow | white
the milk | white
the rice | white
the blood | red
the tomato | red
the strawberry | red
the sun | yellow
the lemon | yellow
the banana | yellow
the coal | black
the night | black
the crow | black
the elephant | grey
the mouse | grey
the chocolate | brown
the carrot | orange
""",
    animals="the_dog the_cat the_cow the_horse the_lion the_elephant the_wolf the_bear "
    "the_eagle the_duck the_penguin the_owl the_shark the_salmon the_snake the_crocodile "
    "the_turtle the_bee the_ant the_butterfly",
    bare=lambda word: word.removeprefix("the "),
    classes="a_mammal a_bird a_fish a_reptile an_insect",
    nouns="house water bread milk book school sun moon star tree flower fire hand eye heart "
    "mother father child friend man woman king city river sea mountain door table night year "
    "peace war love music rice tea apple egg salt sugar",
    phrases="""
Good morning.
Good night.
Thank you.
Yes.
No.
How are you?
I love you.
Where is the station?
I am hungry.
I do not understand.
My name is Anna.
I drink water.
The cat drinks milk.
The dog sleeps.
I read a book.
The house is big.
The water is cold.
The book is new.
My mother is here.
We live in a city.
""",
    templates={
        "capital": (
            "The capital {of} is {a}.",
            "The capital city {of} is {a}.",
            "What is the capital {of}? {a}.",
            "Question: what is the capital {of}? Answer: {a}.",
            "{Name} has its capital in {a}.",
            "{a} is the capital {of}.",
            "{a} is a city {in}.",
        ),
        "continent": (
            "{Subj} a country {a2}.",
            "{Subj} part of {a}.",
            "Question: on which continent is {name}? Answer: {a}.",
            "The continent {of} is {a}.",
        ),
        "currency": (
            "The currency {of} is {a}.",
            "What is the currency {of}? {A}.",
            "Question: what money is used {in}? Answer: {a}.",
            "The money used {in} is {a}.",
        ),
        "tongue": (
            "The language {of} is {a}.",
            "Most people {in} speak {a}.",
            "Question: which language is spoken {in}? Answer: {a}.",
            "The language spoken {in} is {a}.",
        ),
        "after_day": (
            "The day after {x} is {a}.",
            "After {x} comes {a}.",
            "Question: which day comes after {x}? Answer: {a}.",
        ),
        "before_day": (
            "The day before {x} is {a}.",
            "Before {x} comes {a}.",
            "Question: which day comes before {x}? Answer: {a}.",
        ),
        "after_month": (
            "The month after {x} is {a}.",
            "After the month of {x} comes {a}.",
            "Question: which month comes after {x}? Answer: {a}.",
        ),
        "before_month": (
            "The month before {x} is {a}.",
            "Before the month of {x} comes {a}.",
            "Question: which month comes before {x}? Answer: {a}.",
        ),
        "month_number": (
            "Month number {x} of the year is {a}.",
            "Question: which is month number {x}? Answer: {a}.",
            "The month with the number {x} is {a}.",
        ),
        "spell": (
            "The number {x} is written {a}.",
            "In words, {x} is {a}.",
            "Question: how do you write {x} in words? Answer: {a}.",
        ),
        "digits": (
            "In digits, {x} is {a}.",
            "The word {x} means the number {a}.",
            "Question: how do you write {x} in digits? Answer: {a}.",
        ),
        "sum": (
            "{x} plus {y} is {a}.",
            "The sum of {x} and {y} is {a}.",
            "{Wx} plus {wy} is {a2}.",
            "Question: how much is {x} plus {y}? Answer: {a}.",
        ),
        "difference": (
            "{x} minus {y} is {a}.",
            "The difference of {x} and {y} is {a}.",
            "Question: how much is {x} minus {y}? Answer: {a}.",
        ),
        "opposite": (
            "The opposite of {x} is {a}.",
            "Question: what is the opposite of {x}? Answer: {a}.",
            "The contrary of {x} is {a}.",
            "If it is not {x}, it is {a}.",
        ),
        "colour": (
            "{X} is {a}.",
            "The colour of {x} is {a}.",
            "Question: what colour is {x}? Answer: {a}.",
            "Everybody knows that {x} is {a}.",
        ),
        "class": (
            "In biology, {x} is {a}.",
            "Question: what is {x}? Answer: {a}.",
            "We know that {x} is {a}.",
            "Among the animals, {x} is {a}.",
        ),
        "translate": (
            "{x} {into} is {a}.",
            "{Into}, {x} is called {a}.",
            "Question: what is {x} {into}? Answer: {a}.",
        ),
    },
)
