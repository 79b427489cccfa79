"""The words of the small world: people, things, places, causes, words with two senses, and pronouns."""

WOMEN = "Ada Clara Dora Edith Flora Greta Hilda Ida".split()
MEN = "Anton Bruno Carl David Emil Felix Gustav Hugo".split()
NAMES = WOMEN + MEN
KINDS = {
    "animal": "dog cat horse".split(),
    "fruit": "apple pear plum".split(),
    "tool": "hammer saw shovel".split(),
    "instrument": "violin flute drum".split(),
    "vehicle": "bicycle truck boat".split(),
    "garment": "coat scarf hat".split(),
}
THINGS = [thing for things in KINDS.values() for thing in things]
KIND_OF = {thing: kind for kind, things in KINDS.items() for thing in things}
COLOURS = "red blue green black white yellow".split()
PLACES = "kitchen garden cellar attic garage library market school".split()
VERBS = [  # (infinitive, past, past of a synonym)
    ("buy", "bought", "purchased"),
    ("find", "found", "discovered"),
    ("repair", "repaired", "fixed"),
    ("hide", "hid", "concealed"),
    ("wash", "washed", "cleaned"),
]
FACTIVE = "knew realized remembered noticed understood learned".split()
OPEN = "thought hoped guessed suspected feared expected".split()
COUNTERFACTIVE = ["wrongly believed", "only pretended", "falsely claimed", "lied", "merely dreamed"]
CAUSES = [  # (cause, effect); the subject stands for any person
    ("it rained all night", "the street was wet"),
    ("the sun was hot", "the snow melted"),
    ("the lamp broke", "the room went dark"),
    ("the oven was too hot", "the bread burned"),
    ("{} forgot the keys", "{} waited at the door"),
    ("{} ran in the race", "{} was out of breath"),
    ("{} studied for weeks", "{} passed the exam"),
    ("{} slipped on the ice", "{} broke a leg"),
    ("{} heard a joke", "{} laughed loudly"),
    ("{} cut an onion", "{} had wet eyes"),
    ("{} planted seeds", "{} picked tomatoes later"),
    ("{} won the prize", "{} gave a party"),
    ("{} broke the vase", "{} paid for the damage"),
    ("{} caught a cold", "{} stayed in bed"),
    ("{} told a lie", "{} lost a friend"),
    ("{} practised the piano", "{} played without mistakes"),
]
SENSES = {  # word: contexts of its first sense, contexts of its second
    "bank": (
        ["{} sat on the bank of the river", "{} fished from the grassy bank", "{} swam to the far bank"],
        ["{} took money from the bank", "{} opened an account at the bank", "{} asked the bank for a loan"],
    ),
    "bat": (
        ["{} saw a bat fly at night", "{} heard a bat in the cave", "{} fed the bat some insects"],
        ["{} hit the ball with a bat", "{} swung the wooden bat", "{} bought a bat for the game"],
    ),
    "spring": (
        ["{} planted flowers in spring", "{} waited for the warm spring", "{} married in early spring"],
        ["{} bent the metal spring", "{} put a new spring in the clock", "{} fixed the spring of the door"],
    ),
    "ring": (
        ["{} wore a gold ring", "{} lost the wedding ring", "{} put a ring on the finger"],
        ["{} heard the phone ring", "{} woke at the ring of a bell", "{} waited for the ring of the alarm"],
    ),
    "match": (
        ["{} lit the candle with a match", "{} struck a match in the dark", "{} burned the paper with a match"],
        ["{} won the tennis match", "{} watched the football match", "{} lost the last match of the season"],
    ),
    "star": (
        ["{} saw a star in the night sky", "{} counted each star above", "{} named the brightest star"],
        ["{} met a star of the film", "{} became a star on the stage", "{} asked the star to sing"],
    ),
    "trunk": (
        ["{} climbed the trunk of the tree", "{} cut the thick trunk", "{} leaned on the mossy trunk"],
        ["{} packed clothes into the trunk", "{} locked the old trunk", "{} lifted the trunk of the car"],
    ),
    "nail": (
        ["{} hammered a nail into the wall", "{} bent the rusty nail", "{} hung the picture on a nail"],
        ["{} painted a nail pink", "{} bit a nail in fear", "{} cut the nail of the thumb"],
    ),
}
REFERENCES = [  # (sentence with two people A, B and a pronoun, the person the pronoun stands for)
    ("{A} lent {B} the {thing} because {p} needed it", "B"),
    ("{A} lent {B} the {thing} because {p} did not need it", "A"),
    ("{A} thanked {B} because {p} had received help", "A"),
    ("{A} thanked {B} because {p} had given help", "B"),
    ("{A} asked {B} about the {thing} but {p} did not answer", "B"),
    ("{A} asked {B} about the {thing} because {p} was curious", "A"),
    ("{A} beat {B} in the race because {p} was fast", "A"),
    ("{A} beat {B} in the race because {p} was slow", "B"),
    ("{A} carried {B} home because {p} was strong", "A"),
    ("{A} carried {B} home because {p} was hurt", "B"),
    ("{A} paid {B} after {p} delivered the {thing}", "B"),
    ("{A} paid {B} after {p} received the {thing}", "A"),
    ("{A} called {B} but {p} was not at home", "B"),
    ("{A} called {B} because {p} felt lonely", "A"),
    ("{A} taught {B} to paint although {p} was a bad pupil", "B"),
    ("{A} taught {B} to paint although {p} was a bad teacher", "A"),
    ("{A} envied {B} because {p} had won the {thing}", "B"),
    ("{A} envied {B} although {p} had won the {thing}", "A"),
]
