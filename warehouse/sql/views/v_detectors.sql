-- question: Where do the two language detectors agree, and whom does the decision follow?
-- grain: one language of distinct current texts
-- example: FROM v_detectors WHERE agreement < 1 ORDER BY documents DESC, language
-- like documents: language
-- name: English name of the language
-- documents: distinct texts
-- both_agree: texts for which detector and second opinion say this language
-- only_detector: texts for which the detector alone says it
-- only_second: texts for which the second opinion alone says it
-- neither: texts for which something else decided
-- agreement: part of the texts for which both say this language, from 0 to 1
SELECT
    language,
    any_value(ref_languages.name) AS name,
    count(*) AS documents,
    count(*) FILTER (detector_says AND second_says) AS both_agree,
    count(*) FILTER (detector_says AND NOT second_says) AS only_detector,
    count(*) FILTER (second_says AND NOT detector_says) AS only_second,
    count(*) FILTER (NOT detector_says AND NOT second_says) AS neither,
    round(count(*) FILTER (detector_says AND second_says) / count(*), 6) AS agreement
FROM (
    SELECT
        language,
        -- A detector may name a variant: zh-cn is zh.
        coalesce(split_part(detector_label, '-', 1) = language, false) AS detector_says,
        coalesce(second_language = language, false) AS second_says
    FROM v_documents
) AS said
LEFT JOIN ref_languages USING (language)
GROUP BY language
