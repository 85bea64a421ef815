"""The voices that speak, and which of them training never hears."""

# espeak-ng accents (the base voice; `en` is British) and how often each is drawn.
ACCENTS = {"en-us": 8, "en": 4, "en-gb-x-rp": 3, "en-gb-scotland": 2, "en-gb-x-gbclan": 1, "en-029": 1, "en-us-nyc": 2}
# Voice variants (+NAME) that sound like people; the robots, whispers and monsters are left out.
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Hugo Jacky Marco Mario "
    "Michael Mike Nguyen Storm adam anika antonio aunty belinda benjamin boris caleb david ed edward edward2 grandma grandpa "
    "gustave iven iven2 iven3 iven4 john klatt klatt2 klatt3 klatt4 marcelo max michel miguel norbert pablo paul pedro quincy "
    "rob robert sandro shelby steph steph2 steph3 travis victor"
).split()
FLITE = {"rms": 4, "slt": 4, "awb": 3, "kal16": 3, "kal": 1}
FLITE_PITCH = {"rms": (100, 100), "slt": (120, 230), "awb": (85, 190), "kal16": (70, 190), "kal": (70, 190)}
FLITE_SHARE = 0.32

# Never in training. The festival voices are other engines altogether and are only spoken by make_eval.py.
HELDOUT_ESPEAK = ("en-us+linda", "en+Lee", "en-gb-x-gbcwmd+m3", "en-us+Henrique")
HELDOUT_FESTIVAL = {"ked_diphone": "voice_ked_diphone", "slt_hts": "voice_cmu_us_slt_arctic_hts"}

# What the per-voice word error rate is reported on: training voices first.
REPORTED = (
    "en-us+m1", "en-us+m3", "en-us+f2", "en-us+f4", "en-us+Andy", "en-us+steph", "en-us-nyc+max", "en+m2", "en+f3",
    "en+david", "en-gb-x-rp+m4", "en-gb-x-rp+Alicia", "en-gb-scotland+m5", "en-gb-x-gbclan+f1", "en-029+m7",
    "flite:rms", "flite:slt", "flite:awb", "flite:kal16", "flite:kal",
)
