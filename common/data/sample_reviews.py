"""Generated film reviews: a small stand-in for IMDB in which the order of words matters.

A review holds some opinions and some neutral sentences. Most opinions agree with the label, and some
are negated ("not good", "far from awful"). So counting words gives a fair guess, and reading the
negations gives a better one.
"""

import numpy as np


def _listed(text):
    return [item.strip() for item in text.replace("\n", " ").split("|")]


GOOD = _listed(
    """good|great|wonderful|brilliant|moving|funny|clever|charming|superb|excellent|gripping|lovely|
    touching|beautiful|fresh|delightful|memorable|perfect|powerful|convincing|witty|elegant|
    thrilling|impressive"""
)
BAD = _listed(
    """bad|awful|terrible|boring|dull|silly|clumsy|weak|poor|dreadful|lifeless|annoying|messy|
    predictable|stale|ugly|forgettable|pointless|painful|wooden|tedious|shallow|ridiculous|
    disappointing"""
)
THINGS = _listed(
    """the acting|the plot|the script|the dialogue|the music|the ending|the pacing|the direction|
    the camera work|the first half|the second act|the leading actor|the humour|the whole cast|
    the editing|the story"""
)
PLAIN = _listed(
    """{T} is {w}.|I found {t} {w}.|{T} was simply {w}.|What {a} {w} film!|For me, {t} felt {w}.|
    {T} turned out to be {w}, start to finish.|Here is {a} {w} piece of cinema.|
    Honestly, {t} is very {w}."""
)
NEGATED = _listed(
    """{T} is not {w}.|I did not find {t} {w}.|{T} was hardly {w}.|{T} is far from {w}.|
    {T} was never {w}, not once.|This is anything but {a} {w} film.|Nobody could call {t} {w}.|
    {T} isn't {w} at all."""
)
NEUTRAL = _listed(
    """The film was shot in {p} over {n} weeks.|I saw it with {r} on a {d}.|
    It is set in {p} in the {n}0s.|{R} had read the book before.|It runs for about {n}5 minutes.|
    In the story, {r} and a dog move to {p}.|There is a long scene on a train to {p}.|
    We watched the version with subtitles.|The director made {n} films before this one.|
    It came out on a {d}, if I remember correctly.|The credits list {n} editors."""
)
PLACES = _listed("Paris|Chicago|Lisbon|a small village|Tokyo|the desert|Glasgow|an old castle")
PEOPLE = _listed("my brother|a friend|two colleagues|my wife|an old teacher|our neighbour")
DAYS = _listed("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday")


def generate(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generates reviews.

    Args:
        count: Number of reviews; half of them (rounded down) are positive.
        seed: Seed of the generator.

    Returns:
        The reviews, an object array of str `(count,)`, and int32 labels `(count,)`, 1 for positive.
    """
    random = np.random.RandomState(seed)
    labels = random.permutation(np.arange(count) % 2).astype(np.int32)
    texts = np.empty(count, object)
    for row, label in enumerate(labels):
        # One block of uniform numbers per review is far quicker than one call per choice.
        texts[row] = _review(int(label), iter(random.random_sample(160).tolist()))
    return texts, labels


def _review(label, draws):
    def pick(options):
        return options[int(next(draws) * len(options))]

    opinions = pick([3, 4, 5, 6, 7])
    # The majority of the opinions always agrees with the label.
    opposite = min(pick(range((opinions - 1) // 2 + 1)), pick(range(4)))
    meanings = [1 - label] * opposite + [label] * (opinions - opposite)
    sentences = [_opinion(meaning, pick, next(draws)) for meaning in meanings]
    for _ in range(pick([2, 3, 4, 5, 6])):
        people = pick(PEOPLE)
        sentences.append(
            pick(NEUTRAL).format(
                p=pick(PLACES),
                n=pick(range(2, 10)),
                d=pick(DAYS),
                r=people,
                R=people.capitalize(),
            )
        )
    keyed = sorted((next(draws), sentence) for sentence in sentences)
    ordered = [sentence for _, sentence in keyed]
    if len(ordered) > 6:
        # Long reviews have paragraphs as in IMDB, so that their tags occur here too.
        ordered[len(ordered) // 2] = "<br /><br />" + ordered[len(ordered) // 2]
    return " ".join(ordered)


def _opinion(meaning, pick, draw):
    negated = draw < 0.2
    thing = pick(THINGS)
    word = pick((BAD, GOOD)[meaning != negated])
    template = pick(NEGATED if negated else PLAIN)
    article = "an" if word[0] in "aeiou" else "a"
    return template.format(T=thing.capitalize(), t=thing, w=word, a=article)
