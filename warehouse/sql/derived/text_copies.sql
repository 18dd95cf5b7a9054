SELECT
    text_id,
    count(*) AS copy_count,
    -- A day in ISO 8601 sorts as a text; what has no date comes last.
    right(min(coalesce(CAST(published_on AS VARCHAR), '~') || document_id), 32) AS document_id
FROM documents
WHERE file_id IN (SELECT file_id FROM files WHERE is_current)
GROUP BY text_id
HAVING count(*) > 1
