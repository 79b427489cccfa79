"""The words of the small world. People, things, places, causes, words with two senses, and pronouns."""

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
CAUSES = [  # (cause, effect); {} is any person
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
SENSES = {  # word: contexts of its first sense, contexts of its second sense
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
# ---- not in pre-training

NEW_CAUSES = [
    ("the river rose", "the cellar was under water"),
    ("the storm came", "the boats stayed in port"),
    ("the clock stopped", "the train left without them"),
    ("the candle fell over", "the table caught fire"),
    ("{} drank cold milk", "{} had a sore throat"),
    ("{} worked all night", "{} fell asleep at noon"),
    ("{} ate too much cake", "{} felt sick"),
    ("{} sharpened the knife", "{} cut the rope with ease"),
    ("{} lost the map", "{} asked a stranger for help"),
    ("{} opened the window", "{} let the bird out"),
    ("{} saved some money", "{} bought a new house"),
    ("{} saw a ghost", "{} turned pale"),
    ("{} stepped on glass", "{} wore a bandage"),
    ("{} wrote a good book", "{} became famous"),
    ("{} moved to another town", "{} learned a new language"),
    ("{} left the gate open", "{} searched for the sheep"),
]
NEW_SENSES = {
    "seal": (
        ["{} fed the seal a fish", "{} saw a seal on the rocks", "{} watched the seal dive"],
        ["{} broke the seal of the letter", "{} put a seal on the paper", "{} pressed the seal into wax"],
    ),
    "palm": (
        ["{} sat under a palm on the beach", "{} planted a palm near the sea", "{} climbed the tall palm"],
        ["{} held a coin in the palm", "{} read the lines of the palm", "{} warmed one palm at the fire"],
    ),
    "crane": (
        ["{} saw a crane in the swamp", "{} heard the crane cry", "{} watched a crane catch a frog"],
        ["{} drove the crane at the port", "{} lifted the stones with a crane", "{} repaired the motor of the crane"],
    ),
    "pitcher": (
        ["{} filled the pitcher with water", "{} broke the glass pitcher", "{} carried a pitcher of milk"],
        ["{} was the pitcher of the team", "{} cheered for the young pitcher", "{} trained the best pitcher"],
    ),
    "bark": (
        ["{} heard the bark of a dog", "{} woke at a loud bark", "{} feared the bark behind the fence"],
        ["{} pulled the bark from the tree", "{} wrote on a piece of bark", "{} found beetles under the bark"],
    ),
    "note": (
        ["{} left a note on the table", "{} wrote a short note", "{} read the note twice"],
        ["{} sang a high note", "{} missed a note in the song", "{} held the last note"],
    ),
    "pupil": (
        ["{} praised the pupil in class", "{} taught a lazy pupil", "{} was the best pupil of the year"],
        ["{} saw light in the pupil of the eye", "{} had a wide pupil in the dark", "{} drew the eye and its pupil"],
    ),
    "pen": (
        ["{} signed with a pen", "{} filled the pen with ink", "{} lost the pen at the desk"],
        ["{} kept the pigs in a pen", "{} mended the fence of the pen", "{} drove the sheep into the pen"],
    ),
}
NEW_REFERENCES = [
    ("{A} gave {B} the {thing} because {p} wanted to help", "A"),
    ("{A} gave {B} the {thing} because {p} wanted to have it", "B"),
    ("{A} waited for {B} because {p} was late", "B"),
    ("{A} waited for {B} because {p} was early", "A"),
    ("{A} sold {B} the {thing} because {p} had no use for it", "A"),
    ("{A} sold {B} the {thing} because {p} had a use for it", "B"),
    ("{A} helped {B} because {p} was kind", "A"),
    ("{A} helped {B} because {p} was tired", "B"),
    ("{A} scolded {B} because {p} had lost the {thing}", "B"),
    ("{A} scolded {B} although {p} had lost the {thing}", "A"),
    ("{A} visited {B} because {p} was ill", "B"),
    ("{A} visited {B} because {p} was bored", "A"),
    ("{A} followed {B} because {p} knew the way", "B"),
    ("{A} followed {B} because {p} had lost the way", "A"),
    ("{A} trusted {B} because {p} was honest", "B"),
    ("{A} trusted {B} although {p} was careful", "A"),
    ("{A} showed {B} the {thing} because {p} was proud of it", "A"),
    ("{A} showed {B} the {thing} because {p} had not seen it", "B"),
]
