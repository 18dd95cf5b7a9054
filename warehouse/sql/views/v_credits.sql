-- question: Whose pictures are printed, how often and by whom?
-- grain: one credit under pictures of distinct current texts
-- example: FROM v_credits ORDER BY captions DESC, credit LIMIT 10
-- like paragraphs: credit
-- captions: captions that carry it
-- documents: texts that have such a caption
-- sources: different sources of these
-- first_published_on: the earliest known date of publication
-- last_published_on: the latest
SELECT
    credit,
    count(*) AS captions,
    count(DISTINCT document_id) AS documents,
    count(DISTINCT source) AS sources,
    min(published_on) AS first_published_on,
    max(published_on) AS last_published_on
FROM v_captions
WHERE credit IS NOT NULL
GROUP BY credit
