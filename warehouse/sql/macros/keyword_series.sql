-- question: How often does a word or phrase appear, month by month?
-- grain: one month with dated texts in the chosen languages, whether they have the keyword or not
-- arguments: keyword, lang := NULL
-- example: FROM keyword_series('stadt', lang := 'de')
-- month: first day of the month
-- documents: distinct current texts that contain the keyword, capitals aside
-- all_documents: all distinct current texts of the month
-- share: the first by the second, from 0 to 1
SELECT month, documents, all_documents, round(documents / all_documents, 6) AS share
FROM (
    SELECT
        CAST(date_trunc('month', published_on) AS DATE) AS month,
        count(*) FILTER (contains(lower(text), lower(keyword))) AS documents,
        count(*) AS all_documents
    FROM v_documents
    WHERE published_precision IN ('day', 'month') AND (lang IS NULL OR language = lang)
    GROUP BY month
) AS counted
ORDER BY month
