-- question: How much was published a day, by language and source?
-- grain: one day (NULL where no day is known), language and source of distinct current texts
-- example: FROM v_documents_daily WHERE day IS NOT NULL ORDER BY ALL LIMIT 10
-- day: day of publication; NULL where only the month, the year or nothing is known
-- like documents: language, source
-- documents: distinct texts
-- words: their words
-- characters: their characters
SELECT
    CASE WHEN published_precision = 'day' THEN published_on END AS day,
    language,
    source,
    count(*) AS documents,
    CAST(sum(word_count) AS BIGINT) AS words,
    CAST(sum(char_count) AS BIGINT) AS characters
FROM v_documents
GROUP BY ALL
