-- question: Which words set a period apart from all other texts of its language?
-- grain: one word of at least three letters that is relatively more frequent in the period than outside
-- arguments: lang, since, until, most := 20
-- example: SELECT term, inside, outside, g2 FROM keyness('de', '2018-11-01', '2018-12-31', most := 5)
-- term: the word, in small letters
-- inside: occurrences in texts of the period, both days included
-- outside: occurrences in the other dated texts of the language
-- g2: Dunning's log-likelihood ratio; above 10.83 chance is below one in a thousand
WITH counted AS (
    SELECT
        term,
        count(*) FILTER (is_inside) AS inside,
        count(*) FILTER (NOT is_inside) AS outside
    FROM (
        SELECT
            published_on BETWEEN CAST(since AS DATE) AND CAST(until AS DATE) AS is_inside,
            unnest(regexp_extract_all(lower(text), '[\p{L}\p{M}]{3,}')) AS term
        FROM v_documents
        WHERE language = lang AND published_on IS NOT NULL
    ) AS terms
    GROUP BY term
),
expected AS (
    SELECT
        term,
        inside,
        outside,
        sum(inside) OVER () * (inside + outside) / sum(inside + outside) OVER () AS expected_inside,
        sum(outside) OVER () * (inside + outside) / sum(inside + outside) OVER () AS expected_outside
    FROM counted
)
SELECT
    term,
    inside,
    outside,
    round(
        2 * (
            inside * ln(inside / expected_inside)
            + CASE WHEN outside = 0 THEN 0 ELSE outside * ln(outside / expected_outside) END
        ),
        2
    ) AS g2
FROM expected
WHERE inside > expected_inside
    AND term NOT IN (SELECT word FROM ref_stop_words WHERE ref_stop_words.language = lang)
ORDER BY g2 DESC, term
LIMIT most
