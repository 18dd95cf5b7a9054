-- question: Which texts stand in several current documents?
-- grain: one text that at least two current documents have
-- example: FROM v_duplicates ORDER BY copies DESC, text_id LIMIT 10
-- like documents: text_id
-- copies: current documents with this text
-- sources: their sources, each once, in order
-- uris: their uris, in order
-- first_published_on: the earliest known date of publication
-- last_published_on: the latest
-- begins: first 80 characters of the text
SELECT
    text_id,
    count(*) AS copies,
    list_sort(list(DISTINCT source)) AS sources,
    list_sort(list(uri)) AS uris,
    min(published_on) AS first_published_on,
    max(published_on) AS last_published_on,
    left(any_value(text), 80) AS begins
FROM documents
WHERE copy_count > 1
GROUP BY text_id
