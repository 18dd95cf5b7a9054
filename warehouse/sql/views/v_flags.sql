-- question: Which documents should be read with care, and where do they come from?
-- grain: one flag and source of current documents
-- example: FROM v_flags ORDER BY documents DESC, flag, source
-- flag: what a reader should know
-- like documents: source
-- documents: documents that have the flag
-- example_document_id: the lowest document_id among them
SELECT
    flag,
    source,
    count(*) AS documents,
    min(document_id) AS example_document_id
FROM (SELECT source, document_id, unnest(flags) AS flag FROM v_documents_current) AS flagged
GROUP BY ALL
