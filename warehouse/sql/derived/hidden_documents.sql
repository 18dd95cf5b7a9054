SELECT document_id, 'superseded' AS reason
FROM documents
WHERE file_id NOT IN (SELECT file_id FROM files WHERE is_current)
UNION ALL
SELECT documents.document_id, 'copy'
FROM documents
JOIN text_copies USING (text_id)
WHERE documents.document_id <> text_copies.document_id AND file_id IN (SELECT file_id FROM files WHERE is_current)
