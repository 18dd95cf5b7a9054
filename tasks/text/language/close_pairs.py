"""Words and letters that only one of a few close languages uses.

Belongs here: cues that grammars and dictionaries give for groups that statistics over letters keep confusing.  Does
not belong here: topics (a country's name says nothing of a language), or anything taken from the evaluation sentences.
To add a group: one pattern a member, of words that the others spell otherwise or do not have.
"""

import functools
import re
from collections.abc import Mapping
from typing import Final

# Characters that are read for cues; more would rarely change a verdict.
WINDOW = 2_000

_MALAY = r"""
    bahawa kerana wang polis syarikat daripada manakala sahaja mahu mesyuarat pelbagai seramai selepas isnin
    khamis jumaat ahad ogos disember julai hospital universiti bagaimanapun menerusi baharu maklumat perlawanan
    pasaran inggeris perancis sepanyol ekoran susulan sekiranya kelmarin terbabit suruhanjaya pertubuhan
    televisyen lapan \w{3,}iti \w{3,}isyen
"""
_INDONESIAN = r"""
    bahwa karena uang polisi perusahaan bisa mobil setelah saja mau berbagai universitas kamis jumat maret
    agustus desember juni juli pemerintah serikat namun sejumlah usai kantor merupakan provinsi kabupaten kota
    kondisi informasi tim pertandingan rencana terjadi siswa mahasiswa pasar inggris prancis spanyol sudah senin
    minggu kemarin rumah\ssakit gubernur sementara soal terkait nomor resmi menurut delapan tapi anda butuh jadi
    sepeda televisi pria \w{3,}itas \w{3,}isasi
"""
_CROATIAN = r"""
    tko netko nitko svatko itko tjed[an]\w* tisuć\w* priopć\w* glede europ\w* euro\w+sk\w* povijes\w*
    sveučiliš\w* siječ[na]\w* veljač\w* ožuj\w* travnj?\w* svibnj?\w* lipnja srpnja kolovoz\w* rujna listopad\w*
    studen\w+ prosin\w+ tijekom gospodar\w* izvješć\w* unatoč sustav\w* tvrtk\w* glazb\w* znanost\w* znanstv\w*
    kolodvor\w* suradnj?\w* surađ\w* sudjel\w* sudion\w* točn\w* uvjet\w* financij\w* kemij\w* veleposlan\w*
    natječaj\w* ravnatelj\w* nogomet\w* izbornik\w* stoljeć\w* tjeles\w* sukladno temeljem nazoč\w* opće\w*
    poduzeć\w* obran\w* natjec\w* kršćan\w* podrijetl\w* promatra\w* kirur\w* odvjet\w* mirovin\w* kazališ\w*
    promet\w* tisak tiskan\w* talijan\w* španjolsk\w* nizozemsk\w* osobn\w* sigurnos\w* stup[an]nj?\w* dulj\w*
    vanjsk\w* računal\w* razdoblj\w* posto zastupni\w* tužitelj\w* putovnic\w* zemljopis\w* primjerice osobito
    obitelj\w* susjed\w* poticaj\w* prosvjed\w* susret\w* dopušt\w* skladatelj\w* čitatelj\w* gledatelj\w*
    slušatelj\w* postroj\w* zasigurno
"""
_BOSNIAN_OR_SERBIAN = r"""
    sedmic\w* hiljad\w* histori\w+ evrop\w* saopć\w* saopšt\w* sistem\w* tokom tačn\w* uslov\w* saradnj?\w*
    sarađ\w* učestv\w* učesn\w* finansij\w* hemij\w* uprkos muzik\w* muzič\w* nauk\w* naučn\w* kompanij\w*
    januar\w* februar\w* mart\w? april\w* maj[au]? jun[ai]? juni juli jula augusta? avgusta? septembr?\w*
    oktobr?\w* novembr?\w* decembr?\w* kahv\w* lahk\w* sretan šta ko neko niko svako zvanič\w* izvještaj\w*
    izveštaj\w* ambasad\w* konkurs\w* fudbal\w* univerzitet\w* fabrik\w* hljeb\w* hleb\w* vazduh\w*
    organizova\w* informisa\w* definisa\w* kandidova\w* takođe opšt\w* porodic\w* dešava\w* desil\w* juč\w+
    preduze\w* odbran\w* komšij\w* takmič\w* hrišćan\w* porijekl\w* poreklo\w* posmatra\w* spisak spisk\w*
    ostrv\w* vijek\w* talas\w* hirur\w* jevrej\w* advokat\w* penzij\w* pozorišt\w* prisust\w* saobraćaj\w*
    štamp\w* italijan\w* špansk\w* holand\w* procen[ta]t?\w* ličn\w* stepen\w* dužin\w* spoljn\w* vanredn\w*
    računar\w* ćelij\w* krivičn\w* tužila\w* vještačk\w* bezb[je]+dn\w* obezb\w+ dozvol\w* uveče čas\w?
    isto\stako sprovod\w* naročit\w* hor
    (?:treba|može|mogu|želi|žele|hoće|mora|moraju|poče\w+|pokuša\w+|trebao|trebalo|mogao|mogla)\sda
"""
_IJEKAVIAN = r"""
    gdje prije uvijek svijet\w* vrijeme vremenu mjest\w* dvije poslije ovdje riječ\w* djec\w* djevoj\w*
    nedjelj\w* lijep\w* cijen\w* vijest\w* čovječ\w* dijel\w* dio uspje\w* vidje\w* želje\w* htje\w* mjesec\w*
    mjera mjere vjer\w* bijel\w* cijel\w* vijeć\w* rješ\w* primjer\w* izvje\w* sjever\w* osje\w* djel\w* također
    nije\w* smje\w* promjen\w*
"""
_EKAVIAN = r"""
    gde pre uvek svetsk\w* svetu vreme mest\w* dve posle ovde reč reči deca dece decu devoj\w* nedelj\w* lepo
    lepa lepe deo uspeh\w* uspeš\w* mesec\w* rešen\w* rešav\w* primer\w* izveštaj\w* sever\w* takođe
    promen[aeiou]? vrednost\w* sledeć\w*
"""
_SERBIAN_CYRILLIC = r"је су није који која које сам ће због због \w*[ђћ]\w*"
_MACEDONIAN = r"ќе дека со го ги што ова како бил била \w*[ѓќѕ]\w*"
_BULGARIAN = r"ще със във че което който която \w*[щъюяй]\w*"

GROUPS: Final[tuple[Mapping[str, str], ...]] = (
    {"ms": _MALAY, "id": _INDONESIAN},
    {"hr": _CROATIAN, "+": _BOSNIAN_OR_SERBIAN, "bs": _IJEKAVIAN, "sr": _EKAVIAN},
    {"sr": _SERBIAN_CYRILLIC, "mk": _MACEDONIAN, "bg": _BULGARIAN},
)


MEMBERS: Final = frozenset({"ms", "id", "hr", "bs", "sr", "mk", "bg"})


@functools.cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(words.split()) + r")\b")


def _count(words: str, text: str) -> int:
    return len(_pattern(words).findall(text))


def choose(language: str, text: str, script: str) -> str | None:
    """The member of ``language``'s group that the cues speak for; None where they say nothing."""
    text = text[:WINDOW].lower()
    if script == "Cyrl" and language in {"sr", "mk", "bg"}:
        return _clear_winner({member: _count(words, text) for member, words in GROUPS[2].items()})
    if script == "Latn" and language in {"ms", "id"}:
        return _clear_winner({member: _count(words, text) for member, words in GROUPS[0].items()})
    if script == "Latn" and language in {"hr", "bs", "sr"}:
        counts = {member: _count(words, text) for member, words in GROUPS[1].items()}
        eastern = counts.pop("+")
        if counts["sr"] > counts["bs"]:  # the spelling of one old vowel parts Serbian from the other two
            return "sr"
        return _clear_winner({"hr": counts["hr"], "bs": eastern})
    return None


def _clear_winner(counts: Mapping[str, int]) -> str | None:
    (best, most), (_, next_most) = sorted(counts.items(), key=lambda item: -item[1])[:2]
    return best if most > next_most else None
