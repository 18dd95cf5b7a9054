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
    CAST(sum(of_day.documents) AS BIGINT) AS documents,
    CAST(sum(of_day.words) AS BIGINT) AS words,
    CAST(sum(of_day.characters) AS BIGINT) AS characters
FROM (
    -- The month of a day is worked out once, not for each of its documents, which would take as long as all the rest.
    SELECT
        published_on,
        published_precision,
        language,
        source,
        count(*) AS documents,
        sum(word_count) AS words,
        sum(char_count) AS characters
    FROM v_documents
    GROUP BY ALL
) AS of_day
GROUP BY ALL
