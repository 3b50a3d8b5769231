"""Portuguese."""

from __future__ import annotations

from pyxglm.tiny.corpus.language import language


def _joined(preposition: str, name: str) -> str:
    """Return "do Japão", "nos Estados Unidos": preposition and article in one; bare "de Cuba"."""
    article, _, rest = name.partition(" ")
    if article in ("o", "a", "os", "as"):
        return f"{'d' if preposition == 'de' else 'n'}{article} {rest}"
    return f"{preposition} {name}"


def _bare(word: str) -> str:
    return word.split(" ", 1)[-1]


LANGUAGE = language(
    "pt",
    countries="""
jp o Japão = Tóquio
cn a China = Pequim
kr a Coreia do Sul = Seul
in a Índia = Nova Deli
th a Tailândia = Bangkok
vn o Vietname = Hanói
id a Indonésia = Jacarta
tr a Turquia = Ancara
iq o Iraque = Bagdade
ru a Rússia = Moscovo
de a Alemanha = Berlim
fr a França = Paris
es a Espanha = Madrid
it a Itália = Roma
pt Portugal = Lisboa
gr a Grécia = Atenas
gb o Reino Unido = Londres
pl a Polónia = Varsóvia
se a Suécia = Estocolmo
no a Noruega = Oslo
fi a Finlândia = Helsínquia
at a Áustria = Viena
eg o Egito = Cairo
ma Marrocos = Rabat
ke o Quénia = Nairobi
us os Estados Unidos = Washington | | | os Estados Unidos são
ca o Canadá = Ottawa
mx o México = Cidade do México
br o Brasil = Brasília
ar a Argentina = Buenos Aires
pe o Peru = Lima
cu Cuba = Havana
au a Austrália = Camberra
""",
    of=lambda name: _joined("de", name),
    within=lambda name: _joined("em", name),
    subject="{} é".format,
    continents="""
a Ásia | da Ásia
a Europa | da Europa
a África | da África
a América do Norte | da América do Norte
a América do Sul | da América do Sul
a Oceânia | da Oceânia
""",
    currencies="o_iene o_yuan o_won a_rupia o_baht o_dong a_rupia_indonésia a_lira o_dinar "
    "o_rublo o_euro a_libra o_zlóti a_coroa o_dirham o_xelim o_dólar o_peso o_real o_sol",
    tongues="o_japonês o_chinês o_coreano o_hindi o_tailandês o_vietnamita o_indonésio "
    "o_turco o_árabe o_russo o_alemão o_francês o_espanhol o_italiano o_português o_grego "
    "o_inglês o_polaco o_sueco o_norueguês o_suaíli",
    into=lambda tongue: "em " + _bare(tongue),
    days="segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    months="janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    numbers="zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze "
    "quinze dezasseis dezassete dezoito dezanove vinte",
    opposites="grande pequeno quente frio bom mau longo curto alto baixo rápido lento forte "
    "fraco rico pobre fácil difícil aberto fechado cheio vazio limpo sujo seco molhado largo "
    "estreito feliz triste bonito feio próximo distante novo velho primeiro último verdadeiro "
    "falso direito esquerdo duro mole",
    colours="vermelho azul verde amarelo preto branco cinzento castanho laranja",
    things="""
o céu | azul
o mar | azul
a erva | verde
a rã | verde
a neve | branca
o leite | branco
o arroz | branco
o sangue | vermelho
o tomate | vermelho
o morango | vermelho
o sol | amarelo
o limão | amarelo
a banana | amarela
o carvão | preto
a noite | preta
o corvo | preto
o elefante | cinzento
o rato | cinzento
o chocolate | castanho
a cenoura | laranja
""",
    animals="o_cão o_gato a_vaca o_cavalo o_leão o_elefante o_lobo o_urso a_águia o_pato "
    "o_pinguim a_coruja o_tubarão o_salmão a_serpente o_crocodilo a_tartaruga a_abelha "
    "a_formiga a_borboleta",
    bare=_bare,
    classes="um_mamífero uma_ave um_peixe um_réptil um_inseto",
    nouns="casa água pão leite livro escola sol lua estrela árvore flor fogo mão olho coração "
    "mãe pai criança amigo homem mulher rei cidade rio mar montanha porta mesa noite ano paz "
    "guerra amor música arroz chá maçã ovo sal açúcar",
    phrases="""
Bom dia.
Boa noite.
Obrigado.
Sim.
Não.
Como estás?
Amo-te.
Onde fica a estação?
Tenho fome.
Não compreendo.
Chamo-me Anna.
Bebo água.
O gato bebe leite.
O cão dorme.
Leio um livro.
A casa é grande.
A água está fria.
O livro é novo.
A minha mãe está aqui.
Vivemos numa cidade.
""",
    templates={
        "capital": (
            "A capital {of} é {a}.",
            "A cidade capital {of} é {a}.",
            "Qual é a capital {of}? {a}.",
            "Pergunta: qual é a capital {of}? Resposta: {a}.",
            "{In} a capital chama-se {a}.",
            "{a} é a capital {of}.",
            "{a} é uma cidade {of}.",
        ),
        "continent": (
            "{Subj} um país {a2}.",
            "O continente {of} é {a}.",
            "Pergunta: em que continente fica a capital {of}? Resposta: {a}.",
            "Continente {of}: {a}.",
        ),
        "currency": (
            "A moeda {of} é {a}.",
            "Qual é a moeda {of}? {A}.",
            "Pergunta: que moeda se usa {in}? Resposta: {a}.",
            "A moeda usada {in} é {a}.",
        ),
        "tongue": (
            "A língua {of} é {a}.",
            "{In} fala-se {a}.",
            "Pergunta: que língua se fala {in}? Resposta: {a}.",
            "A língua falada {in} é {a}.",
        ),
        "after_day": (
            "O dia depois de {x} é {a}.",
            "Depois de {x} vem {a}.",
            "Pergunta: que dia vem depois de {x}? Resposta: {a}.",
        ),
        "before_day": (
            "O dia antes de {x} é {a}.",
            "Antes de {x} vem {a}.",
            "Pergunta: que dia vem antes de {x}? Resposta: {a}.",
        ),
        "after_month": (
            "O mês depois de {x} é {a}.",
            "Depois do mês de {x} vem {a}.",
            "Pergunta: que mês vem depois de {x}? Resposta: {a}.",
        ),
        "before_month": (
            "O mês antes de {x} é {a}.",
            "Antes do mês de {x} vem {a}.",
            "Pergunta: que mês vem antes de {x}? Resposta: {a}.",
        ),
        "month_number": (
            "O mês número {x} do ano é {a}.",
            "Pergunta: qual é o mês número {x}? Resposta: {a}.",
            "O mês que tem o número {x} é {a}.",
        ),
        "spell": (
            "O número {x} escreve-se {a}.",
            "Por extenso, {x} escreve-se {a}.",
            "Pergunta: como se escreve {x} por extenso? Resposta: {a}.",
        ),
        "digits": (
            "Em algarismos, {x} escreve-se {a}.",
            "A palavra {x} significa o número {a}.",
            "Pergunta: como se escreve {x} em algarismos? Resposta: {a}.",
        ),
        "sum": (
            "{x} mais {y} são {a}.",
            "A soma de {x} e {y} é {a}.",
            "{Wx} mais {wy} são {a2}.",
            "Pergunta: quanto é {x} mais {y}? Resposta: {a}.",
        ),
        "difference": (
            "{x} menos {y} são {a}.",
            "A diferença entre {x} e {y} é {a}.",
            "Pergunta: quanto é {x} menos {y}? Resposta: {a}.",
        ),
        "opposite": (
            "O contrário de {x} é {a}.",
            "Pergunta: qual é o contrário de {x}? Resposta: {a}.",
            "O oposto de {x} é {a}.",
            "Se não é {x}, é {a}.",
        ),
        "colour": (
            "{X} é {a}.",
            "Cor: {x} é {a}.",
            "Pergunta: de que cor é {x}? Resposta: {a}.",
            "Todos sabem que {x} é {a}.",
        ),
        "class": (
            "Em biologia, {x} é {a}.",
            "Pergunta: o que é {x}? Resposta: {a}.",
            "Sabemos que {x} é {a}.",
            "Entre os animais, {x} é {a}.",
        ),
        "translate": (
            "{x} {into} é {a}.",
            "{Into}, {x} diz-se {a}.",
            "Pergunta: como se diz {x} {into}? Resposta: {a}.",
        ),
    },
)
