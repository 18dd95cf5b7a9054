-- The best documents for some words, each with the sentence that has most of them.
WITH best AS (
    SELECT language, document_id, score
    FROM search.matches($words)
    WHERE ($language IS NULL OR language = $language) AND (NOT $is_every OR terms = asked_terms)
        AND document_id IN (SELECT document_id FROM v_documents_current)
    ORDER BY score DESC, document_id
    LIMIT $most
),
sentences AS (
    SELECT
        document_id,
        arg_max(
            segments.text,
            (
                len(list_intersect(
                    search.stems(segments.language, segments.text), search.stems(segments.language, $words)
                )),
                -segment_no
            )
        ) AS sentence
    FROM segments
    WHERE document_id IN (SELECT document_id FROM best)
    GROUP BY document_id
)
SELECT
    round(score, 2) AS score,
    best.language,
    published_on,
    source,
    document_id,
    title,
    sentence
FROM best
JOIN documents USING (document_id)
LEFT JOIN sentences USING (document_id)
ORDER BY score DESC, document_id
