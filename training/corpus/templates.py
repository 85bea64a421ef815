"""Sentences from small grammars: what books lack (times, dates, numbers, prices, requests, small talk)."""

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINAL = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NAMES = (
    "Anna Ben Carla David Emma Frank Grace Henry Irene James Kate Leo Maria Nina Oliver Paul Rachel Sam Tom Victor Alice "
    "Robert Laura Michael Susan Peter Helen George Julia Daniel Sophie Martin Lucy Edward Rose Simon Clara Philip Diana "
    "Arthur Ruth Walter Eve Hugo Martha Jack Sarah Charles Elizabeth William Jane Thomas Emily Andrew Olivia Kevin Lisa"
).split()
PLACES = (
    "London Paris Berlin Rome Madrid Boston Chicago Dublin Vienna Prague Oslo Lisbon Athens Cairo Tokyo Sydney Toronto "
    "Seattle Denver Dallas Miami Geneva Brussels Warsaw Delhi Moscow Amsterdam Edinburgh Manchester California Texas "
    "Florida Canada England France Germany Italy Spain Japan China India Australia Brazil Mexico Russia Egypt Africa Europe"
).split()
THINGS = (
    "book|table|lamp|window|car|bicycle|letter|phone|computer|camera|ticket|key|bag|coat|chair|garden|kitchen|bottle of water|"
    "cup of coffee|sandwich|newspaper|map|box|clock|guitar|dog|cat|horse|train|bus|boat|door|bed|shirt|pair of shoes|umbrella|"
    "television|radio|keyboard|printer|screen|report|contract|picture|mirror|knife|spoon|plate|blanket|candle|hammer|ladder"
).split("|")
ADJECTIVES = "new old small large red blue green black white heavy light cheap expensive broken clean dirty wooden beautiful strange quiet warm cold".split()
VERBS = "find see buy sell open close fix bring move carry clean paint return borrow hide show check send keep watch".split()
PASTS = "found saw bought sold opened closed fixed brought moved carried cleaned painted returned borrowed hid showed checked sent kept watched".split()
ROOMS = "kitchen|living room|bedroom|office|garage|garden|hall|library|station|hotel|restaurant|school|hospital|museum|park|market|church|bank|airport|theater".split("|")
WHEN = "today|tomorrow|yesterday|this morning|this evening|tonight|last night|next week|last week|right now|later|in an hour|before lunch|after dinner|at noon|at midnight|every day|on the weekend|next month|a year ago".split("|")
WEATHER = "sunny rainy cloudy windy snowy foggy warm cold freezing hot stormy pleasant".split()
SUBJECTS = "I|you|we|they|my brother|my sister|the teacher|the doctor|our neighbor|the children|her mother|his father|the manager|the driver|the new student|a friend of mine|the old man|the young woman|the captain|everyone".split("|")
VERB_PHRASES = (
    "went home early|missed the last train|forgot to call|lost the key|asked for help|came back late|stayed up all night|"
    "had a great time|made a mistake|told the truth|changed the plan|waited for an hour|found the answer|left without a word|"
    "took the wrong turn|saved some money|won the game|broke the record|paid the bill|cooked dinner|read the whole book|"
    "listened to the radio|walked along the river|laughed out loud|fell asleep on the sofa|finished the work|wrote a long letter|"
    "learned to swim|moved to a new house|planted a tree|drove to the city|heard a strange noise|drank too much coffee|"
    "looked out of the window|turned off the light|opened the door|closed the shop|ran as fast as possible|caught a cold"
).split("|")
LINKS = "because|although|so|but|and then|while|before|after|until|even though|when".split("|")
ADVERBS = "slowly quickly quietly carefully suddenly finally usually often never always sometimes probably clearly simply really".split()
SMALL_TALK = (
    "Good morning, {n}.|Good evening, {n}, how are you?|Hello, my name is {n}.|Nice to meet you, {n}.|How was your day, {n}?|"
    "Thank you very much, {n}.|I'm sorry, I didn't hear you.|Could you say that again, please?|What do you mean, {n}?|"
    "I don't think that's a good idea.|That's exactly what I was thinking.|See you {w}, {n}.|Have you ever been to {p}?|"
    "I'd like to go to {p} {w}.|We're flying to {p} {w}.|{n} and {m} are getting married {w}.|It's going to be {h} in {p} {w}.|"
    "Is it always this {h} in {p}?|What time does the train to {p} leave?|The flight from {p} to {q} was delayed.|"
    "Please call me back {w}.|Can you help me with this?|I can't find my {t}.|Where did you put the {t}?|"
    "There's a {a} {t} in the {r}.|Don't forget to {v} the {t} {w}.|{n}, please {v} the {a} {t}.|I {d} a {a} {t} {w}.|"
    "{n} {d} the {t} and {k} the {u}.|Why did {n} {v} the {t}?|Would you like a {t} or a {u}?|The {a} {t} is next to the {b} {u}.|"
    "Turn on the light in the {r}.|Turn off the {t} in the {r}, please.|Play some music in the {r}.|Set a timer for {i} minutes.|"
    "Wake me up at {c}.|Remind me to {v} the {t} at {c}.|What's the weather like in {p}?|Take the {o} street on the left.|"
    "The {r} is on the {o} floor.|We met on {y}, {l} {o}.|The meeting starts at {c} on {y}.|It's {c}.|My birthday is on {l} {o}.|"
    "The answer is {i}.|The {t} costs {i} dollars.|That will be {i} dollars and {j} cents.|She is {i} years old.|"
    "The number is {z}.|Call {z} for more information.|{i} plus {j} is more than {g}.|He lives at {i} {n} street in {p}.|"
    "It was built in {e}.|In {e}, {n} moved from {p} to {q}.|About {f} people live there.|Only {i} percent of them came.|"
    "{s} {x} {w}.|{s} {x} {k2} {s2} {x2}.|{s} {x}, {k2} {s2} {x2}.|{n} {x} {k2} {s2} {x2}.|{s} {adv} {d} the {a} {t}.|"
    "Did {s} {v} the {t} {w}?|I think {s} {x}.|Do you know why {s} {x}?|{n} said that {s} {x} {w}.|If {s} {x}, we will be late."
).split("|")


def number(n):
    """n (0 to 999999) in words."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + (" " + ONES[n % 10] if n % 10 else "")
    if n < 1000:
        return ONES[n // 100] + " hundred" + (" and " + number(n % 100) if n % 100 else "")
    return number(n // 1000) + " thousand" + (" " + number(n % 1000) if n % 1000 else "")


def clock(rng):
    hour = ONES[rng.randint(1, 12)]
    kind = rng.randint(0, 4)
    if kind == 0:
        return f"{hour} o'clock"
    if kind == 1:
        return rng.choice(("half past ", "a quarter past ", "a quarter to ")) + hour
    return f"{hour} {number(rng.randint(10, 59))}" + rng.choice(("", " in the morning", " in the afternoon", " in the evening"))


def year(rng):
    return f"{rng.choice(('eighteen', 'nineteen', 'twenty'))} {number(rng.randint(10, 99))}"


def sentence(rng):
    """One random sentence of the grammars."""
    pick = rng.choice
    text = pick(SMALL_TALK).format(
        n=pick(NAMES), m=pick(NAMES), p=pick(PLACES), q=pick(PLACES), w=pick(WHEN), h=pick(WEATHER), t=pick(THINGS),
        u=pick(THINGS), a=pick(ADJECTIVES), b=pick(ADJECTIVES), v=pick(VERBS), d=pick(PASTS), k=pick(PASTS), r=pick(ROOMS),
        i=number(rng.randint(2, 199)), j=number(rng.randint(1, 99)), g=number(rng.randint(100, 9999)), c=clock(rng),
        o=pick(ORDINAL), y=pick(DAYS), l=pick(MONTHS), z=" ".join(ONES[rng.randint(0, 9)] for _ in range(rng.randint(4, 8))),
        e=year(rng), f=number(rng.randint(1000, 999999)), s=pick(SUBJECTS), s2=pick(SUBJECTS), x=pick(VERB_PHRASES),
        x2=pick(VERB_PHRASES), k2=pick(LINKS), adv=pick(ADVERBS),
    )
    return text[0].upper() + text[1:]


def word_salad(rng, words):
    """A few random lexicon words: the only way rare words are heard often enough to learn their sounds."""
    picked = [rng.choice(words) for _ in range(rng.randint(2, 7))]
    text = " ".join(picked)
    return text[0].upper() + text[1:] + "."
