-- question: Which distinct texts are there now?
-- grain: one current text; of equal texts the earliest published, then the lowest document_id
-- example: SELECT title, published_on, copy_count FROM v_documents ORDER BY copy_count DESC LIMIT 10
-- like documents: *
-- copy_count: current documents that have this very text, this one included
SELECT
    documents.*,
    coalesce(copies.copy_count, 1) AS copy_count
FROM documents
-- Only texts that several have are looked at twice; a window over all rows would keep conditions from reaching the table.
LEFT JOIN (
    SELECT
        text_id,
        count(*) AS copy_count,
        -- A day in ISO 8601 sorts as a text; what has no date comes last.
        right(min(coalesce(CAST(published_on AS VARCHAR), '~') || document_id), 32) AS document_id
    FROM documents
    WHERE file_id IN (SELECT file_id FROM files WHERE is_current)
    GROUP BY text_id
    HAVING count(*) > 1
) AS copies ON copies.text_id = documents.text_id
WHERE documents.file_id IN (SELECT file_id FROM files WHERE is_current)
    AND (copies.document_id IS NULL OR copies.document_id = documents.document_id)
