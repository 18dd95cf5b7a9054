-- question: Which words are frequent in one language, stop words aside?
-- grain: one word of at least three letters, in small letters, of distinct current texts
-- arguments: lang, since := NULL, until := NULL, most := 20
-- example: FROM top_terms('de', since := '2018-01-01', until := '2018-12-31', most := 5)
-- term: the word
-- documents: texts that have it
-- occurrences: how often it stands in them
SELECT term, count(DISTINCT document_id) AS documents, count(*) AS occurrences
FROM (
    SELECT document_id, unnest(regexp_extract_all(lower(text), '[\p{L}\p{M}]{3,}')) AS term
    FROM v_documents
    WHERE language = lang
        AND (since IS NULL OR published_on >= CAST(since AS DATE))
        AND (until IS NULL OR published_on <= CAST(until AS DATE))
) AS terms
WHERE term NOT IN (SELECT word FROM ref_stop_words WHERE ref_stop_words.language = lang)
GROUP BY term
ORDER BY occurrences DESC, term
LIMIT most
