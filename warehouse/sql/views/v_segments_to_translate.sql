-- question: Which sentences still want a translation into English?
-- grain: one distinct sentence (text_id and language) of distinct current texts, without boilerplate and without those in English or in no known language
-- example: SELECT language, count(*) AS sentences, sum(occurrences) AS occurrences FROM v_segments_to_translate GROUP BY language ORDER BY language
-- like segments: text_id, language, text
-- target_language: language that is wanted
-- occurrences: how often the sentence stands in distinct current texts
-- example_segment_id: the lowest segment_id among them
SELECT
    segments.text_id,
    segments.language,
    any_value(segments.text) AS text,
    'en' AS target_language,
    count(*) AS occurrences,
    min(segment_id) AS example_segment_id
FROM segments
WHERE document_id IN (SELECT document_id FROM v_documents)
    AND kind <> 'boilerplate'
    AND language NOT IN ('en', 'und')
    -- A sentence without a letter is the same in every language.
    AND regexp_matches(segments.text, '\p{L}')
    AND NOT EXISTS (
        SELECT 1
        FROM translations
        WHERE translations.text_id = segments.text_id
            AND translations.source_language = segments.language
            AND translations.target_language = 'en'
    )
GROUP BY segments.text_id, segments.language
