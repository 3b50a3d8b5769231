"""Spanish."""

from __future__ import annotations

from pyxglm.tiny.corpus.language import language


def _bare(word: str) -> str:
    return word.split(" ", 1)[-1]


LANGUAGE = language(
    "es",
    countries="""
jp Japón = Tokio
cn China = Pekín
kr Corea del Sur = Seúl
in India = Nueva Delhi | de la India | en la India | la India es
th Tailandia = Bangkok
vn Vietnam = Hanói
id Indonesia = Yakarta
tr Turquía = Ankara
iq Irak = Bagdad
ru Rusia = Moscú
de Alemania = Berlín
fr Francia = París
es España = Madrid
it Italia = Roma
pt Portugal = Lisboa
gr Grecia = Atenas
gb el Reino Unido = Londres | del Reino Unido
pl Polonia = Varsovia
se Suecia = Estocolmo
no Noruega = Oslo
fi Finlandia = Helsinki
at Austria = Viena
eg Egipto = El Cairo
ma Marruecos = Rabat
ke Kenia = Nairobi
us Estados Unidos = Washington
ca Canadá = Ottawa
mx México = Ciudad de México
br Brasil = Brasilia
ar Argentina = Buenos Aires
pe Perú = Lima
cu Cuba = La Habana
au Australia = Canberra
""",
    of="de {}".format,
    within="en {}".format,
    subject="{} es".format,
    continents="""
Asia | de Asia
Europa | de Europa
África | de África
América del Norte | de América del Norte
América del Sur | de América del Sur
Oceanía | de Oceanía
""",
    currencies="el_yen el_yuan el_won la_rupia el_baht el_dong la_rupia_indonesia la_lira "
    "el_dinar el_rublo el_euro la_libra el_esloti la_corona el_dírham el_chelín el_dólar "
    "el_peso el_real el_sol",
    tongues="el_japonés el_chino el_coreano el_hindi el_tailandés el_vietnamita el_indonesio "
    "el_turco el_árabe el_ruso el_alemán el_francés el_español el_italiano el_portugués "
    "el_griego el_inglés el_polaco el_sueco el_noruego el_suajili",
    into=lambda tongue: "en " + _bare(tongue),
    days="el_lunes el_martes el_miércoles el_jueves el_viernes el_sábado el_domingo",
    after_days="lunes martes miércoles jueves viernes sábado domingo",
    months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    numbers="cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece "
    "catorce quince dieciséis diecisiete dieciocho diecinueve veinte",
    opposites="grande pequeño caliente frío bueno malo largo corto alto bajo rápido lento "
    "fuerte débil rico pobre fácil difícil abierto cerrado lleno vacío limpio sucio seco "
    "mojado ancho estrecho feliz triste bonito feo cercano lejano nuevo viejo primero último "
    "verdadero falso derecho izquierdo duro blando",
    colours="rojo azul verde amarillo negro blanco gris marrón naranja",
    things="""
el cielo | azul
el mar | azul
la hierba | verde
la rana | verde
la nieve | blanca
la leche | blanca
el arroz | blanco
la sangre | roja
el tomate | rojo
la fresa | roja
el sol | amarillo
el limón | amarillo
el plátano | amarillo
el carbón | negro
la noche | negra
el cuervo | negro
el elefante | gris
el ratón | gris
el chocolate | marrón
la zanahoria | naranja
""",
    animals="el_perro el_gato la_vaca el_caballo el_león el_elefante el_lobo el_oso el_águila "
    "el_pato el_pingüino el_búho el_tiburón el_salmón la_serpiente el_cocodrilo la_tortuga "
    "la_abeja la_hormiga la_mariposa",
    bare=_bare,
    classes="un_mamífero un_ave un_pez un_reptil un_insecto",
    nouns="casa agua pan leche libro escuela sol luna estrella árbol flor fuego mano ojo "
    "corazón madre padre niño amigo hombre mujer rey ciudad río mar montaña puerta mesa noche "
    "año paz guerra amor música arroz té manzana huevo sal azúcar",
    phrases="""
Buenos días.
Buenas noches.
Gracias.
Sí.
No.
¿Cómo estás?
Te quiero.
¿Dónde está la estación?
Tengo hambre.
No entiendo.
Me llamo Anna.
Bebo agua.
El gato bebe leche.
El perro duerme.
Leo un libro.
La casa es grande.
El agua está fría.
El libro es nuevo.
Mi madre está aquí.
Vivimos en una ciudad.
""",
    templates={
        "capital": (
            "La capital {of} es {a}.",
            "La ciudad capital {of} es {a}.",
            "¿Cuál es la capital {of}? {a}.",
            "Pregunta: ¿cuál es la capital {of}? Respuesta: {a}.",
            "{In}, la capital se llama {a}.",
            "{a} es la capital {of}.",
            "{a} es una ciudad {of}.",
        ),
        "continent": (
            "{Subj} un país {a2}.",
            "El continente {of} es {a}.",
            "Pregunta: ¿en qué continente está la capital {of}? Respuesta: {a}.",
            "Continente {of}: {a}.",
        ),
        "currency": (
            "La moneda {of} es {a}.",
            "¿Cuál es la moneda {of}? {A}.",
            "Pregunta: ¿qué moneda se usa {in}? Respuesta: {a}.",
            "La moneda que se usa {in} es {a}.",
        ),
        "tongue": (
            "La lengua {of} es {a}.",
            "{In} la gente habla {a}.",
            "Pregunta: ¿qué lengua se habla {in}? Respuesta: {a}.",
            "La lengua que se habla {in} es {a}.",
        ),
        "after_day": (
            "El día después del {x} es {a}.",
            "Después del {x} viene {a}.",
            "Pregunta: ¿qué día viene después del {x}? Respuesta: {a}.",
        ),
        "before_day": (
            "El día antes del {x} es {a}.",
            "Antes del {x} viene {a}.",
            "Pregunta: ¿qué día viene antes del {x}? Respuesta: {a}.",
        ),
        "after_month": (
            "El mes después de {x} es {a}.",
            "Después del mes de {x} viene {a}.",
            "Pregunta: ¿qué mes viene después de {x}? Respuesta: {a}.",
        ),
        "before_month": (
            "El mes antes de {x} es {a}.",
            "Antes del mes de {x} viene {a}.",
            "Pregunta: ¿qué mes viene antes de {x}? Respuesta: {a}.",
        ),
        "month_number": (
            "El mes número {x} del año es {a}.",
            "Pregunta: ¿cuál es el mes número {x}? Respuesta: {a}.",
            "El mes que lleva el número {x} es {a}.",
        ),
        "spell": (
            "El número {x} se escribe {a}.",
            "En letras, {x} se escribe {a}.",
            "Pregunta: ¿cómo se escribe {x} en letras? Respuesta: {a}.",
        ),
        "digits": (
            "En cifras, {x} se escribe {a}.",
            "La palabra {x} significa el número {a}.",
            "Pregunta: ¿cómo se escribe {x} en cifras? Respuesta: {a}.",
        ),
        "sum": (
            "{x} más {y} son {a}.",
            "La suma de {x} y {y} es {a}.",
            "{Wx} más {wy} son {a2}.",
            "Pregunta: ¿cuánto es {x} más {y}? Respuesta: {a}.",
        ),
        "difference": (
            "{x} menos {y} son {a}.",
            "La diferencia entre {x} y {y} es {a}.",
            "Pregunta: ¿cuánto es {x} menos {y}? Respuesta: {a}.",
        ),
        "opposite": (
            "Lo contrario de {x} es {a}.",
            "Pregunta: ¿qué es lo contrario de {x}? Respuesta: {a}.",
            "El antónimo de {x} es {a}.",
            "Si no es {x}, es {a}.",
        ),
        "colour": (
            "{X} es {a}.",
            "Color: {x} es {a}.",
            "Pregunta: ¿de qué color es {x}? Respuesta: {a}.",
            "Todos saben que {x} es {a}.",
        ),
        "class": (
            "En biología, {x} es {a}.",
            "Pregunta: ¿qué es {x}? Respuesta: {a}.",
            "Sabemos que {x} es {a}.",
            "Entre los animales, {x} es {a}.",
        ),
        "translate": (
            "{x} {into} es {a}.",
            "{Into}, {x} se dice {a}.",
            "Pregunta: ¿cómo se dice {x} {into}? Respuesta: {a}.",
        ),
    },
)
