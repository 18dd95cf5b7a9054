-- question: How hard is a text to read?
-- grain: one distinct current text in a script that parts words by blanks, with at least one sentence of body
-- example: SELECT language, round(avg(lix), 1) AS lix FROM v_reading_level GROUP BY language ORDER BY language
-- like documents: document_id, language, published_on, source
-- sentences: segments of the body
-- words: words of the body
-- long_words: words of more than six letters
-- lix: words a sentence plus the percentage of long words (Björnsson's LIX), one decimal
-- level: very easy below 30, easy below 40, medium below 50, hard below 60, else very hard; meant for Germanic and Romance languages
SELECT
    document_id,
    language,
    published_on,
    source,
    sentences,
    words,
    long_words,
    round(words / sentences + 100 * long_words / words, 1) AS lix,
    CASE
        WHEN words / sentences + 100 * long_words / words < 30 THEN 'very easy'
        WHEN words / sentences + 100 * long_words / words < 40 THEN 'easy'
        WHEN words / sentences + 100 * long_words / words < 50 THEN 'medium'
        WHEN words / sentences + 100 * long_words / words < 60 THEN 'hard'
        ELSE 'very hard'
    END AS level
FROM (
    SELECT
        document_id,
        any_value(v_documents.language) AS language,
        any_value(v_documents.published_on) AS published_on,
        any_value(v_documents.source) AS source,
        count(*) AS sentences,
        CAST(sum(len(regexp_extract_all(segments.text, '[\p{L}\p{M}\p{N}]+'))) AS BIGINT) AS words,
        CAST(sum(len(regexp_extract_all(segments.text, '[\p{L}\p{M}]{7,}'))) AS BIGINT) AS long_words
    FROM segments
    JOIN v_documents USING (document_id)
    WHERE segments.kind = 'body' AND v_documents.script IN ('Latn', 'Cyrl', 'Grek')
    GROUP BY document_id
) AS counted
WHERE words > 0
