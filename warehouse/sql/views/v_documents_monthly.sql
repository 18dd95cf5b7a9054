-- question: How much was published a month, by language and source?
-- grain: one month (NULL where no month is known), language and source of distinct current texts
-- example: SELECT month, sum(documents) AS documents FROM v_documents_monthly WHERE language = 'de' GROUP BY ALL ORDER BY ALL
-- month: first day of the month; NULL where only the year or nothing is known
-- like documents: language, source
-- documents: distinct texts
-- words: their words
-- characters: their characters
SELECT
    CASE WHEN published_precision IN ('day', 'month') THEN CAST(date_trunc('month', published_on) AS DATE) END AS month,
    language,
    source,
    count(*) AS documents,
    CAST(sum(word_count) AS BIGINT) AS words,
    CAST(sum(char_count) AS BIGINT) AS characters
FROM v_documents
GROUP BY ALL
