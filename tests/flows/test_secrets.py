"""The one secret, the password of the ledger's database, stands in nothing that newsmill writes or prints."""

from typing import Any

SECRET = "planted-canary-7f3a91"


def test_a_planted_password_is_told_nowhere(mill: Any) -> None:
    """The address refuses: the worst case, since the error knows the URL."""
    mill.fill(1)
    url = f"postgresql+psycopg://someone:{SECRET}@127.0.0.1:1/nowhere"
    told = []
    for words in (
        ["ingest", "--direct", mill.raw], ["status"], ["verify"], ["settings"],
        ["settings", "--format", "json"], ["sql", "SELECT 1"],
    ):  # fmt: skip
        answer = mill.newsmill(*words, env={"NEWSMILL_LEDGER_URL": url})
        told.append(answer.out + answer.err)
        if words[0] != "settings":
            assert answer.code != 0, words
    assert any("postgresql" in text for text in told), "something is said of the kind of database"
    assert [text for text in told if SECRET in text] == []
    written = [path for path in mill.home.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
