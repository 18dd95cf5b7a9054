"""HTML: pages of many builds, written here, with known article, title and date."""

import io
import itertools
from dataclasses import dataclass
from datetime import date

import pytest

from tasks.readers import READERS, ReadOptions, html, page_dates
from warehouse.errors import Refusal
from warehouse.records import RawDocument
from warehouse.vocabulary import Precision, Reason

STORIES = {
    "de": (
        "Hallingen baut die Brücke neu",
        (
            "Der Rat der Stadt Hallingen hat am Dienstag nach langer Debatte beschlossen, die alte Brücke abzureißen.",
            "Die Kosten von zwölf Millionen Euro trägt zum größten Teil das Land, den Rest zahlt die Gemeinde selbst.",
            "„Wir haben lange genug gewartet“, sagte die Bürgermeisterin. Die Arbeiten sollen im Juni beginnen.",
            "Anwohner fürchten, dass der Umweg über das Tal den Verkehr im Dorf verdoppelt und Läden Kunden kostet.",
        ),
        ("Das könnte Sie auch interessieren", "Newsletter abonnieren", "Impressum", "Alle Rechte vorbehalten"),
    ),
    "en": (
        "Harbour of Port Elswick reopens",
        (
            "The harbour of Port Elswick reopened on Monday after a week of storms that kept the whole fleet ashore.",
            "Skippers on the east coast said they had lost a good part of the season and asked the county for relief.",
            "\"We will be out again before dawn,\" said Jo Lund, who has fished these waters for over thirty years.",
            "The county promised to decide on the matter next month, when the damage to the piers has been surveyed.",
        ),
        ("Read more of our stories", "Sign up for our newsletter", "Terms of use", "All rights reserved"),
    ),
    "fr": (
        "Saint-Briac vote son budget",
        (
            "La mairie de Saint-Briac a présenté mardi soir son budget devant une salle comble et plutôt agitée.",
            "Les habitants attendent depuis trois ans la réfection de la digue, que la tempête avait emportée en mars.",
            "« Nous ferons les travaux avant l'été », a promis le maire, sans dire où il compte trouver les fonds.",
            "L'opposition a quitté la séance avant le vote et annoncé un recours devant le tribunal administratif.",
        ),
        ("À lire aussi sur notre site", "Abonnez-vous à la lettre", "Mentions légales", "Tous droits réservés"),
    ),
}  # fmt: skip
DATES = (
    ('<meta property="article:published_time" content="2019-04-25T20:15:00+02:00">', date(2019, 4, 25), "day"),
    (('<script type="application/ld+json">{"@graph": [{"datePublished": "2018-11-02", "dateModified": "2021-01-01"}]}'
     "</script>"), date(2018, 11, 2), "day"),
    ('<meta name="date" content="2017-06">', date(2017, 6, 1), "month"),
    ('<meta itemprop="datePublished" content="Thu, 14 Mar 2019 10:00:00 GMT">', date(2019, 3, 14), "day"),
    ("TIME", date(2016, 2, 29), "day"),
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """A page, and what is right about it."""

    name: str
    data: bytes
    title: str
    paragraphs: tuple[str, ...]
    clutter: tuple[str, ...]
    published: date
    precision: str


def _layouts(title: str, paragraphs: tuple[str, ...], clutter: tuple[str, ...], time: str) -> dict[str, str]:
    """The bodies of pages as different tools build them."""
    blocks = "".join(f"<p>{text}</p>\n" for text in paragraphs)
    more, letter, terms, rights = clutter
    nav = '<nav><ul><li><a href="/">Home</a></li><li><a href="/a">Sport</a></li></ul></nav>'
    links = "".join(f'<li><a href="/{n}">{more} {n}</a></li>' for n in range(8))
    foot = f'<footer><p><a href="/t">{terms}</a> | {rights}</p></footer>'
    banner = f'<div class="cookie-banner" id="cookie-consent"><p>{letter}. {terms}.</p><button>OK</button></div>'
    return {
        "article": f"<header>{nav}</header><main><article><h1>{title}</h1>{time}{blocks}</article></main>"
        f"<aside><h3>{more}</h3><ul>{links}</ul></aside>{foot}",
        "divs": f'<div id="top">{nav}</div><div class="content"><h1>{title}</h1>{time}<div class="article-body">'
        f'{blocks}</div></div><div class="sidebar"><h3>{more}</h3><ul>{links}</ul></div><div id="foot">{rights}</div>',
        "blog": f'<div id="page"><div id="content"><div class="post hentry"><h1 class="entry-title">{title}</h1>{time}'
        f'<div class="entry-content">{blocks}</div><div class="sharedaddy"><a href="#">{letter}</a></div></div></div>'
        f'<div id="sidebar" class="widget-area"><ul>{links}</ul></div></div>{foot}',
        "microdata": f'{banner}{nav}<div itemscope itemtype="http://schema.org/NewsArticle"><h1 itemprop="headline">'
        f'{title}</h1>{time}<div itemprop="articleBody">{blocks}</div></div><div class="related"><ul>{links}</ul></div>'
        f"{foot}",
        "breaks": f'<div class="nav">{nav}</div><div id="article" class="story"><h1>{title}</h1>{time}<p>'
        + "<br><br>".join(paragraphs)
        + f'</p></div><div class="teaser-list"><ul>{links}</ul></div>{foot}',
        "promoted": f"<header>{nav}</header><article><h1>{title}</h1>{time}{blocks.replace('</p>', '</p><!-- -->', 1)}"
        f'<div class="newsletter-signup"><p>{letter}</p></div></article><section class="comments"><h2>{more}</h2>'
        f'<div class="comment"><p>Ganz meine Meinung!</p></div></section>{foot}',
    }  # fmt: skip


def pages() -> list[Page]:
    """Three languages, five ways to say the date, six builds: ninety pages."""
    found = []
    for (language, (title, paragraphs, clutter)), (mark, day, precision) in itertools.product(STORIES.items(), DATES):
        is_time = mark == "TIME"
        time = f'<time datetime="{day.isoformat()}T08:00" pubdate>{day:%d.%m.%Y}</time>' if is_time else ""
        head = "" if is_time else mark
        for build, body in _layouts(title, paragraphs, clutter, time).items():
            text = (
                f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8"><title>{title} | Anzeiger</title>'
                f"{head}<script>var a = 1;</script><style>p {{ color: red }}</style></head><body>{body}</body></html>"
            )
            name = f"{language}-{build}-{day.isoformat()}"
            found.append(Page(name, text.encode(), title, paragraphs, clutter, day, precision))
    return found


PAGES = pages()


def test_articles_titles_and_dates_are_right() -> None:
    """At least 90 % each: the whole article and nothing else, its title, its date with its precision."""
    assert len(PAGES) >= 40
    right: dict[str, list[str]] = {"article": [], "clutter": [], "title": [], "date": []}
    for page in PAGES:
        (found,) = READERS["html"].read(io.BytesIO(page.data), ReadOptions())
        assert isinstance(found, RawDocument)
        words = " ".join(found.text.split())
        checks = {
            "article": all(" ".join(text.split()) in words for text in page.paragraphs),
            "clutter": not any(text in words for text in page.clutter),
            "title": found.title == page.title,
            "date": (found.published_on, found.published_precision) == (page.published, page.precision),
        }
        for name, is_right in checks.items():
            right[name] += [page.name] if is_right else []
    shares = {name: round(len(names) / len(PAGES), 3) for name, names in right.items()}
    print(f"{len(PAGES)} pages: {shares}")
    wrong = {name: sorted({page.name for page in PAGES} - set(names))[:8] for name, names in right.items()}
    assert min(shares.values()) >= 0.9, (shares, wrong)


def read(text: str | bytes, **options: object) -> RawDocument:
    data = text.encode() if isinstance(text, str) else text
    return html.document(data, ReadOptions(**options))  # type: ignore[arg-type]


PARAGRAPHS = "".join(f"<p>{text}</p>" for text in STORIES["de"][1])


@pytest.mark.parametrize("codec", ["utf-8", "cp1252", "iso-8859-1", "utf-16"])
def test_a_page_is_decoded_as_it_declares(codec: str) -> None:
    page = f"<html><head><meta charset='{codec}'><title>Über Brücken</title></head><body><article>{PARAGRAPHS}"
    found = read(page.replace("„", "»").replace("“", "«").encode(codec))
    assert found.title == "Über Brücken"
    assert "Bürgermeisterin" in found.text


def test_a_page_that_declares_what_it_is_not_is_detected() -> None:
    page = f"<html><head><meta charset='utf-8'><title>Über Brücken</title></head><body><article>{PARAGRAPHS}"
    assert "Bürgermeisterin" in read(page.encode("cp1252")).text


def test_no_day_is_invented() -> None:
    page = f"<html><body><article><h1>Rat</h1>{PARAGRAPHS}</article><footer>© 2019</footer></body></html>"
    assert read(page).published_on is None
    found = read(page.replace("<body>", "<head><meta name='date' content='2019-04'></head><body>"))
    assert (found.published_on, found.published_precision) == (date(2019, 4, 1), Precision.MONTH)


@pytest.mark.parametrize(
    ("guess", "page", "is_sure"),
    [
        ("2019-04-25", "am 25.04.2019 um acht", True), ("2019-04-25", "April 25, 2019", True),
        ("2019-04-25", "/2019/04/25/rain", True), ("2019-04-01", "April 2019", False),
        ("2019-04-25", "125.04.20199", False), ("2019-04", "2019-04", False), (None, "2019-04-25", False),
    ],
)  # fmt: skip
def test_a_guessed_date_must_stand_on_the_page(guess: str | None, page: str, is_sure: bool) -> None:
    assert (page_dates.confirmed(guess, page) is not None) is is_sure


def test_nothing_from_outside_is_loaded() -> None:
    page = f'<!DOCTYPE html [<!ENTITY c SYSTEM "file:///etc/passwd">]><html><body><article>{PARAGRAPHS}<p>&c;</p>'
    assert "root:" not in read(page).text


@pytest.mark.parametrize(
    "page", ["<html><body></body></html>", "<html><body><p></p><script>a()</script>", "<!doctype html>"]
)
def test_a_page_without_an_article_is_refused(page: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(page)
    assert refused.value.reason in (Reason.NO_TEXT, Reason.MALFORMED)


def test_the_clock_does_not_decide() -> None:
    page = f"<html><head><meta property='article:published_time' content='2031-04-25'></head><body>{PARAGRAPHS}"
    assert read(page).published_on == date(2031, 4, 25)
