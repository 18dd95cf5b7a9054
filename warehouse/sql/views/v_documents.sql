-- question: Which distinct texts are there now?
-- grain: one current text; of equal texts the earliest published, then the lowest document_id
-- example: SELECT title, published_on, copy_count FROM v_documents ORDER BY copy_count DESC LIMIT 10
-- like documents: *
-- copy_count: current documents that have this very text, this one included
SELECT
    documents.*,
    count(*) OVER (PARTITION BY text_id) AS copy_count
FROM documents
WHERE file_id IN (SELECT file_id FROM files WHERE is_current)
QUALIFY row_number() OVER (PARTITION BY text_id ORDER BY published_on NULLS LAST, document_id) = 1
