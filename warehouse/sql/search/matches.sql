-- BM25 (k 1.2, b 0.75) over the index of one language.  The extension's own match_bm25 finds its tables only after
-- USE search; this one names them whole, so that it answers beside a warehouse that is in use.
WITH tokens AS (SELECT DISTINCT unnest({tokens}) AS term),
asked AS (SELECT termid, df FROM search.fts_main_documents_{language}.dict AS dict SEMI JOIN tokens USING (term)),
found AS (
    SELECT docid, termid, df, count(*) AS tf
    FROM search.fts_main_documents_{language}.terms AS terms
    JOIN asked USING (termid)
    GROUP BY ALL
)
SELECT
    '{language}' AS language,
    docs.name AS document_id,
    sum(
        ln((num_docs - df + 0.5) / (df + 0.5) + 1) * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * docs.len / avgdl))
    ) AS score,
    count(*) AS terms,
    (SELECT count(*) FROM tokens) AS asked_terms
FROM found
JOIN search.fts_main_documents_{language}.docs AS docs USING (docid)
CROSS JOIN search.fts_main_documents_{language}.stats AS stats
GROUP BY docs.name
