-- question: Which languages are there, and how sure are they?
-- grain: one language of distinct current texts
-- example: FROM v_languages ORDER BY documents DESC, language
-- like documents: language
-- documents: distinct texts
-- words: their words
-- share: part of all distinct texts, from 0 to 1
-- mean_confidence: mean of language_confidence
-- detector_disagrees: texts whose detector_label is another language, or none
SELECT
    language,
    count(*) AS documents,
    CAST(sum(word_count) AS BIGINT) AS words,
    -- Rounded: the last digits of a mean depend on the order in which threads add.
    round(count(*) / sum(count(*)) OVER (), 6) AS share,
    round(avg(language_confidence), 6) AS mean_confidence,
    count(*) FILTER (detector_label IS NULL OR NOT starts_with(detector_label, language)) AS detector_disagrees
FROM v_documents
GROUP BY language
