"""``newsmill settings``.

Belongs here: showing settings.  Does not belong here: loading them.
"""

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import show


def settings(*, format: Format = "table", common: Common = DEFAULT) -> int:  # noqa: A002 - the word that a person types
    """Every setting, its value, and where that came from.

    A setting is a flag (`--set name=value`), an environment variable (`NEWSMILL_NAME`), a line of `newsmill.toml` in
    the working folder, or its default, in this order.

    ```
    newsmill settings
    NEWSMILL_BATCH_BYTES=4000000 newsmill settings --format json
    ```
    """
    loaded = common.load()
    values = loaded.settings.model_dump(mode="json")
    if loaded.settings.ledger_url is not None:
        values["ledger_url"] = loaded.settings.shown_ledger_url()
    rows = [
        {"setting": name, "value": values[name], "from": loaded.origins[name], "meaning": field.description}
        for name, field in type(loaded.settings).model_fields.items()
    ]
    show(rows, ["setting", "value", "from", "meaning"], format)
    return 0
